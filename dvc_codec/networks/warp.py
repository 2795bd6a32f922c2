"""Motion compensation's geometry: warping by a flow in pixels.

Convention (half of the field's silent bugs live here, so tests pin it): flow is in PIXELS of the
picture that is read, x first; ``align_corners=True``; positions outside repeat the border; zero
flow is the identity to the bit.
"""

from threading import Lock
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from dvc_codec.compiled import AVAILABLE
from dvc_codec.networks import warp_kernels
from dvc_codec.networks.planes import Planes

GRID = 4  # luma pixels per cell of the flow that frames are coded with
SAMPLES = 4  # to a pixel, of :func:`quarter_samples`
QUARTER = (-1, 4, -10, 58, 17, -5, 1, 0)  # /64, of the samples from -3 to 4
HALF = (-1, 4, -11, 40, 40, -11, 4, -1)
TAPS = (QUARTER, HALF, QUARTER[::-1])
MOST_KEPT = 40 * 2**20  # bytes of quarter samples that are kept with a plane: luma of 960x576


class _Sampled:
    """A picture's quarter samples, once somebody has asked for them."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.samples: Tensor | None = None


# By pictures, for as long as somebody remembers these: several frames are predicted from each
_sampled = WeakTensorKeyDictionary()
_sampled_lock = Lock()


def warp(
    picture: Tensor,
    flow: Tensor,
    mode: Literal["bilinear", "sharp"] = "bilinear",
    unit: float = 1,
    samples: Tensor | None = None,
) -> Tensor:
    """Fetch ``picture`` at positions displaced by ``flow`` (backward warping).

    Args:
        picture: (B, C, H, W), any range, float32.
        flow: (B, 2, H, W) in ``unit`` pixels of ``picture``; x first. Flow (1, 0) with unit 1 reads
            the pixel to the right.
        mode: "bilinear", or "sharp": bilinear between :func:`quarter_samples`. A chain of warps
            blurs; this one least (docs/experiments.md#sharp).
        unit: pixels that a flow of 1 stands for.
        samples: the picture's quarter samples, where they are known already.

    Returns:
        (B, C, H, W).

    Source: Lu et al., DVC (CVPR 2019), section 3.4.
    """
    if mode == "bilinear":
        moved = fetch(picture, _positions(flow.to(picture.dtype), unit, 1))
        return _keep_idle(picture, moved, _idle(flow))
    samples = quarter_samples(picture) if samples is None else samples
    if is_compiled(samples, flow):
        moved = torch.empty_like(picture, memory_format=torch.contiguous_format)
        for planes, along, out in zip(samples, flow.contiguous(), moved, strict=True):
            warp_kernels.sharp(planes.numpy(), along.numpy(), unit, out.numpy())
        return moved
    moved = fetch(interleaved(samples), _positions(flow.to(picture.dtype), unit, SAMPLES))
    return _keep_idle(picture, moved, _idle(flow))


def warp_overlapped(picture: Tensor, flow: Tensor, cell: int) -> Tensor:
    """Fetch along the motion of each of the four cells around a pixel, and blend: what a cell's
    motion says weighs less and less with the distance from its centre. Between cells that move
    apart that is two pictures, one fading into the other, where motion that is interpolated would
    fetch what belongs to neither.

    Args:
        picture: (B, C, H, W), any range, float32; read between its :func:`quarter_samples`.
        flow: (B, 2, H / cell, W / cell) in cells, x first.
        cell: pixels, even.

    Returns:
        (B, C, H, W). Zero flow is the identity to the bit.

    Source: Orchard and Sullivan, Overlapped Block Motion Compensation (IEEE Transactions on Image
    Processing, 1994).
    """
    h, w = picture.shape[-2:]
    samples = quarter_samples(picture)
    if is_compiled(samples, flow):
        compiled = torch.empty_like(picture, memory_format=torch.contiguous_format)
        for channels, along, outs in zip(samples, flow.contiguous(), compiled, strict=True):
            for planes, out in zip(channels, outs, strict=True):
                warp_kernels.overlapped(planes.numpy(), along.numpy(), cell, out.numpy())
        return compiled
    samples = interleaved(samples)
    around = F.pad(flow, (1, 1, 1, 1), mode="replicate")
    # of a pixel, the four cells around it; on the cells' grid that is a sixteenth of the work
    still = F.max_pool2d(1 - _idle(around).to(flow.dtype), 2, 1) == 0
    idle = still.repeat_interleave(cell, -1).repeat_interleave(cell, -2)
    idle = idle[..., cell // 2 : cell // 2 + h, cell // 2 : cell // 2 + w]
    around = F.interpolate(around, scale_factor=cell, mode="nearest")
    later = (torch.arange(cell, device=flow.device) + 0.5) / cell + 0.5
    later = later - later.floor()  # the share of the cell after a pixel, across a cell
    x_shares, y_shares = later.repeat(w // cell), later.repeat(h // cell)[:, None]
    moved: Tensor | float = 0.0
    for row, y_share in ((0, 1 - y_shares), (cell, y_shares)):
        for column, x_share in ((0, 1 - x_shares), (cell, x_shares)):
            top, left = cell // 2 + row, cell // 2 + column
            motion = around[..., top : top + h, left : left + w]
            moved = fetch(samples, _positions(motion, cell, SAMPLES)) * (y_share * x_share) + moved
    assert isinstance(moved, Tensor)
    return _keep_idle(picture, moved, idle)


def compensate(picture: Planes, flow: Tensor, mode: Literal["bilinear", "overlapped"]) -> Planes:
    """Warp luma at full and chroma at half size by (B, 2, H/4, W/4) flow in cells of that grid.

    "overlapped": luma along the motion of all cells around (:func:`warp_overlapped`), chroma
    sharply.
    """
    half = GRID // 2  # the chroma planes' grid is half of luma's
    along = enlarge(flow, half)
    if mode == "overlapped":
        luma = warp_overlapped(picture.luma, flow, GRID)
        return Planes(luma, warp(picture.chroma, along, "sharp", half))
    luma = warp(picture.luma, enlarge(flow, GRID), mode, GRID)
    return Planes(luma, warp(picture.chroma, along, mode, half))


def _idle(flow: Tensor) -> Tensor:
    """(B, 2, H, W) -> (B, 1, H, W) bool: where it is zero; ``all`` takes ten times as long."""
    return (flow[:, :1] == 0) & (flow[:, 1:] == 0)


def _keep_idle(picture: Tensor, moved: Tensor, idle: Tensor) -> Tensor:
    """``moved``, but the picture itself where nothing moves: normalised positions are a
    ten-thousandth of a pixel off.
    """
    if not moved.requires_grad:
        return torch.where(idle, picture, moved)
    return torch.where(idle, picture.detach() + (moved - moved.detach()), moved)


def fetch(
    picture: Tensor, grid: Tensor, mode: Literal["bilinear", "nearest"] = "bilinear"
) -> Tensor:
    """Read (B, C, H, W) at positions (B, h, w, 2) from -1 to 1 across it -> (B, C, h, w)."""
    return F.grid_sample(picture, grid, mode=mode, padding_mode="border", align_corners=True)


def is_compiled(*tensors: Tensor) -> bool:
    """Whether :mod:`.warp_kernels` can do it: float32, on a processor, without gradients."""
    return AVAILABLE and all(
        t.device.type == "cpu"
        and t.dtype == torch.float32
        and not (t.requires_grad and torch.is_grad_enabled())
        for t in tensors
    )


def quarter_samples(picture: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, C, 4, 4, H, W): [..., j, i, y, x] is j quarters below and i quarters
    right of the picture's (y, x), interpolated; the border is repeated. In inference mode those of
    a picture that is not too large are kept with it; it must not change then.

    Source: the luma filters of ITU-T H.265, 8.5.3.3.3.1.
    """
    if not is_compiled(picture):
        return _quarter_samples_anywhere(picture)
    if not torch.is_inference_mode_enabled() or SAMPLES**2 * picture.nbytes > MOST_KEPT:
        return _quarter_samples(picture)
    with _sampled_lock:
        kept: _Sampled = _sampled.setdefault(picture, _Sampled())
    with kept.lock:  # whoever else asks meanwhile waits
        if kept.samples is None:
            kept.samples = _quarter_samples(picture)
        return kept.samples


def _quarter_samples(picture: Tensor) -> Tensor:
    b, c, h, w = picture.shape
    samples = picture.new_empty(b, c, SAMPLES, SAMPLES, h, w)
    taps = np.asarray(TAPS, np.float32) / np.float32(64)
    planes = zip(picture.contiguous().flatten(0, 1), samples.flatten(0, 1), strict=True)
    for plane, out in planes:
        warp_kernels.quarter_planes(plane.numpy(), taps, out.numpy())
    return samples


def _quarter_samples_anywhere(picture: Tensor) -> Tensor:
    """As one convolution, whose backward pass is quick."""
    b, c, h, w = picture.shape
    taps = picture.new_tensor(((0, 0, 0, 64, 0, 0, 0, 0), *TAPS)) / 64
    kernels = torch.einsum("yi,xj->yxij", taps, taps).reshape(SAMPLES**2, 1, 8, 8)
    padded = F.pad(picture.reshape(b * c, 1, h, w), (3, 4, 3, 4), mode="replicate")
    samples = F.conv2d(padded, kernels).reshape(b, c, SAMPLES, SAMPLES, h, w)
    # what is right of or below the last pixel is its copy
    bottom = samples[..., :1, :, -1:, :].expand_as(samples[..., -1:, :])
    samples = torch.cat((samples[..., :-1, :], bottom), -2)
    right = samples[..., :1, :, -1:].expand_as(samples[..., -1:])
    return torch.cat((samples[..., :-1], right), -1)


def interleaved(samples: Tensor) -> Tensor:
    """(B, C, 4, 4, H, W) -> (B, C, 4H, 4W): what lies between the pixels, between them."""
    b, c, _, _, h, w = samples.shape
    return samples.permute(0, 1, 4, 2, 5, 3).reshape(b, c, SAMPLES * h, SAMPLES * w)


def _positions(flow: Tensor, unit: float, samples: int) -> Tensor:
    """(B, 2, H, W) -> (B, H, W, 2): where to read, from -1 to 1 across a picture that has
    ``samples`` samples to a pixel.
    """
    b, _, h, w = flow.shape
    x_scale, y_scale = 2 * samples / (samples * w - 1), 2 * samples / (samples * h - 1)
    x = torch.arange(w, device=flow.device, dtype=flow.dtype).view(1, 1, w) * x_scale - 1
    y = torch.arange(h, device=flow.device, dtype=flow.dtype).view(1, h, 1) * y_scale - 1
    if flow.requires_grad:
        columns = torch.add(x, flow[:, 0], alpha=unit * x_scale)
        return torch.stack((columns, torch.add(y, flow[:, 1], alpha=unit * y_scale)), -1)
    grid = flow.new_empty(b, h, w, 2)  # no copies: this is a tenth of the decoder's time
    torch.add(x, flow[:, 0], alpha=unit * x_scale, out=grid[..., 0])
    torch.add(y, flow[:, 1], alpha=unit * y_scale, out=grid[..., 1])
    return grid


def enlarge(flow: Tensor, factor: int) -> Tensor:
    """(B, C, h, w) -> (B, C, h * factor, w * factor), bilinear between cell centres.

    Values are kept: scale them yourself.
    """
    if factor == 1:
        return flow
    if factor % 2 == 0 and is_compiled(flow):
        b, c, h, w = flow.shape
        large = flow.new_empty(b, c, factor * h, factor * w)
        whole = flow.contiguous().flatten(0, 1), large.flatten(0, 1)
        warp_kernels.enlarge(whole[0].numpy(), factor, whole[1].numpy())
        return large
    return F.interpolate(flow, scale_factor=factor, mode="bilinear", align_corners=False)


def smooth(flow: Tensor) -> Tensor:
    """3x3 box filter, border excluded from the mean."""
    if is_compiled(flow):
        means = torch.empty_like(flow, memory_format=torch.contiguous_format)
        whole = flow.contiguous().flatten(0, 1), means.flatten(0, 1)
        warp_kernels.smooth(whole[0].numpy(), whole[1].numpy())
        return means
    return F.avg_pool2d(flow, 3, 1, 1, count_include_pad=False)
