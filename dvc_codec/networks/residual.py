"""The residual autoencoder: a DCT bypass, a learned addition on the encoder's side, and an in-loop
filter on the decoder's.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from dvc_codec.networks.blocks import RateGain, ResidualBlock, Up, activate, conv, join, plain
from dvc_codec.networks.compensation import Context
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.planes import PACKED_CHANNELS, Planes
from dvc_codec.networks.rate import Steps
from dvc_codec.networks.transform import BlockTransform

LUMA, CHROMA = "luma", "chroma"  # planes of symbols, in coding order

LUMA_BLOCK = CHROMA_BLOCK = 8
# Of the closed-form step, measured (docs/experiments.md#steps). Chroma is finer than its share of
# lambda D + R asks for: judged by the mean of the planes' dB, its errors weigh more than in D
FINER, FINER_CHROMA = 0.52, 0.32


class ResidualAutoencoder(nn.Module):
    """Residual <-> latents in quantiser steps: luma (B, 64, H/8, W/8) and chroma (B, 128, H/16,
    W/16).
    """

    def __init__(self, config: PFrameConfig) -> None:
        super().__init__()
        self.luma = BlockTransform(LUMA_BLOCK, 1)
        self.chroma = BlockTransform(CHROMA_BLOCK, 2)
        self.luma_steps = Steps(64, 11.5, FINER)
        self.chroma_steps = Steps(128, 17.3, FINER_CHROMA)
        self.enter = conv(64 + config.eighth, config.eighth)
        self.leave = conv(config.eighth, 64, zero=True)

    def analyse(self, residual: Planes, rate_index: Tensor) -> tuple[Tensor, Tensor]:
        """Encoder: residual -> luma and chroma latents of the bypass, before rounding."""
        luma: Tensor = self.luma(residual.luma)
        chroma: Tensor = self.chroma(residual.chroma)
        return luma / self.luma_steps(rate_index), chroma / self.chroma_steps(rate_index)

    def learned(self, luma: Tensor, context: Context) -> Tensor:
        """Encoder: what the network adds to the bypass's luma latents, knowing the prediction's
        context.
        """
        seen = torch.cat((luma.to(context.eighth.dtype), context.eighth), 1)
        addition: Tensor = self.leave(activate(self.enter(seen)))
        return 0.3 * addition.float()

    def synthesise(self, luma: Tensor, chroma: Tensor, rate_index: Tensor) -> Planes:
        """Decoder: symbols -> residual."""
        return Planes(
            self.luma.inverse(luma * self.luma_steps(rate_index)),
            self.chroma.inverse(chroma * self.chroma_steps(rate_index)),
        )


class Filtered(NamedTuple):
    """What the loop filter makes of a frame: the picture, not yet rounded, and what it added to it
    (both packed); what it knew at last (B, quarter, H/4, W/4), and of that the features (B,
    features, H/4, W/4) for the next frame.
    """

    packed: Tensor
    correction: Tensor
    memory: Tensor
    features: Tensor


class LoopFilter(nn.Module):
    """Sees the prediction, its context and the decoded residual; removes what the quantiser did;
    yields the next features.
    """

    def __init__(self, config: PFrameConfig) -> None:
        super().__init__()
        c4, c8 = config.quarter, config.eighth
        self.enter = conv(2 * PACKED_CHANNELS + c4 + 1, c4)
        self.gain = RateGain(c4)
        self.down4 = ResidualBlock(c4)
        self.to8 = conv(c4, c8, stride=2)
        self.block8 = ResidualBlock(c8)
        self.from8 = Up(c8, c4)
        self.up4 = ResidualBlock(c4)
        self.leave = conv(c4, PACKED_CHANNELS, zero=True)
        self.features = conv(c4, config.features)

    def forward(
        self, prediction: Tensor, residual: Tensor, context: Context, rate: Tensor, unit: Tensor
    ) -> Filtered:
        """Prediction and decoded residual, packed -> the reconstruction. rate, unit as in
        Compensation.
        """
        picture = prediction + residual
        quarter = context.quarter
        inputs = (
            picture * 3,
            residual / unit * 0.7,
            quarter,
            rate.expand(-1, 1, *quarter.shape[-2:]),
        )
        x = self.gain(self.enter(join(inputs, quarter.dtype)), rate)
        x4 = self.down4(x)
        x8 = self.block8(self.to8(activate(x4)) + context.eighth)
        x4 = activate(self.up4(x4 + self.from8(activate(x8))))
        correction = plain(self.leave(x4)) * (0.15 * unit)
        return Filtered(picture + correction, correction, x4, self.features(x4))
