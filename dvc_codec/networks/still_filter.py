"""The filter of I frames: still codecs code for squared errors and stop at their own loop filters.

Works on the half-size grid, four phases of luma and both of chroma as channels, and adds what it
has learned that the codec took away: about 43 kMAC a luma pixel, once a group. Starts as no
correction at all.
"""

import torch
from torch import Tensor, nn

from dvc_codec.networks.blocks import RateGain, ResidualBlock, activate, conv, join, plain
from dvc_codec.networks.planes import HALF_CHANNELS, Planes, details, halve, unhalve

CHANNELS, BLOCKS = 48, 4
STRENGTHS = 64
_LOWEST, _PER_OCTAVE = 8, 7  # log2 of strength 0's lambda, strengths to an octave


def strength_for(log2_lambda: float) -> int:
    """The strength, 0 to 63, of an I frame coded at this (own) lambda, 2^8 to 2^17."""
    return min(max(round(_PER_OCTAVE * (log2_lambda - _LOWEST)), 0), STRENGTHS - 1)


class StillFilter(nn.Module):
    """Decoded picture -> the same with the codec's artefacts taken back."""

    def __init__(self, channels: int = CHANNELS, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.channels = channels
        self.enter = conv(2 * HALF_CHANNELS + 1, channels)
        self.gain = RateGain(channels)
        self.body = nn.ModuleList(ResidualBlock(channels) for _ in range(blocks))
        self.leave = conv(channels, HALF_CHANNELS, zero=True)

    def forward(self, picture: Planes, strength: Tensor, fast: bool) -> Planes:
        """Planes (B, ...) and strengths (B,) -> Planes, not rounded; ``fast``: in bfloat16."""
        unit = (11.5 / torch.exp2(_LOWEST + strength.float() / _PER_OCTAVE)).sqrt()
        unit = unit.view(-1, 1, 1, 1)
        told = (strength.float() * (2 / (STRENGTHS - 1)) - 1).view(-1, 1, 1, 1)
        seen = halve(picture)
        inputs = (
            3 * seen,
            told.expand(-1, 1, *seen.shape[-2:]),
            torch.asinh(2 * halve(details(picture)) / unit),
        )
        # not the first layer: bfloat16 has half a level at white
        x = self.gain(self.enter(join(inputs, torch.float32)), told)
        with torch.autocast(x.device.type, torch.bfloat16, enabled=fast):
            x = x.to(torch.bfloat16) if fast else x
            for block in self.body:
                x = block(x)
            correction = plain(self.leave(activate(x))) * unit
        return picture.plus(unhalve(correction))
