"""Candidates of neighbours, of the whole picture and of what is expected."""

import pytest
import torch
from torch import Tensor

from dvc_codec.networks.propagation import CELL, Propagation, most_common, neighbours, steps
from dvc_codec.networks.warp import quarter_samples
from tests.networks.test_flow import texture

LAMBDA = torch.full((1, 1, 1, 1), 1024.0)


def everywhere(x: float, y: float, luma: Tensor) -> Tensor:
    b, _, h, w = luma.shape
    return (
        torch.tensor([x, y], dtype=torch.float32)
        .view(1, 2, 1, 1)
        .expand(b, 2, h // CELL, w // CELL)
        .clone()
    )


def noise(seed: int = 0) -> Tensor:
    """Luma of which every displacement but the right one is as bad as any other."""
    return torch.rand(1, 1, 96, 128, generator=torch.Generator().manual_seed(seed)) - 0.5


def shifted(x: int, y: int) -> tuple[Tensor, Tensor]:
    """Reference and current, which reads the reference at (x, y)."""
    reference = noise()
    return reference, torch.roll(reference, (-x, -y), (-1, -2))


def test_what_some_cells_know_spreads() -> None:
    """From 5x5 cells over 2 more on every side, at 2 and 1 cells' distance twice."""
    reference, current = shifted(9, -5)
    known = everywhere(0, 0, current)
    known[0, :, 3:8, 5:10] = torch.tensor([9.0, -5.0])[:, None, None]
    found = Propagation(quarter_samples(reference), current, known * 0, LAMBDA * 4).search(known)
    assert torch.equal(found[..., 1:10, 3:12], everywhere(9, -5, current)[..., 1:10, 3:12])


def test_what_most_of_the_picture_does_is_tried_everywhere() -> None:
    reference, current = shifted(9, -5)
    start = everywhere(9, -5, current)
    start[0, :, 2:5, 2:5] = 3.0
    flow = Propagation(
        quarter_samples(reference), current, everywhere(0, 0, current), LAMBDA
    ).search(start)
    right = everywhere(9, -5, current)[..., 2:-2, 2:-2]
    # whatever is nearest to the same quarter sample is as good
    torch.testing.assert_close(flow[..., 2:-2, 2:-2], right, rtol=0, atol=1 / 8)


@pytest.mark.parametrize("right", [(0.0, 0.0), (7.0, 3.0)])
def test_zero_and_what_is_expected_are_tried(right: tuple[float, float]) -> None:
    reference, current = shifted(int(right[0]), int(right[1]))
    search = Propagation(quarter_samples(reference), current, everywhere(*right, current), LAMBDA)
    flow = search.search(everywhere(-20, 11, current))
    assert torch.equal(flow[..., 2:-2, 2:-2], everywhere(*right, current)[..., 2:-2, 2:-2])


def test_quarters_of_a_pixel_are_found() -> None:
    before, after = texture((0, 0)), texture((0.75, -0.25))
    still = everywhere(0, 0, before)
    with torch.no_grad():
        flow = Propagation(quarter_samples(before), after, still, LAMBDA * 4).search(still)
    assert flow[..., 3:-3, 3:-3].mean((0, 2, 3)).tolist() == pytest.approx([-0.75, 0.25], abs=0.02)


def test_in_a_flat_picture_motion_comes_closer_to_what_is_expected() -> None:
    grey = torch.zeros(1, 1, 64, 64)
    expected = everywhere(1.5, -2, grey)
    start = torch.randn(1, 2, 8, 8, generator=torch.Generator().manual_seed(1)) * 4
    flow = Propagation(quarter_samples(grey), grey, expected, LAMBDA).search(start)
    assert float((flow - expected).abs().mean()) < 0.6 * float((start - expected).abs().mean())


def test_every_sample_is_searched_for_itself() -> None:
    one, two = shifted(3, 1), shifted(-6, 2)
    reference, current = torch.cat((one[0], two[0])), torch.cat((one[1], two[1]))
    start = everywhere(0, 0, current)
    start[0], start[1] = everywhere(3, 1, one[0])[0], everywhere(-6, 2, one[0])[0]
    start[:, :, 4, 4] = 0
    zero = everywhere(0, 0, current)
    lagrangian = torch.tensor([4096.0, 64.0]).view(-1, 1, 1, 1)
    both = Propagation(quarter_samples(reference), current, zero, lagrangian).search(start)
    alone = Propagation(quarter_samples(two[0]), two[1], zero[1:], lagrangian[1:]).search(start[1:])
    torch.testing.assert_close(both[1:], alone)


def test_an_error_is_that_of_the_window() -> None:
    reference, current = shifted(0, 0)
    search = Propagation(
        quarter_samples(reference), current + 0.1, everywhere(0, 0, current), LAMBDA
    )
    error = search.error(everywhere(0, 0, current))
    torch.testing.assert_close(error, torch.full_like(error, 0.01), atol=1e-4, rtol=0)


@pytest.mark.parametrize("reach", [0.0, 1.0, 30.0])
def test_errors_are_the_same_compiled(reach: float) -> None:
    """At the same nearest samples, those beyond the border too."""
    reference, current = noise(1).requires_grad_(), noise(2)
    flow = reach * torch.randn(
        everywhere(0, 0, current).shape, generator=torch.Generator().manual_seed(1)
    )
    flow = (flow * 8).round() / 8 + 1 / 16  # far from where two samples are as near
    zero = everywhere(0, 0, current)
    traced = Propagation(quarter_samples(reference), current, zero, LAMBDA).error(flow)
    with torch.no_grad():
        compiled = Propagation(quarter_samples(reference), current, zero, LAMBDA).error(flow)
    torch.testing.assert_close(compiled, traced, atol=1e-5, rtol=1e-4)


def test_most_common_is_the_mean_of_the_fullest_bin_per_picture() -> None:
    flow = torch.zeros(2, 2, 2, 3)
    flow[0, 0] = torch.tensor([[4.0, 4.1, 3.9], [-7, 0, 1]])
    flow[1, 1] = 2.0
    common = most_common(flow)
    assert common[0, :, 0, 0].tolist() == pytest.approx([4.0, 0.0])
    assert common[1, :, 1, 2].tolist() == [0.0, 2.0]
    assert common.shape == flow.shape


def test_neighbours_repeat_the_border() -> None:
    flow = torch.arange(12.0).view(1, 1, 3, 4).expand(1, 2, 3, 4)
    right, left, below, above = neighbours(flow, 1)
    assert right[0, 0, 0].tolist() == [1, 2, 3, 3] and left[0, 0, 0].tolist() == [0, 0, 1, 2]
    assert below[0, 0, :, 0].tolist() == [4, 8, 8] and above[0, 0, :, 0].tolist() == [0, 0, 4]
    assert neighbours(flow, 2)[0][0, 0, 0].tolist() == [2, 3, 3, 3]


def test_steps_are_the_eight_around() -> None:
    found = {tuple(s.flatten().tolist()) for s in steps(torch.zeros(1, 2, 1, 1), 0.5)}
    assert len(found) == 8 and (0.0, 0.0) not in found
    assert all(abs(v) in (0, 0.5) for pair in found for v in pair)


def test_where_errors_count_for_more_motion_is_less_smooth() -> None:
    """Two takes of noise and nothing else: what is found there is as rough as may be."""
    reference, current = 0.1 * noise(1), 0.1 * noise(2)
    zero = everywhere(0, 0, current)
    lagrangian = torch.full_like(zero[:, :1], 4096.0)
    lagrangian[..., 8:] = 16
    flow = Propagation(quarter_samples(reference), current, zero, lagrangian).search(zero)
    assert flow[..., :7].square().mean() > 4 * flow[..., 9:].square().mean()
