"""B frames between anchors: every frame once, each after what it is predicted from."""

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_codec.codec import order
from dvc_codec.codec.order import (
    FURTHER,
    LIMIT_BETWEEN,
    NOISE,
    DisplayOrder,
    Planned,
    anchor_distance,
    plan,
)
from dvc_codec.container import Place
from dvc_codec.video import Frame, Picture
from tests.files import two_scenes
from tests.moving import noise, still

GREY, OTHER = noise(size=(2, 2), frames=2)
quick = settings(deadline=None)
# which of two pictures each frame is: near ones may be less alike than far ones
alternating = st.lists(st.booleans(), max_size=40)


@pytest.fixture(autouse=True, scope="module")
def errors() -> Iterator[None]:
    """Only the same picture is predicted well. Motion search: test_predictability.py"""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(order, "half_size", lambda picture: 0.0 if picture is GREY else 30.0)
        patched.setattr(order, "predict", lambda reference, current: reference)
        patched.setattr(order, "error_of", lambda prediction, current: (prediction - current) ** 2)
        yield


def planned(
    pictures: list[Picture], length: int = 100, *, between: int = LIMIT_BETWEEN, cuts: bool = True
) -> list[Planned]:
    frames = (Frame(picture, pts) for pts, picture in enumerate(pictures))
    return list(plan(frames, length, scene_cuts=cuts, between=between))


def shown_as(pictures: list[Picture], length: int = 100, *, between: int) -> list[int]:
    return [one.frame.pts for one in planned(pictures, length, between=between)]


def groups_of(found: list[Planned]) -> list[list[Planned]]:
    groups: list[list[Planned]] = []
    for one in found:
        if one.starts:
            groups.append([])
        groups[-1].append(one)
    return groups


def test_the_anchor_comes_first_and_then_the_middle() -> None:
    assert shown_as(still(GREY, 9), between=7) == [0, 8, 4, 2, 1, 3, 6, 5, 7]
    places = [one.place for one in planned(still(GREY, 9))]
    assert places[:4] == [Place(0), Place(8, 0), Place(4, 0, 8), Place(2, 0, 4)]


def test_what_is_left_at_the_end_has_nearer_anchors() -> None:
    assert shown_as(still(GREY, 8), between=7) == [0, 4, 2, 1, 3, 6, 5, 7]
    assert shown_as(still(GREY, 2), between=7) == [0, 1]
    assert shown_as(still(GREY, 4), between=2) == [0, 2, 1, 3]


def test_the_length_ends_a_group() -> None:
    assert shown_as(still(GREY, 9), 5, between=3) == [0, 4, 2, 1, 3, 5, 7, 6, 8]


def test_a_scene_cut_ends_a_group_and_no_frame_looks_across() -> None:
    found = planned(two_scenes(frames=12, at=6))
    assert [one.frame.pts for one in found if one.starts] == [0, 6]
    assert [[one.frame.pts for one in group] for group in groups_of(found)] == [
        [0, 4, 2, 1, 3, 5],
        [6, 10, 8, 7, 9, 11],
    ]
    assert len(groups_of(planned(two_scenes(frames=12, at=6), cuts=False))) == 1


def frames_of(kinds: list[bool]) -> list[Picture]:
    return [GREY if kind else OTHER for kind in kinds]


@quick
@given(alternating, st.integers(1, 40))
def test_none_between_is_the_order_of_showing(kinds: list[bool], length: int) -> None:
    count = len(kinds)
    found = planned(frames_of(kinds), length, between=0, cuts=False)
    assert [one.frame.pts for one in found] == list(range(count))
    for one in found:
        number = one.frame.pts % length
        assert one.place == (Place(number, number - 1) if number else Place(0))


@quick
@given(alternating, st.integers(1, 40), st.integers(0, LIMIT_BETWEEN))
def test_every_frame_comes_once_after_its_references(
    kinds: list[bool], length: int, between: int
) -> None:
    count = len(kinds)
    found = planned(frames_of(kinds), length, between=between, cuts=False)
    assert sorted(one.frame.pts for one in found) == list(range(count))
    for number, group in enumerate(groups_of(found)):
        known = set()
        for one in group:
            assert one.place.number == one.frame.pts - number * length
            assert {one.place.past, one.place.future} - {None} <= known
            known.add(one.place.number)
        assert known == set(range(len(known))) and len(known) <= length
        anchors = sorted(one.place.number for one in group if one.place.future is None)
        assert all(b - a - 1 <= between for a, b in itertools.pairwise(anchors))
        assert anchors[-1] == len(known) - 1  # nothing is shown after the last anchor


