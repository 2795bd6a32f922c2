"""Motion compensation's geometry: warping by a flow in pixels.

Convention (half of the field's silent bugs live here, so tests pin it): flow is in PIXELS of the
picture that is read, x first; ``align_corners=True``; positions outside repeat the border; zero
flow is the identity to the bit.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(picture: Tensor, flow: Tensor, mode: str = "bilinear") -> Tensor:
    """Fetch ``picture`` at positions displaced by ``flow`` (backward warping).

    Args:
        picture: (B, C, H, W), any range, float32.
        flow: (B, 2, H, W) in pixels of ``picture``; x first. Flow (1, 0) reads the pixel to the
            right.
        mode: "bilinear" or "bicubic".

    Returns:
        (B, C, H, W).

    Source: Lu et al., DVC (CVPR 2019), section 3.4.
    """
    h, w = picture.shape[-2:]
    x = torch.arange(w, device=flow.device).view(1, 1, w) + flow[:, 0]
    y = torch.arange(h, device=flow.device).view(1, h, 1) + flow[:, 1]
    grid = torch.stack((_normalise(x, w), _normalise(y, h)), -1)
    moved = F.grid_sample(picture, grid, mode=mode, padding_mode="border", align_corners=True)
    # normalised positions are a ten-thousandth of a pixel off: not the identity to the bit
    idle = (flow == 0).all(1, keepdim=True)
    if not moved.requires_grad:
        return torch.where(idle, picture, moved)
    return torch.where(idle, picture.detach() + (moved - moved.detach()), moved)


def _normalise(position: Tensor, size: int) -> Tensor:
    return position * (2 / (size - 1)) - 1


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
