"""The search finds known motion, with nothing trained."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from dvc_codec.networks.flow import (
    GRID,
    MARGIN,
    PULL,
    FlowEstimator,
    find,
    least_squares,
    match_pyramid,
)
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.warp import enlarge, quarter_samples, warp

LAMBDA = torch.tensor([4096.0])
EDGE = 24  # pixels that the motion brings in from outside, and a matching window


def texture(shift: tuple[float, float], width: int = 192, height: int = 128) -> Tensor:
    """Luma (1, 1, height, width) of 60 waves moved right and down by ``shift``: exact at any
    fraction of a pixel. Wave lengths of 6 to 200 pixels, each octave as strong, as in nature.
    """
    random = np.random.default_rng(3)
    length, angle = np.exp(random.uniform(math.log(6), math.log(200), 60)), random.uniform(0, 7, 60)
    waves = 2 * math.pi / length[:, None] * np.stack((np.cos(angle), np.sin(angle)), 1)
    phases, strength = random.uniform(0, 2 * math.pi, 60), 0.1 * length / 200 + 0.005
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    luma = sum(
        s * np.sin(wx * (x - shift[0]) + wy * (y - shift[1]) + phase)
        for s, (wx, wy), phase in zip(strength, waves, phases, strict=True)
    )
    return torch.from_numpy(np.asarray(luma, np.float32))[None, None]


def nothing(luma: Tensor) -> Tensor:
    """Zero flow for a picture."""
    b, _, h, w = luma.shape
    return torch.zeros(b, 2, h // GRID, w // GRID)


def matched(before: Tensor, after: Tensor) -> Tensor:
    """What matching alone finds."""
    penalty, margin = ((c / LAMBDA).view(-1, 1, 1, 1) for c in (3e-2, MARGIN))
    return match_pyramid(before, after, nothing(before), penalty, margin)


def pull() -> Tensor:
    """As :class:`FlowEstimator` sets it."""
    return (PULL / LAMBDA.sqrt()).view(-1, 1, 1)


def psnr(a: Tensor, b: Tensor) -> float:
    inside = (..., slice(EDGE, -EDGE), slice(EDGE, -EDGE))
    return -10 * math.log10(float((a[inside] - b[inside]).square().mean()) + 1e-12)


@pytest.mark.parametrize(
    "shift", [(1, 0), (0, -2), (-3, 2), (0.5, 0), (-1.5, 0.5), (0.25, -0.75), (5, 4)]
)
def test_a_known_shift_is_found_and_undone(shift: tuple[float, float]) -> None:
    before, after = texture((0, 0)), texture(shift)
    with torch.no_grad():
        flow = FlowEstimator()(before, after, nothing(before), LAMBDA)
    found = flow[..., 6:-6, 6:-6].mean((0, 2, 3)) * GRID
    assert found.tolist() == pytest.approx([-shift[0], -shift[1]], abs=0.25)
    warped = warp(before, enlarge(flow, GRID) * GRID, "sharp")
    assert psnr(warped, after) > max(45, psnr(before, after) + 8)


def test_a_still_picture_has_no_motion() -> None:
    with torch.no_grad():
        flow = FlowEstimator()(texture((0, 0)), texture((0, 0)), nothing(texture((0, 0))), LAMBDA)
    assert float(flow.abs().max()) * GRID < 0.01


def test_a_flat_picture_has_no_motion() -> None:
    grey = torch.zeros(1, 1, 64, 64)
    with torch.no_grad():
        assert float(FlowEstimator()(grey, grey, nothing(grey), LAMBDA).abs().max()) < 1e-6


def test_untrained_refinement_is_zero() -> None:
    before, after = texture((0, 0)), texture((1.5, 0))
    with torch.no_grad():
        estimated = FlowEstimator()(before, after, nothing(before), LAMBDA)
        found = find(before, quarter_samples(before), after, nothing(before), LAMBDA)
    assert torch.equal(estimated, found)


@pytest.mark.parametrize("shift", [(0.3, -0.6), (0.25, -0.75), (2.4, 1.7)])
def test_least_squares_finds_fractions_that_matching_misses(shift: tuple[float, float]) -> None:
    before, after = texture((0, 0)), texture(shift)
    with torch.no_grad():
        found = [matched(before, after)]
        for _ in range(3):
            found.append(least_squares(before, after, found[-1], pull()))
    quality = [psnr(warp(before, enlarge(f, GRID) * GRID, "sharp"), after) for f in found]
    assert quality[1] > quality[0] + 4 and quality[-1] > quality[0] + 6, quality
    assert quality[-1] > 55


def test_least_squares_needs_no_matching_within_a_pixel() -> None:
    before, after = texture((0, 0)), texture((0.3, -0.6))
    flow = nothing(before)
    with torch.no_grad():
        for _ in range(3):
            flow = least_squares(before, after, flow, pull())
    assert psnr(warp(before, enlarge(flow, GRID) * GRID, "sharp"), after) > 50
    found = flow[..., 6:-6, 6:-6].mean((0, 2, 3)) * GRID
    assert found.tolist() == pytest.approx([-0.3, 0.6], abs=0.1)


@pytest.mark.parametrize("luma", [texture((0, 0)), torch.zeros(1, 1, 64, 64)])
def test_least_squares_leaves_a_still_or_flat_picture_alone(luma: Tensor) -> None:
    with torch.no_grad():
        flow = least_squares(luma, luma, nothing(luma), pull())
    assert not flow.any()


def test_least_squares_holds_what_has_no_texture_to_its_neighbours() -> None:
    """In a flat picture a cell that stands out goes to its neighbours' mean, and none further."""
    grey = torch.zeros(1, 1, 64, 64)
    flow = nothing(grey)
    flow[..., 8, 8] = 0.09
    with torch.no_grad():
        moved = least_squares(grey, grey, flow, pull())
    assert moved[0, :, 8, 8].tolist() == pytest.approx([0.01, 0.01], abs=1e-6)


