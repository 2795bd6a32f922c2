"""The convention of warping: pixels, x first, align_corners, repeated borders, exact rest."""

import gc
import weakref

import pytest
import torch
from torch import Tensor

from dvc_codec.networks.warp import (
    enlarge,
    interleaved,
    quarter_samples,
    smooth,
    warp,
    warp_overlapped,
)

MODES = ("bilinear", "sharp")


def picture(height: int, width: int, channels: int = 2) -> Tensor:
    """Noise: every pixel differs from its neighbours, so a wrong one shows."""
    return torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(1)) - 0.5


def constant_flow(x: float, y: float, height: int, width: int) -> Tensor:
    return torch.tensor([x, y]).view(1, 2, 1, 1).expand(2, 2, height, width).clone()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("height", "width"), [(64, 64), (37, 101), (480, 832), (64, 1920)])
def test_zero_flow_is_the_identity(mode: str, height: int, width: int) -> None:
    original = picture(height, width)
    warped = warp(original, torch.zeros(2, 2, height, width), mode)
    assert torch.equal(warped, original)


def test_zero_flow_lets_gradients_through() -> None:
    original = picture(8, 8).requires_grad_()
    flow = torch.zeros(2, 2, 8, 8, requires_grad=True)
    warp(original, flow).square().sum().backward()
    assert original.grad is not None and flow.grad is not None
    assert torch.allclose(original.grad, 2 * original.detach(), atol=1e-4)
    assert float(flow.grad[..., 1:-1, 1:-1].abs().min()) > 0


