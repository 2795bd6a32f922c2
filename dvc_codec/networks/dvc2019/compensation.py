"""Motion compensation: warp the reference, then repair it with a residual U-Net (paper, section
3.4).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.networks.blocks import ResidualBlock, activate
from dvc_codec.networks.dvc2019.layers import small
from dvc_codec.networks.dvc2019.packing import CHANNELS, pack, unpack
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.warp import warp


def compensate(picture: Planes, flow: Tensor) -> Planes:
    """Fetch every sample along ``flow`` (B, 2, H, W), in luma pixels, x first; bilinear.

    Convention: as :func:`dvc_codec.networks.warp.warp`; zero flow is the identity once rounded to
    8 bits. A chroma sample moves by the mean of its four luma pixels, in its own.
    """
    return Planes(warp(picture.luma, flow), warp(picture.chroma, F.avg_pool2d(flow, 2) / 2))


class Compensation(nn.Module):
    """Warped reference, reference and flow -> the prediction: the warped one and a correction.

    On packed pictures: what the paper does at full, 1/2 and 1/4 size happens at 1/2, 1/4 and 1/8.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(2 * CHANNELS + 2, channels, 3, padding=1)
        self.down2, self.down4, self.down8, self.up8, self.up4, self.up2 = (
            ResidualBlock(channels) for _ in range(6)
        )
        self.last = nn.Conv2d(channels, channels, 3, padding=1)
        self.leave = small(nn.Conv2d(channels, CHANNELS, 3, padding=1))

    def forward(self, warped: Planes, reference: Planes, flow: Tensor) -> Planes:
        """``flow`` as for :func:`compensate`."""
        base = pack(warped)
        x2 = self.down2(
            self.enter(torch.cat((base, pack(reference), F.avg_pool2d(flow, 2) / 2), 1))
        )
        x4 = self.down4(F.avg_pool2d(x2, 2))
        x8 = self.up8(self.down8(F.avg_pool2d(x4, 2)))
        x4 = self.up4(x4 + F.interpolate(x8, scale_factor=2, mode="bilinear"))
        x2 = self.up2(x2 + F.interpolate(x4, scale_factor=2, mode="bilinear"))
        return unpack(base + self.leave(activate(self.last(activate(x2)))))