def test_least_squares_moves_stripes_across_themselves() -> None:
    """Slanted ones, moved to the right by 0.6: only 0.3 right and 0.3 down can be seen of it."""
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(128.0), indexing="ij")
    before, after = (0.1 * torch.sin((x - shift + y) / 3)[None, None] for shift in (0, 0.6))
    flow = nothing(before)
    with torch.no_grad():
        for _ in range(3):
            flow = least_squares(before, after, flow, pull())
    assert float((flow[..., 6:-6, 6:-6] * GRID + 0.3).abs().max()) < 0.03
    assert psnr(warp(before, enlarge(flow, GRID) * GRID, "sharp"), after) > 50


def test_least_squares_moves_by_at_most_a_pixel() -> None:
    before, after = texture((0, 0)), texture((5, 4))
    with torch.no_grad():
        flow = least_squares(before, after, nothing(before), pull() * 0 + 1e-9)
    assert 0.9 < float(flow.abs().max()) * GRID <= 1


def test_expected_motion_is_found_where_the_pyramid_misses_it() -> None:
    """A fine stripe pattern: coarse levels see nothing, and every 6 pixels look alike."""
    x = torch.arange(128.0).expand(1, 1, 64, 128)
    before, after = (0.2 * torch.sin((x - shift) * math.pi / 3) for shift in (0, 9))
    expected = nothing(before)
    expected[:, 0] = -9 / GRID
    with torch.no_grad():
        flow = FlowEstimator()(before, after, expected, LAMBDA)
    assert float((flow - expected)[..., 6:-6].abs().max()) * GRID < 0.2


@pytest.mark.parametrize("shift", [(70, 20), (-60, -20)])
def test_motion_is_found_beyond_what_one_coarse_level_sees(shift: tuple[float, float]) -> None:
    before, after = (texture(s, height=384, width=640) for s in ((0, 0), shift))
    with torch.no_grad():
        flow = FlowEstimator()(before, after, nothing(before), LAMBDA)[..., 16:-16, 32:-32] * GRID
    away = (flow + torch.tensor(shift).view(1, 2, 1, 1)).norm(dim=1)
    assert float((away < 0.5).float().mean()) > 0.9


def test_matching_lets_gradients_through() -> None:
    before, after = texture((0, 0), 64, 64).requires_grad_(), texture((0.5, 0), 64, 64)
    some = torch.full((1, 1, 1, 1), 1e-4)
    match_pyramid(before, after, nothing(before), some, some).sum().backward()
    assert before.grad is not None and float(before.grad.abs().max()) > 0


def test_flow_is_per_sample() -> None:
    before = torch.cat((texture((0, 0)), texture((0, 0))))
    after = torch.cat((texture((2, 0)), texture((0, -1))))
    estimate = FlowEstimator()
    with torch.no_grad():
        both = estimate(before, after, nothing(before), torch.tensor([64.0, 4096.0]))
        one = estimate(before[1:], after[1:], nothing(before[1:]), torch.tensor([4096.0]))
    torch.testing.assert_close(both[1:], one, atol=1e-5, rtol=0)


def test_motion_of_a_still_sequence_costs_nothing() -> None:
    network = PFrameNetwork()
    flow = torch.zeros(1, 2, 16, 16)
    with torch.no_grad():
        predicted = network.motion.predict(flow)
        means, detail = network.motion.analyse(flow, predicted, torch.tensor([42]))
        expected = network.motion.expected_detail(means, torch.tensor([42]))
    assert all(float(x.abs().max()) == 0 for x in (predicted, means, detail, expected))


def test_errors_that_count_as_usual_are_the_same_as_without_weights() -> None:
    before, after = texture((0, 0)), texture((2.25, -1.5))
    samples, usual = quarter_samples(before), before.new_ones(1, 1, 16, 24)
    found = (before, samples, after, nothing(before), LAMBDA)
    assert torch.equal(find(*found, usual), find(*found))
    assert not torch.equal(find(*found, usual / 100), find(*found))


def test_least_squares_are_the_same_compiled() -> None:
    before, after = texture((0, 0)), texture((0.4, -0.3))
    flow = 0.1 * torch.randn(nothing(before).shape, generator=torch.Generator().manual_seed(1))
    traced = least_squares(before, after.clone().requires_grad_(), flow, pull())
    compiled = least_squares(before, after, flow, pull())
    torch.testing.assert_close(compiled, traced, atol=1e-4, rtol=0)
