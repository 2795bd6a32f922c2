"""Motion compensation's geometry: warping by a flow in pixels.

Convention (half of the field's silent bugs live here, so tests pin it): flow is in PIXELS of the
picture that is read, x first; ``align_corners=True``; positions outside repeat the border; zero
flow is the identity to the bit.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(picture: Tensor, flow: Tensor, mode: str = "bilinear", unit: float = 1.0) -> Tensor:
    """Fetch ``picture`` at positions displaced by ``flow`` (backward warping).

    Args:
        picture: (B, C, H, W), any range, float32.
        flow: (B, 2, H, W) in ``unit`` pixels of ``picture``; x first. Flow (1, 0) with unit 1 reads
            the pixel to the right.
        mode: "bilinear" or "bicubic".
        unit: pixels that a flow of 1 stands for.

    Returns:
        (B, C, H, W).

    Source: Lu et al., DVC (CVPR 2019), section 3.4.
    """
    grid = _positions(flow.to(picture.dtype), unit)
    moved = F.grid_sample(picture, grid, mode=mode, padding_mode="border", align_corners=True)
    # normalised positions are a ten-thousandth of a pixel off: not the identity to the bit
    idle = (flow[:, :1] == 0) & (flow[:, 1:] == 0)
    if not moved.requires_grad:
        return torch.where(idle, picture, moved)
    return torch.where(idle, picture.detach() + (moved - moved.detach()), moved)


def _positions(flow: Tensor, unit: float) -> Tensor:
    """(B, 2, H, W) -> (B, H, W, 2): where to read, from -1 to 1 across the picture."""
    b, _, h, w = flow.shape
    x = torch.arange(w, device=flow.device, dtype=flow.dtype).view(1, 1, w) * (2 / (w - 1)) - 1
    y = torch.arange(h, device=flow.device, dtype=flow.dtype).view(1, h, 1) * (2 / (h - 1)) - 1
    x_scale, y_scale = unit * 2 / (w - 1), unit * 2 / (h - 1)
    if flow.requires_grad:
        columns = torch.add(x, flow[:, 0], alpha=x_scale)
        return torch.stack((columns, torch.add(y, flow[:, 1], alpha=y_scale)), -1)
    grid = flow.new_empty(b, h, w, 2)  # no copies: this is a tenth of the decoder's time
    torch.add(x, flow[:, 0], alpha=x_scale, out=grid[..., 0])
    torch.add(y, flow[:, 1], alpha=y_scale, out=grid[..., 1])
    return grid


def enlarge(flow: Tensor, factor: int) -> Tensor:
    """(B, C, h, w) -> (B, C, h * factor, w * factor), bilinear between cell centres.

    Values are kept: scale them yourself.
    """
    if factor == 1:
        return flow
    return F.interpolate(flow, scale_factor=factor, mode="bilinear", align_corners=False)


def smooth(flow: Tensor) -> Tensor:
    """3x3 box filter, border excluded from the mean."""
    return F.avg_pool2d(flow, 3, 1, 1, count_include_pad=False)
