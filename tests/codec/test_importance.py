import pytest

from dvc_codec.codec import importance
from dvc_codec.codec.importance import chroma, of_frame, rate_shift
from dvc_codec.container import Place, group_order
from dvc_codec.networks.config import Metric

GROUP = 32


def p_frame(number: int) -> Place:
    return Place(number, number - 1)


def test_the_first_p_frame_matters_most_and_the_last_least() -> None:
    places = [p_frame(number) for number in range(1, GROUP)]
    shifts = [rate_shift(place, 1, GROUP + 1) for place in places]
    trades = [of_frame(place, 1, GROUP + 1, None).frame for place in places]
    assert shifts == sorted(shifts, reverse=True) and trades == sorted(trades, reverse=True)
    assert shifts[0] == importance.FIRST_SHIFT
    assert rate_shift(p_frame(GROUP), 1, GROUP + 1) == importance.LAST_SHIFT


@pytest.mark.parametrize(("number", "group"), [(35, GROUP), (1, 1000)])
def test_groups_longer_or_shorter_than_foreseen(number: int, group: int) -> None:
    """A group that goes on beyond its length, and one much longer than is foreseen."""
    end = p_frame(group - 1 if number > group else group - 1 - importance.FORESEEN)
    assert rate_shift(p_frame(number), 1, group) == rate_shift(end, 1, group)
    frame = of_frame(p_frame(number), 1, group, None).frame
    assert frame == of_frame(end, 1, group, None).frame


@pytest.mark.parametrize("distance", [2, 4, 8])
def test_b_frames_matter_less_the_deeper_they_are(distance: int) -> None:
    """An anchor before all of them, each after those it is predicted from."""
    order = group_order(distance + 1, distance)[1:]
    shifts = {place.number: rate_shift(place, distance, GROUP) for place in order}
    trades = {place.number: of_frame(place, distance, GROUP, None).frame for place in order}
    for place in order[1:]:
        for nearer in {place.past, place.future} - {0}:
            assert nearer is not None
            assert shifts[place.number] < shifts[nearer]
            assert trades[place.number] < trades[nearer]
    assert shifts[distance] > 0 > shifts[1] == shifts[distance - 1]


def test_b_frames_of_one_depth_matter_alike_however_far_the_anchors() -> None:
    middles = [(Place(n // 2, 0, n), n) for n in (2, 3, 4, 5, 6, 7, 8)]
    assert len({rate_shift(place, anchors, GROUP) for place, anchors in middles}) == 1
    assert rate_shift(Place(1, 0, 2), 1024, GROUP) == importance.BETWEEN_SHIFTS[-1]


def test_noisy_chroma_counts_less_than_clean_chroma() -> None:
    clean, noisy = chroma((20.0, 1.0, 15.0))
    assert clean == 1.0
    assert importance.LEAST <= noisy < 0.5


def test_perfect_planes_have_an_importance_too() -> None:
    assert chroma((0.0, 0.0, 0.0)) == (importance.LEAST, importance.LEAST)


@pytest.mark.parametrize(("place", "anchors"), [(p_frame(31), 1), (Place(2, 0, 4), 4)])
def test_u_comes_before_v_in_the_plane(place: Place, anchors: int) -> None:
    of_chroma = of_frame(place, anchors, GROUP, (20.0, 1.0, 15.0)).of("chroma")
    u, v = chroma((20.0, 1.0, 15.0))
    frame = of_frame(place, anchors, GROUP, None).frame
    assert not isinstance(of_chroma, float) and of_chroma.shape == (1, 128, 1, 1)
    assert of_chroma[0, 0].item() == pytest.approx(u * frame)
    assert of_chroma[0, -1].item() == pytest.approx(v * frame)


def test_planes_that_are_not_named_are_as_important_as_the_frame() -> None:
    first = of_frame(p_frame(1), 1, GROUP, None)
    assert first.of("luma") == first.frame


def test_chroma_never_counts_in_full_beside_ms_ssim() -> None:
    place, clean, noisy = p_frame(3), (40.0, 1.0, 1.0), (40.0, 90.0, 90.0)

    def of_u(errors: tuple[float, float, float], metric: Metric) -> float:
        return float(of_frame(place, 1, GROUP, errors, metric).planes["chroma"].flatten()[0])

    most = importance.MOST["ms-ssim"]
    assert (of_u(clean, "mse"), of_u(clean, "ms-ssim")) == (1.0, pytest.approx(most))
    assert most < importance.UNKNOWN < 1
    assert of_u(noisy, "mse") == of_u(noisy, "ms-ssim") < most
