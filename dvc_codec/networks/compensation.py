"""Motion compensation: from the warped reference, and everything else that is known, to a
prediction and its context.
"""

from typing import NamedTuple

from torch import Tensor, nn

from dvc_codec.networks.blocks import RateGain, ResidualBlock, Up, activate, conv, join, plain
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.planes import PACKED_CHANNELS, Planes, pack


class Context(NamedTuple):
    """Features of the prediction for whoever codes the rest: on the 1/4 and on the 1/8 grid."""

    quarter: Tensor
    eighth: Tensor


class Compensation(nn.Module):
    """U-Net over the 1/4, 1/8 and 1/16 grids. Its correction starts at zero: untrained, the
    prediction is the warped picture.

    Differences go in, and the correction comes out, in units of the quantiser's step: they are
    small, and known in size.
    """

    def __init__(self, config: PFrameConfig) -> None:
        super().__init__()
        c4, c8, c16 = config.quarter, config.eighth, config.sixteenth
        self.enter = conv(3 * PACKED_CHANNELS + config.features + 2 + 1, c4)
        self.gain = RateGain(c4)
        self.down4 = ResidualBlock(c4)
        self.to8 = conv(c4, c8, stride=2)
        self.down8 = ResidualBlock(c8)
        self.to16 = conv(c8, c16, stride=2)
        self.bottom = ResidualBlock(c16)
        self.from16 = Up(c16, c8)
        self.up8 = ResidualBlock(c8)
        self.from8 = Up(c8, c4)
        self.up4 = ResidualBlock(c4)
        self.leave = conv(c4, PACKED_CHANNELS, zero=True)

    def forward(
        self,
        warped: Planes,
        older: Planes,
        still: Planes,
        features: Tensor,
        flow: Tensor,
        rate: Tensor,
        unit: Tensor,
    ) -> tuple[Tensor, Context]:
        """Predict the current picture, packed.

        Args:
            warped: the reference, motion compensated.
            older: the picture before the reference, motion compensated.
            still: the reference as it is.
            features: (B, F, H/4, W/4) propagated features, motion compensated.
            flow: (B, 2, H/4, W/4) decoded.
            rate: (B, 1, 1, 1) in [-1, 1].
            unit: (B, 1, 1, 1) size of a quantiser step, see ``rate.residual_scale``.
        """
        base = pack(warped)
        inputs = (
            base * 3,
            (pack(older) - base) / unit * 0.7,
            (pack(still) - base) / unit * 0.7,
            features,
            flow * 0.25,
            rate.expand(-1, 1, *flow.shape[-2:]),
        )
        x = self.gain(self.enter(join(inputs, features.dtype)), rate)
        x4 = self.down4(x)
        x8 = self.down8(self.to8(activate(x4)))
        x16 = self.bottom(self.to16(activate(x8)))
        x8 = self.up8(x8 + self.from16(activate(x16)))
        x4 = self.up4(x4 + self.from8(activate(x8)))
        correction = plain(self.leave(activate(x4))) * (0.15 * unit)
        return base + correction, Context(x4, x8)