@pytest.mark.parametrize("mode", MODES)
def test_flow_of_one_in_x_reads_the_pixel_to_the_right(mode: str) -> None:
    original = picture(48, 80)
    warped = warp(original, constant_flow(1, 0, 48, 80), mode)
    torch.testing.assert_close(warped[..., :-2], original[..., 1:-1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", MODES)
def test_flow_of_one_in_y_reads_the_pixel_below(mode: str) -> None:
    original = picture(48, 80)
    warped = warp(original, constant_flow(0, 1, 48, 80), mode)
    torch.testing.assert_close(warped[..., :-2, :], original[..., 1:-1, :], atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shift", [(3, -2), (-7, 5), (0, 4)])
def test_integer_shifts_move_whole_pixels(mode: str, shift: tuple[int, int]) -> None:
    original, (x, y) = picture(48, 80), shift
    warped = warp(original, constant_flow(x, y, 48, 80), mode)
    inside = (slice(None), slice(None), slice(10, -10), slice(10, -10))
    moved = torch.roll(original, (-x, -y), (-1, -2))
    torch.testing.assert_close(warped[inside], moved[inside], atol=1e-4, rtol=0)


@pytest.mark.parametrize("mode", MODES)
def test_borders_repeat(mode: str) -> None:
    original = picture(16, 24)
    right = warp(original, constant_flow(100, 0, 16, 24), mode)
    above = warp(original, constant_flow(0, -100, 16, 24), mode)
    torch.testing.assert_close(right, original[..., -1:].expand_as(original), atol=1e-5, rtol=0)
    torch.testing.assert_close(above, original[..., :1, :].expand_as(original), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("height", "width"), [(64, 64), (64, 256), (256, 64)])
def test_a_pixel_of_flow_is_a_pixel_in_pictures_of_any_size(height: int, width: int) -> None:
    """A flow in units of the normalised grid would move twice as far in a picture twice as wide."""
    ramp = torch.arange(width).float().expand(2, 1, height, width).contiguous()
    moved = (warp(ramp, constant_flow(2.5, 0, height, width)) - ramp)[..., :-3]
    torch.testing.assert_close(moved, torch.full_like(moved, 2.5), atol=1e-4, rtol=0)


def test_half_a_pixel_is_the_mean_of_two() -> None:
    original = picture(16, 24)
    warped = warp(original, constant_flow(0.5, 0, 16, 24))
    mean = (original[..., 1:] + original[..., :-1]) / 2
    torch.testing.assert_close(warped[..., :-1], mean, atol=1e-4, rtol=0)


def test_agrees_with_kornia_given_align_corners() -> None:
    geometry = pytest.importorskip("kornia.geometry.transform")
    original = picture(40, 56)
    flow = 3 * torch.randn(2, 2, 40, 56, generator=torch.Generator().manual_seed(2))
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(56.0), indexing="ij")
    theirs = geometry.remap(
        original, x + flow[:, 0], y + flow[:, 1], padding_mode="border", align_corners=True
    )
    torch.testing.assert_close(warp(original, flow), theirs, atol=1e-4, rtol=0)


def test_enlarging_keeps_values_and_centres() -> None:
    ramp = torch.arange(8.0).expand(1, 2, 8, 8).contiguous()
    large = enlarge(ramp, 4)
    assert large.shape == (1, 2, 32, 32)
    # cell centres: the mean of a cell's pixels is its value, away from the border
    means = large.unfold(2, 4, 4).unfold(3, 4, 4).mean((-1, -2))
    torch.testing.assert_close(means[..., 1:-1], ramp[..., 1:-1])


def test_smoothing_keeps_a_constant_up_to_the_border() -> None:
    flow = constant_flow(1.25, -3, 8, 8)
    torch.testing.assert_close(smooth(flow), flow)


def test_quarter_samples_lie_between_the_pixels() -> None:
    original = picture(16, 24)
    samples = quarter_samples(original)
    assert samples.shape == (2, 2, 4, 4, 16, 24)
    assert torch.equal(samples[:, :, 0, 0], original)
    assert torch.equal(interleaved(samples)[..., 3::4, 2::4], samples[:, :, 3, 2])
    ramp = (torch.arange(24.0) + 2 * torch.arange(16.0)[:, None]).expand(1, 1, 16, 24)
    inside = interleaved(quarter_samples(ramp))[0, 0, 16:-20, 16:-20]
    x, y = torch.arange(inside.shape[1]) / 4, torch.arange(inside.shape[0]) / 4
    # the standard's quarter sample of a ramp lies at 15/64
    expected = ramp[0, 0, 4, 4] + x + 2 * y[:, None]
    torch.testing.assert_close(inside, expected, atol=3.1 / 64, rtol=0)


def test_quarter_samples_are_the_same_with_gradients() -> None:
    original = picture(16, 24)
    plain = quarter_samples(original)
    original.requires_grad_()
    traced = quarter_samples(original)
    torch.testing.assert_close(plain, traced, atol=1e-6, rtol=0)
    traced.sum().backward()  # filters of sum 1: every pixel counts for 16 samples, off the border
    assert original.grad is not None
    torch.testing.assert_close(original.grad[..., 8:-8, 8:-8], torch.full((2, 2, 0, 8), 16.0))


def test_a_sharp_warp_keeps_fine_detail() -> None:
    """Waves of three pixels, moved there and back by a quarter of a pixel eight times."""
    wave = torch.sin(torch.arange(96.0) * 2 * torch.pi / 3).expand(1, 1, 16, 96)
    left = {}
    for mode in MODES:
        moved = wave
        for turn in range(8):
            moved = warp(moved, constant_flow((-1) ** turn / 4, 0, 16, 96)[:1], mode)
        left[mode] = float(moved[..., 24:-24].abs().mean() / wave[..., 24:-24].abs().mean())
    assert left["sharp"] > 0.7 > 0.2 > left["bilinear"], left


def test_overlapped_motion_that_is_the_same_everywhere_is_a_sharp_warp() -> None:
    original = picture(32, 48)
    motion = constant_flow(0.4, -0.7, 8, 12)
    expected = warp(original, enlarge(motion, 4), "sharp", 4)
    assert torch.allclose(warp_overlapped(original, motion, 4), expected, atol=1e-5)


def test_overlapped_cells_fade_into_each_other() -> None:
    """Pixels beside the edge of cells that move apart mix both pictures, by their distance from the
    two centres; pixels beyond the neighbour's centre see nothing of it.
    """
    original = picture(4, 16)
    motion = torch.zeros(2, 2, 1, 4)
    motion[:, 0, :, 2:] = 1  # columns from 8 on move by 4 pixels
    moved = warp(original, constant_flow(4, 0, 4, 16))
    got = warp_overlapped(original, motion, 4)
    share = torch.tensor([0.0] * 6 + [0.125, 0.375, 0.625, 0.875] + [1.0] * 6)
    assert torch.allclose(got, original + share * (moved - original), atol=1e-5)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (240, 416), (64, 1920)])
