"""What P and B frames know of their planes before they are read."""

import pytest
import torch
from torch import Tensor

from dvc_codec.entropy.prior import BFramePrior, FramePrior, PFramePrior

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
        assert (back.groups, back.stride, back.side) == (
            ours[name].groups,
            ours[name].stride,
            ours[name].side,
        )
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
