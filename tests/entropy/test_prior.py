"""What P and B frames know of their planes before they are read, and what their statistics start
with.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from dvc_codec.entropy.frequency import FrequencyScale
from dvc_codec.entropy.mixing import PARENTS, Statistics
from dvc_codec.entropy.mixing_kernel import COUNTS
from dvc_codec.entropy.prior import BFramePrior, FramePrior, PFramePrior, parents

BATCH, HEIGHT, WIDTH = 2, 40, 72  # covered: 48x80
OWN = ["motion", "motion_detail", "luma", "chroma"]
BACK = ["motion_back", "motion_back_detail"]


def drawn(prior: FramePrior, seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randint(-4, 5, plane.shape, generator=generator).float()
        for name, plane in prior.nothing(BATCH, HEIGHT, WIDTH).items()
    }


def magnitudes(prior: FramePrior, seed: int) -> dict[str, Tensor]:
    return {name: plane.abs() for name, plane in drawn(prior, seed).items()}


def test_b_frames_have_the_planes_of_p_frames_and_a_second_motion() -> None:
    p, b = PFramePrior(), BFramePrior()
    assert [plane.name for plane in p.planes] == OWN
    assert [plane.name for plane in b.planes] == [*OWN[:2], *BACK, *OWN[2:]]
    ours = {plane.name: plane for plane in b.planes}
    assert all(ours[plane.name] == plane for plane in p.planes)
    for name in OWN[:2]:
        back = ours[name.replace("motion", "motion_back")]
        assert back == replace(ours[name], name=back.name, says=False)
    assert [plane.name for plane in b.planes if plane.says] == ["motion"]
    assert [plane.name for plane in b.planes if plane.scaled] == [*OWN[:2], *BACK]
    shapes = {name: tuple(p.shape[1:]) for name, p in b.nothing(1, HEIGHT, WIDTH).items()}
    assert shapes["motion_back"] == (2, 3, 5) and shapes["motion_back_detail"] == (30, 3, 5)


@pytest.mark.parametrize("prior", [PFramePrior(), BFramePrior()], ids=["P", "B"])
def test_sides_are_integers_of_the_plane_s_size_that_need_only_earlier_planes(
    prior: FramePrior,
) -> None:
    past, now = magnitudes(prior, 1), drawn(prior, 2)
    before: dict[str, Tensor] = {}
    for plane in prior.planes:
        side = prior.side(plane.name, before, past)
        covers = 48 // plane.stride, 80 // plane.stride
        assert side.shape == (BATCH, plane.side, *covers)
        assert torch.equal(side, side.round()) and side.min() >= 0 and side.max() <= 127
        assert side.any()
        before[plane.name] = now[plane.name]


@pytest.mark.parametrize(
    ("plane", "changed", "matters"),
    [
        ("motion_back_detail", "motion_back", True),
        ("motion_back_detail", "motion", False),
        ("motion_detail", "motion", True),
        ("luma", "motion", True),
        ("chroma", "luma", True),
    ],
)
def test_what_a_plane_of_a_b_frame_knows_of_this_frame(
    plane: str, changed: str, matters: bool
) -> None:
    prior = BFramePrior()
    past, now = magnitudes(prior, 1), drawn(prior, 2)
    without = now | {changed: torch.zeros_like(now[changed])}
    sides = [prior.side(plane, symbols, past) for symbols in (now, without)]
    assert torch.equal(*sides) != matters


def test_after_a_p_frame_each_sample_knows_its_b_frame_or_else_the_p_frame() -> None:
    """The second of two samples sent nothing in its last B frame."""
    prior = BFramePrior()
    own, past = magnitudes(prior, 3), magnitudes(PFramePrior(), 4)
    for plane in own.values():
        plane[1] = 0
    after = prior.after_p(own, past)
    assert list(after) == list(own)
    for name, plane in after.items():
        assert torch.equal(plane[0], own[name][0]), name
        expected = past[name][1] if name in past else torch.zeros_like(plane[1])
        assert torch.equal(plane[1], expected), name


def test_a_single_symbol_is_something() -> None:
    prior = BFramePrior()
    own = prior.nothing(1, HEIGHT, WIDTH)
    own["motion_back"][0, 0, 0, 0] = 1
    after = prior.after_p(own, {n: p[:1] for n, p in magnitudes(PFramePrior(), 4).items()})
    assert all(torch.equal(plane, own[name]) for name, plane in after.items())


def test_planes_have_their_channels_in_order() -> None:
    found = {plane.name: plane.channels for plane in PFramePrior().planes}
    assert list(found) == OWN and list(found.values()) == [2, 30, 64, 128]


@pytest.mark.parametrize(("size", "planes"), [(1, 2), (4, 2), (8, 1), (8, 2)])
def test_parents_are_lower_frequencies_and_the_plane_before(size: int, planes: int) -> None:
    found = parents(size, planes)
    assert len(found) == planes * size**2
    steps = ((0, 1, 0), (0, 0, 1), (0, 2, 0), (0, 0, 2), (0, 1, 1), (1, 0, 0))
    places = [(p, u, v) for p in range(planes) for u in range(size) for v in range(size)]
    for place, beside in zip(places, found, strict=True):
        assert len(beside) == PARENTS
        for parent, step in zip(beside, steps, strict=True):
            expected = tuple(a - b for a, b in zip(place, step, strict=True))
            assert parent == (places.index(expected) if expected in places else -1)


@pytest.mark.parametrize("prior", [PFramePrior(), BFramePrior()], ids=["P", "B"])
def test_parents_are_coded_before_their_channels(prior: FramePrior) -> None:
    """In an earlier step, or earlier within their own."""
    for plane in prior.planes:
        all_parents, scale = plane.all_parents(), prior.scale(plane.name)
        assert all_parents.shape == (plane.channels, PARENTS)
        steps: dict[int, int] = {}
        for number, part in enumerate(scale.steps(4, 4)):
            own = range(plane.channels) if part.channels is None else part.channels.tolist()
            for channel in own:
                steps.setdefault(channel, number)
        for channel, beside in enumerate(all_parents.tolist()):
            for parent in beside:
                assert parent == -1 or (steps[parent], parent) < (steps[channel], channel)


def test_the_rest_of_motion_has_the_parents_of_its_transform() -> None:
    """x, then y, without the means, which are no parents."""
    transform = parents(4, 2)
    others = [c for c in range(32) if c not in (0, 16)]
    detail = next(plane for plane in PFramePrior().planes if plane.name == "motion_detail")
    for own, channel in zip(detail.parents, others, strict=True):
        named = tuple(others[p] if p >= 0 else -1 for p in own)
        assert named == tuple(p if p in others else -1 for p in transform[channel])
    assert isinstance(PFramePrior().scale("motion_detail"), FrequencyScale)
    assert any(p >= 15 for p in detail.parents[20]) and detail.parents[20][-1] == 5


def test_a_group_of_pictures_starts_from_fresh_statistics() -> None:
    prior = PFramePrior()
    first = prior.statistics()["luma"]
    first.counters[:] = 7 * COUNTS + 7
    first.weights[:] = 7
    again, fresh = prior.statistics()["luma"], Statistics.fresh(np.array(parents(8, 1)))
    np.testing.assert_array_equal(again.counters, fresh.counters)
    np.testing.assert_array_equal(again.weights, fresh.weights)
    np.testing.assert_array_equal(again.parents, fresh.parents)


def test_learned_statistics_replace_fresh_ones() -> None:
    prior = PFramePrior()
    known = prior.statistics()
    learned = known["motion"].copy()
    learned.counters[::3] = (1 << 21) * COUNTS + 12
    learned.weights[1] += 12345
    prior.set_statistics("motion", learned)
    found = prior.statistics()
    np.testing.assert_array_equal(found["motion"].weights, learned.weights)
    np.testing.assert_array_equal(found["motion"].counters > 0, learned.counters > 0)
    np.testing.assert_array_equal(found["motion"].counters % COUNTS, learned.counters % COUNTS)
    np.testing.assert_array_equal(found["luma"].counters, known["luma"].counters)
    again = PFramePrior()
    again.load_state_dict(prior.state_dict())
    np.testing.assert_array_equal(again.statistics()["motion"].counters, found["motion"].counters)
    np.testing.assert_array_equal(again.statistics()["motion"].weights, learned.weights)
    stored = prior.state_dict()
    assert stored["counters_motion"].dtype == torch.int16
    assert stored["weights_motion"].dtype == torch.int32
