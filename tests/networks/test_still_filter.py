"""The filter of I frames as a network: nothing before it is trained, and everything can be."""

import math

import pytest
import torch

from dvc_codec.networks.planes import Planes
from dvc_codec.networks.still_filter import STRENGTHS, StillFilter, strength_for


def picture(batch: int = 1) -> Planes:
    chance = torch.Generator().manual_seed(5)
    return Planes(
        torch.rand(batch, 1, 128, 64, generator=chance) - 0.5,
        torch.rand(batch, 2, 64, 32, generator=chance) - 0.5,
    )


@pytest.mark.parametrize("fast", [False, True])
def test_untrained_it_changes_nothing(fast: bool) -> None:
    torch.manual_seed(1)
    shown = picture()
    filtered = StillFilter(8, 2)(shown, torch.tensor([40]), fast)
    for before, after in zip(shown, filtered, strict=True):
        assert after.dtype == torch.float32
        assert torch.equal(before, after)


def test_every_parameter_is_reached_and_strengths_count_picture_by_picture() -> None:
    torch.manual_seed(1)
    net = StillFilter(8, 2)
    torch.nn.init.normal_(net.leave.weight, std=0.1)
    torch.nn.init.normal_(net.gain.slope)
    both = net(picture(2), torch.tensor([3, 60]), False)
    weak = net(picture(2), torch.tensor([60, 60]), False)
    assert torch.allclose(both.luma[1], weak.luma[1])
    assert not torch.allclose(both.luma[0], weak.luma[0])
    (both.luma.sum() + both.chroma.sum()).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_what_it_changes_is_local_and_moves_with_the_picture() -> None:
    torch.manual_seed(1)
    net = StillFilter(8, 2)
    torch.nn.init.normal_(net.leave.weight, std=0.1)
    shown, strength = picture(), torch.tensor([20])
    there = net(shown, strength, False)
    moved = net(
        Planes(*(p.roll(k, -2) for p, k in zip(shown, (8, 4), strict=True))),
        strength,
        False,
    )
    inside = slice(32, 96)
    assert torch.allclose(
        moved.luma[..., inside, 20:40], there.luma.roll(8, -2)[..., inside, 20:40], atol=1e-5
    )


def test_strengths_are_a_ladder_over_the_lambdas_of_i_frames() -> None:
    assert strength_for(8) == 0
    assert strength_for(17) == STRENGTHS - 1
    assert strength_for(0) == 0
    assert strength_for(30) == STRENGTHS - 1
    ladder = [strength_for(math.log2(lam)) for lam in (300, 1000, 3000, 10000, 100000)]
    assert ladder == sorted(set(ladder))
