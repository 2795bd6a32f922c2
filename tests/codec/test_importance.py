import pytest

from dvc_codec.codec import importance
from dvc_codec.codec.importance import chroma, of_frame, rate_shift


def test_the_first_p_frame_matters_most_and_the_last_least() -> None:
    shifts = [rate_shift(following) for following in range(31, -1, -1)]
    trades = [of_frame(following, None).frame for following in range(31, -1, -1)]
    assert shifts == sorted(shifts, reverse=True) and trades == sorted(trades, reverse=True)
    assert (shifts[0], shifts[-1]) == (importance.FIRST_SHIFT, importance.LAST_SHIFT)


@pytest.mark.parametrize("following", [-3, 1000])
def test_groups_longer_or_shorter_than_foreseen(following: int) -> None:
    """A group that goes on beyond its length, and one much longer than is foreseen."""
    end = 0 if following < 0 else importance.FORESEEN
    assert rate_shift(following) == rate_shift(end)
    assert of_frame(following, None).frame == of_frame(end, None).frame


def test_noisy_chroma_counts_less_than_clean_chroma() -> None:
    clean, noisy = chroma((20.0, 1.0, 15.0))
    assert clean == 1.0
    assert importance.LEAST <= noisy < 0.5


def test_perfect_planes_have_an_importance_too() -> None:
    assert chroma((0.0, 0.0, 0.0)) == (importance.LEAST, importance.LEAST)


def test_u_comes_before_v_in_the_plane() -> None:
    of_chroma = of_frame(0, (20.0, 1.0, 15.0)).of("chroma")
    u, v = chroma((20.0, 1.0, 15.0))
    frame = of_frame(0, None).frame
    assert not isinstance(of_chroma, float) and of_chroma.shape == (1, 128, 1, 1)
    assert of_chroma[0, 0].item() == pytest.approx(u * frame)
    assert of_chroma[0, -1].item() == pytest.approx(v * frame)


def test_planes_that_are_not_named_are_as_important_as_the_frame() -> None:
    of_31 = of_frame(31, None)
    assert of_31.of("luma") == of_31.frame
