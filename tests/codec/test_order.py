"""B frames between anchors: every frame once, each after what it is predicted from."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dvc_codec.codec.order import (
    FURTHER,
    LIMIT_BETWEEN,
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
quick = settings(max_examples=25, deadline=None)
# which of two pictures each frame is: near ones may be less alike than far ones
alternating = st.lists(st.booleans(), max_size=40)


def planned(
    pictures: list[Picture], length: int = 100, *, between: int = LIMIT_BETWEEN, cuts: bool = True
) -> list[Planned]:
    frames = (Frame(picture, pts) for pts, picture in enumerate(pictures))
    return list(plan(frames, length, scene_cuts=cuts, between=between))


def shown_as(pictures: list[Picture], length: int = 100, *, between: int) -> list[int]:
    return [one.frame.pts for one in planned(pictures, length, between=between)]


def groups_of(order: list[Planned]) -> list[list[Planned]]:
    groups: list[list[Planned]] = []
    for one in order:
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
    order = planned(two_scenes(frames=12, at=6))
    assert [one.frame.pts for one in order if one.starts] == [0, 6]
    assert [[one.frame.pts for one in group] for group in groups_of(order)] == [
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
    order = planned(frames_of(kinds), length, between=0, cuts=False)
    assert [one.frame.pts for one in order] == list(range(count))
    for one in order:
        number = one.frame.pts % length
        assert one.place == (Place(number, number - 1) if number else Place(0))


@quick
@given(alternating, st.integers(1, 40), st.integers(0, LIMIT_BETWEEN))
def test_every_frame_comes_once_after_its_references(
    kinds: list[bool], length: int, between: int
) -> None:
    count = len(kinds)
    order = planned(frames_of(kinds), length, between=between, cuts=False)
    assert sorted(one.frame.pts for one in order) == list(range(count))
    for number, group in enumerate(groups_of(order)):
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


@pytest.mark.parametrize("between", [0, 1, 3, 7])
def test_no_more_frames_are_waited_for_than_asked_for(between: int) -> None:
    taken = []

    def source() -> Iterator[Frame]:
        for pts in range(30):
            taken.append(pts)
            yield Frame(GREY, pts)

    shown: DisplayOrder[int] = DisplayOrder()
    out = 0
    for one in plan(source(), 30, between=between):
        assert len(taken) - out <= between + 1 + (out > 0)
        out += len(shown.add(one.place, one.frame.pts))


@pytest.mark.parametrize("between", range(LIMIT_BETWEEN + 1))
@pytest.mark.parametrize("there", [2, 3, 5, 9])
def test_the_next_anchor_is_among_the_frames_there_are(between: int, there: int) -> None:
    distance = anchor_distance([Frame(GREY, n) for n in range(there)], between)
    assert 1 <= distance <= min(between + 1, there - 1)
    assert distance > 1 or between == 0 or there == 2


def test_anchors_are_near_where_far_pictures_predict_each_other_badly() -> None:
    """A texture that stays, and one whose every picture is another."""
    apart = [Frame(p, n) for n, p in enumerate(noise(size=(64, 64), frames=9))]
    assert anchor_distance([Frame(apart[0].picture, n) for n in range(9)], LIMIT_BETWEEN) == 8
    # all pictures of noise are as unlike as their neighbours: nothing is lost by going far
    assert anchor_distance(apart, LIMIT_BETWEEN) == 8
    grey = apart[0].picture.y.mean()
    fading = [  # away from the first picture, further with every frame
        Frame(replace(apart[0].picture, y=blended(apart[0].picture.y, grey, n / 8)), n)
        for n in range(9)
    ]
    assert FURTHER < 2 and anchor_distance(fading, LIMIT_BETWEEN) == 2


def blended(luma: NDArray[np.uint8], grey: float, share: float) -> NDArray[np.uint8]:
    return np.round((1 - share) * luma + share * grey).astype(np.uint8)
