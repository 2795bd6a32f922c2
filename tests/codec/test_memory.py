"""What is remembered within a group, and what is not: P and B frames apart."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.pictures import to_planes
from dvc_codec.container import FrameKind, Place
from dvc_codec.entropy.mixing import Statistics
from dvc_codec.entropy.prior import FramePrior
from dvc_codec.errors import WrongVersion
from tests.moving import noise

P, B = FrameKind.P, FrameKind.B
HEIGHT, WIDTH = 40, 72  # covered: 48x80


@pytest.fixture(scope="module")
def codec() -> PFrameCodec:
    return PFrameCodec()


@pytest.fixture
def memory(codec: PFrameCodec) -> SymbolMemory:
    found = SymbolMemory(codec)
    found.begin(HEIGHT, WIDTH)
    return found


def of(prior: FramePrior, value: float) -> dict[str, Tensor]:
    """The same symbol everywhere."""
    nothing = prior.nothing(1, HEIGHT, WIDTH)
    return {name: torch.full_like(plane, value) for name, plane in nothing.items()}


def other(statistics: dict[str, Statistics]) -> dict[str, Statistics]:
    """As if every counter had seen one more."""
    return {
        name: Statistics(each.sizes, each.parents, each.counters + 1, each.weights + 1)
        for name, each in statistics.items()
    }


def assert_same(ours: dict[str, Statistics], theirs: dict[str, Statistics]) -> None:
    assert list(ours) == list(theirs)
    for name, mine in ours.items():
        np.testing.assert_array_equal(mine.counters, theirs[name].counters)
        np.testing.assert_array_equal(mine.weights, theirs[name].weights)


def levels(known: Any) -> dict[str, set[float]]:
    return {name: set(plane.unique().tolist()) for name, plane in known.items()}


def test_nothing_is_known_after_an_i_frame(codec: PFrameCodec, memory: SymbolMemory) -> None:
    assert not SymbolMemory(codec).begun and memory.begun
    for kind in (P, B):
        past, prior = memory.past(kind), codec.prior_of(kind)
        assert list(past) == [plane.name for plane in prior.planes]
        assert past["luma"].shape == (1, 64, 6, 10) and past["chroma"].shape == (1, 128, 3, 5)
        assert not any(plane.any() for plane in past.values())
        assert_same(memory.statistics(kind), prior.statistics())


def test_each_kind_knows_the_magnitudes_of_its_own_last_frame(
    codec: PFrameCodec, memory: SymbolMemory
) -> None:
    between = codec.prior_of(B)
    memory.add(P, of(codec.prior, -3), memory.statistics(P))
    memory.add(B, of(between, -5), memory.statistics(B))
    assert set().union(*levels(memory.past(P)).values()) == {3.0}
    assert set().union(*levels(memory.past(B)).values()) == {5.0}
    memory.add(P, of(codec.prior, 2), memory.statistics(P))
    assert set().union(*levels(memory.past(P)).values()) == {2.0}
    assert set().union(*levels(memory.past(B)).values()) == {5.0}


def test_where_no_b_frame_sent_anything_the_p_frame_is_known(
    codec: PFrameCodec, memory: SymbolMemory
) -> None:
    for sent in (-3, 4):  # after the I frame, and after B frames that sent nothing
        memory.add(P, of(codec.prior, sent), memory.statistics(P))
        found = levels(memory.past(B))
        for name in ("motion", "motion_detail", "luma", "chroma"):
            assert found[name] == {abs(sent)}, name
        assert found["motion_back"] == found["motion_back_detail"] == {0.0}
        memory.add(B, of(codec.prior_of(B), 0), memory.statistics(B))
        assert set().union(*levels(memory.past(B)).values()) == {0.0}


def test_statistics_are_apart_and_an_i_frame_resets_both(
    codec: PFrameCodec, memory: SymbolMemory
) -> None:
    changed = other(memory.statistics(B))
    memory.add(B, of(codec.prior_of(B), 1), changed)
    assert memory.statistics(B) is changed
    assert_same(memory.statistics(P), codec.prior.statistics())
    memory.add(P, of(codec.prior, 1), other(memory.statistics(P)))
    memory.begin(HEIGHT, WIDTH)
    for kind in (P, B):
        assert_same(memory.statistics(kind), codec.prior_of(kind).statistics())
        assert not any(plane.any() for plane in memory.past(kind).values())


def test_groups_begin_with_what_is_given(codec: PFrameCodec) -> None:
    given = {P: other(codec.prior.statistics())}
    memory = SymbolMemory(codec, given)
    for _ in range(2):
        memory.begin(HEIGHT, WIDTH)
        assert_same(memory.statistics(P), other(codec.prior.statistics()))
        assert_same(memory.statistics(B), codec.prior_of(B).statistics())
        for kind in (P, B):
            memory.add(kind, of(codec.prior_of(kind), 1), other(memory.statistics(kind)))


def test_a_codec_without_b_frames_says_so() -> None:
    codec = PFrameCodec(prior=PFrameCodec().prior)
    memory = SymbolMemory(codec)
    memory.begin(HEIGHT, WIDTH)
    memory.add(P, of(codec.prior, 1), memory.statistics(P))
    assert memory.past(B) == {}
    with pytest.raises(WrongVersion, match="kind B"):
        memory.statistics(B)


class Named:
    """A network whose references say how they came about."""

    def start(self, picture: Any) -> str:
        return "I"

    def ahead(self, reference: str, distance: int) -> tuple[str, int]:
        return reference, distance

    def between(self, past: str, future: str, to_past: int, to_future: int) -> tuple[Any, ...]:
        return past, future, to_past, to_future


def pictures() -> PictureMemory:
    found = PictureMemory(cast(PFrameCodec, SimpleNamespace(network=Named())))
    found.begin(to_planes(noise(frames=1)[0]))
    return found


def test_a_frame_is_predicted_from_the_pictures_at_its_place() -> None:
    memory = pictures()
    assert memory.of(Place(4, 0)) == ("I", 4)
    memory.add(Place(4, 0), "4")
    assert memory.of(Place(1, 0, 4)) == ("I", "4", 1, 3)
    memory.add(Place(1, 0, 4), "1")
    assert memory.of(Place(2, 1, 4)) == ("1", "4", 1, 2)
    memory.add(Place(2, 1, 4), "2")
    assert memory.of(Place(5, 4)) == ("4", 1)


def test_only_the_gap_that_is_open_is_kept() -> None:
    memory = pictures()
    for place in (Place(4, 0), Place(2, 0, 4), Place(6, 4)):
        memory.add(place, str(place.number))
    assert memory.of(Place(5, 4, 6)) == ("4", "6", 1, 1)
    for gone in (Place(1, 0, 2), Place(3, 2, 4)):
        with pytest.raises(KeyError):
            memory.of(gone)
    memory.begin(to_planes(noise(frames=1)[0]))
    with pytest.raises(KeyError):
        memory.of(Place(7, 6))
