"""Optical flow for the encoder: a pyramid of small networks, each correcting the flow of the level
above.

Source: Ranjan and Black, Optical Flow Estimation using a Spatial Pyramid Network (CVPR 2017), with
the paper's five levels; here on luma, full size to 1/16, and without its pre-trained weights.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.networks.dvc2019.layers import small
from dvc_codec.networks.warp import enlarge, warp

LEVELS = 5


class FlowPyramid(nn.Module):
    """Two luma planes -> the flow between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(FlowLevel(channels) for _ in range(LEVELS))

    def forward(self, reference: Tensor, current: Tensor) -> Tensor:
        """Luma (B, 1, H, W) x 2, multiples of 16 -> flow (B, 2, H, W) in pixels, x first:
        ``warp(reference, flow)`` resembles ``current``.
        """
        pyramid = [(reference, current)]
        for _ in range(LEVELS - 1):
            one, other = pyramid[-1]
            pyramid.append((F.avg_pool2d(one, 2), F.avg_pool2d(other, 2)))
        top = pyramid[-1][0]
        flow = top.new_zeros(len(top), 2, *top.shape[-2:])
        for level, (one, other) in zip(self.levels, reversed(pyramid), strict=True):
            if one is not top:
                flow = 2 * enlarge(flow, 2)
            correction: Tensor = level(torch.cat((other, warp(one, flow), flow), 1))
            flow = flow + correction
        return flow


class FlowLevel(nn.Sequential):
    """Current luma, warped reference, flow: (B, 4, h, w) -> what the flow misses, (B, 2, h, w)."""

    def __init__(self, channels: int) -> None:
        def conv(inputs: int, outputs: int) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 7, padding=3)

        c = channels
        super().__init__(
            conv(4, c),
            nn.ReLU(),
            conv(c, 2 * c),
            nn.ReLU(),
            conv(2 * c, c),
            nn.ReLU(),
            conv(c, c // 2),
            nn.ReLU(),
            small(conv(c // 2, 2)),
        )