def test_overlapped_zero_flow_is_the_identity(height: int, width: int) -> None:
    original = picture(height, width).requires_grad_()
    motion = torch.zeros(2, 2, height // 4, width // 4)
    assert torch.equal(warp_overlapped(original.detach(), motion, 4), original)
    warp_overlapped(original, motion, 4).sum().backward()
    assert original.grad is not None
    assert original.grad.mean().item() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("component", [0, 1])
def test_what_no_moving_cell_reaches_stays_to_the_bit(component: int) -> None:
    original = picture(240, 416)
    motion = torch.zeros(2, 2, 60, 104)
    motion[1, component, 30, 50] = 0.7
    same = (warp_overlapped(original, motion, 4) == original).all(1)
    expected = torch.ones_like(same)
    expected[1, 118:126, 198:206] = False  # the cell, and half a cell around it
    assert torch.equal(same, expected)


def test_overlapped_motion_learns() -> None:
    motion = torch.zeros(2, 2, 4, 4).requires_grad_()
    warp_overlapped(picture(16, 16), motion + 0.1, 4).square().sum().backward()
    assert motion.grad is not None and motion.grad.abs().sum() > 0


@pytest.mark.parametrize(("height", "width"), [(16, 16), (64, 96), (32, 128)])
@pytest.mark.parametrize("reach", [0.0, 0.1, 2.0, 40.0])
def test_compiled_warps_are_those_that_have_gradients(
    height: int, width: int, reach: float
) -> None:
    """Noise on noise, out of the picture on every side, and cells at rest between moving ones."""
    original = picture(height, width)
    chance = torch.Generator().manual_seed(2)
    cells = reach * torch.randn(2, 2, height // 4, width // 4, generator=chance)
    cells *= torch.rand(cells[:, :1].shape, generator=chance) > 0.4
    traced = original.clone().requires_grad_()
    overlapped = warp_overlapped(traced, cells, 4)
    torch.testing.assert_close(warp_overlapped(original, cells, 4), overlapped, atol=2e-4, rtol=0)
    flow = enlarge(cells, 4)
    sharp = warp(traced, flow, "sharp", 4)
    torch.testing.assert_close(warp(original, flow, "sharp", 4), sharp, atol=2e-4, rtol=0)
    whole = flow.round() / 4  # beyond the border nothing is read but the border, to the bit
    assert warp(original, whole - 1000, "sharp", 4).unique().numel() == len(original) * 2


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_motion_that_is_no_number_reads_the_picture(value: float) -> None:
    """Whatever weights and symbols make of it: compiled loops know no bounds."""
    original = picture(16, 16)
    motion = torch.full((2, 2, 4, 4), value)
    assert warp_overlapped(original, motion, 4).abs().max() < 1
    assert warp(original, enlarge(motion, 4), "sharp", 4).abs().max() < 1


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 5), (4, 1), (2, 2), (9, 13)])
def test_enlarging_and_smoothing_are_the_same_compiled(height: int, width: int) -> None:
    flow = picture(height, width)
    traced = flow.clone().requires_grad_()
    torch.testing.assert_close(smooth(flow), smooth(traced), atol=1e-6, rtol=0)
    for factor in (2, 4, 8):
        expected = enlarge(traced, factor)
        torch.testing.assert_close(enlarge(flow, factor), expected, atol=1e-6, rtol=0)


def test_samples_are_kept_with_their_picture_in_inference_mode_alone() -> None:
    with torch.inference_mode():
        one, other = picture(64, 64), picture(64, 64)
        found = quarter_samples(one)
        assert quarter_samples(one) is found
        assert quarter_samples(other) is not found  # equal, but another picture
        gone = weakref.ref(found)
    del one, found
    gc.collect()
    assert gone() is None
    changing = picture(64, 64)
    before = quarter_samples(changing)
    changing += 1
    assert torch.allclose(quarter_samples(changing), before + 1, atol=1e-5)