@quick
@given(alternating, st.integers(1, 40), st.integers(0, LIMIT_BETWEEN))
def test_display_order_comes_back_as_early_as_can_be(
    kinds: list[bool], length: int, between: int
) -> None:
    count = len(kinds)
    shown: DisplayOrder[int] = DisplayOrder()
    out: list[int] = []
    seen = set()
    for one in planned(frames_of(kinds), length, between=between, cuts=False):
        seen.add(one.frame.pts)
        out += shown.add(one.place, one.frame.pts)
        while_known = next(n for n in range(count + 1) if n not in seen)
        assert len(out) == while_known  # none is held back
    assert out == list(range(count))


@pytest.mark.parametrize("reach", [0, 1, 3])
@pytest.mark.parametrize("between", [0, 1, 3, 7])
def test_no_more_frames_are_waited_for_than_asked_for(between: int, reach: int) -> None:
    taken = []

    def source() -> Iterator[Frame]:
        for pts in range(30):
            taken.append(pts)
            yield Frame(GREY, pts)

    shown: DisplayOrder[int] = DisplayOrder()
    out = 0
    for one in plan(source(), 30, between=between, reach=reach):
        assert len(taken) - out <= between + 1 + (out > 0) + (reach if between else 0)
        out += len(shown.add(one.place, one.frame.pts))


@quick
@given(st.integers(1, 20), st.integers(1, 9), st.integers(0, 3), st.integers(0, 4))
def test_anchors_alone_have_neighbours_all_that_are_near(
    count: int, length: int, between: int, reach: int
) -> None:
    """Those in the groups before and after, too."""
    pictures = [Picture(*(plane.copy() for plane in GREY.planes)) for _ in range(count)]
    numbers = {id(picture): number for number, picture in enumerate(pictures)}
    frames = (Frame(picture, pts) for pts, picture in enumerate(pictures))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(order, "half_size", lambda picture: 0.0)
        for one in plan(frames, length, between=between, reach=reach):
            found = {numbers[id(n.picture)]: n.away for n in one.around}
            near = range(one.frame.pts - reach, one.frame.pts + reach + 1)
            wanted = {n: n - one.frame.pts for n in near if 0 <= n < count}
            wanted.pop(one.frame.pts, None)
            assert found == (wanted if between and one.place.future is None else {})


@pytest.mark.parametrize(
    ("total", "groups"),
    [(None, [4, 4, 4]), (9, [4, 4, 1]), (10, [4, 4, 2]), (12, [4, 4, 4]), (6, [4, 2, 4])],
)
def test_the_last_group_is_known_to_be_short(total: int | None, groups: list[int]) -> None:
    """Unless nobody knows, or there are more frames than were promised."""
    frames = (Frame(picture, pts) for pts, picture in enumerate(still(GREY, 9)))
    found = groups_of(list(plan(frames, 4, between=3, total=total)))
    assert [{one.group for one in group} for group in found] == [{n} for n in groups]


@pytest.mark.parametrize("cuts", [False, True])
def test_no_neighbour_is_of_another_scene(cuts: bool) -> None:
    frames = (Frame(p, pts) for pts, p in enumerate(two_scenes(frames=12, at=6)))
    for one in plan(frames, 100, scene_cuts=cuts, between=3, reach=3):
        shown = one.frame.pts
        assert all((shown + n.away < 6) == (shown < 6) for n in one.around)


@pytest.mark.parametrize("between", range(LIMIT_BETWEEN + 1))
@pytest.mark.parametrize("there", [2, 3, 5, 9])
def test_the_next_anchor_is_among_the_frames_there_are(between: int, there: int) -> None:
    distance = anchor_distance([Frame(GREY, n) for n in range(there)], between)
    assert 1 <= distance <= min(between + 1, there - 1)
    assert distance > 1 or between == 0 or there == 2


def with_errors(monkeypatch: pytest.MonkeyPatch, *errors: float) -> None:
    left = list(errors)
    monkeypatch.setattr(order, "error_of", lambda *_: left.pop(0))


def test_anchors_are_near_where_far_pictures_are_predicted_badly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By the errors of pictures 2, 4 and 8 frames away."""
    frames = [Frame(GREY, n) for n in range(9)]

    def distance(*errors: float) -> int:
        with_errors(monkeypatch, *errors)
        return anchor_distance(frames, LIMIT_BETWEEN)

    noise = NOISE / 2  # which does not matter, however many times more it is
    assert distance(noise / 9, noise, noise) == 8
    assert distance(10.0, 10.0 * FURTHER, 10.0 * FURTHER**2) == 8
    assert distance(10.0, 10.9, 10.0 * FURTHER**3) == 4
    assert distance(10.0, 20.0) == 2
