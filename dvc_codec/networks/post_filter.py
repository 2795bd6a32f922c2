"""The post-filter of P and B frames: what is displayed is better than what other frames are
predicted from.

On the half-size grid, so that it sees what the loop filter's grid is too coarse for: blocks'
borders, ringing, fine details. Its gain grows with the frames since the I frame, whose errors come
together. What is predicted from its pictures would be filtered again, and over again: in the loop
the same filter did harm (docs/experiments.md#post-filter).

Sees the filtered picture, its details over the quantiser's step, what was decoded, what the loop
filter changed and what that knew. Trained alone, on frames as the encoder codes them
(``train.py post``); starts as no correction at all. About 26 kMAC a luma pixel.
"""

from typing import Any

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dvc_codec.networks import post_filter_kernel
from dvc_codec.networks.blocks import RateGain, ResidualBlock, activate, conv, join, plain
from dvc_codec.networks.planes import HALF_CHANNELS, Planes, halve, unhalve
from dvc_codec.networks.warp import is_compiled

BLOCKS = 2
MEMORY = 16  # channels of what the loop filter knew, on the half-size grid
LARGE = 4.0  # of differences over the quantiser's step: there they end
PERIOD = 8  # samples of that grid after which the blocks of all planes begin anew


class PostFilter(nn.Module):
    """See the module.

    Args:
        channels: on the half-size grid.
        memory: channels of what the loop filter knew, on the 1/4 grid.
    """

    def __init__(self, channels: int, memory: int, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.channels = channels
        self.memory = nn.Conv2d(memory, 4 * MEMORY, 1)
        self.enter = conv(4 * HALF_CHANNELS + MEMORY + 1, channels)
        self.gain = RateGain(channels)
        self.phases = nn.Parameter(torch.zeros(1, channels, PERIOD, PERIOD))
        self.body = nn.ModuleList(ResidualBlock(channels) for _ in range(blocks))
        self.leave = conv(channels, HALF_CHANNELS, zero=True)

    def forward(
        self,
        picture: Planes,
        correction: Planes,
        residual: Planes,
        memory: Tensor,
        rate: Tensor,
        unit: Tensor,
    ) -> Planes:
        """The picture that is displayed, not yet rounded.

        Args:
            picture: as the loop filter leaves it.
            correction: what that added.
            residual: decoded.
            memory: (B, memory, H/4, W/4), what the loop filter knew at last.
            rate: (B, 1, 1, 1) in [-1, 1].
            unit: size of a quantiser step, see ``rate.residual_scale``: (B, 1, 1, 1), or for every
                sample on the half-size grid, (B, 6, H/2, W/2).
        """
        x = self.enter(seen(picture, correction, residual, self.memory(memory), rate, unit))
        x = self._placed(self.gain(x, rate))
        for block in self.body:
            x = block(x)
        return picture.plus(unhalve(plain(self.leave(activate(x))) * (0.15 * unit)))

    def _placed(self, x: Tensor) -> Tensor:
        """``x`` and what is learned of each place in a block. In inference mode x itself is
        changed, a row of blocks at a time.
        """
        rows, columns = (size // PERIOD for size in x.shape[-2:])
        strip = self.phases.to(x.dtype).repeat(1, 1, 1, columns)
        strip = strip.contiguous(memory_format=torch.channels_last)
        if not torch.is_inference_mode_enabled():
            return x + strip.repeat(1, 1, rows, 1).contiguous(memory_format=torch.channels_last)
        for part in x.split(PERIOD, 2):
            part.add_(strip)
        return x


def seen(
    picture: Planes,
    correction: Planes,
    residual: Planes,
    known: Tensor,
    rate: Tensor,
    unit: Tensor,
) -> Tensor:
    """All that the filter looks at, (B, 24 + memory + 1, H/2, W/2), in the precision of ``known``
    (B, 4 memory, H/4, W/4); the others as :meth:`PostFilter.forward`.
    """
    if not (
        is_compiled(*picture, *correction, *residual, rate, unit)
        and known.dtype == torch.bfloat16
        and not (known.requires_grad and torch.is_grad_enabled())
    ):
        return join(joined(picture, correction, residual, known, rate, unit), known.dtype)
    b, _, h, w = picture.chroma.shape
    whole = known.new_empty(b, h, w, 4 * HALF_CHANNELS + known.shape[1] // 4 + 1)
    memory = known.permute(0, 2, 3, 1).contiguous()
    rates = rate.to(known.dtype).view(torch.int16).expand(b, 1, 1, 1).flatten().tolist()
    units = unit.expand(b, *unit.shape[1:]).contiguous()
    for n in range(b):
        post_filter_kernel.inputs(
            _arrays(picture, n),
            _arrays(correction, n),
            _arrays(residual, n),
            memory[n].view(torch.int16).numpy(),
            units[n].numpy(),
            whole[n].view(torch.int16).numpy(),
            rates[n],
            LARGE,
        )
    return whole.permute(0, 3, 1, 2)


def joined(
    picture: Planes,
    correction: Planes,
    residual: Planes,
    known: Tensor,
    rate: Tensor,
    unit: Tensor,
) -> tuple[Tensor, ...]:
    """Its parts."""
    cells = halve(picture)
    return (
        cells * 3,
        ((cells - surroundings(cells)) * (2 / unit)).clamp_(-LARGE, LARGE),
        (halve(residual) / unit).clamp_(-LARGE, LARGE),
        halve(correction) * (2 / unit),
        F.pixel_shuffle(known, 2),
        rate.expand(-1, 1, *cells.shape[-2:]),
    )


def _arrays(planes: Planes, number: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Of one picture of a batch, luma (H, W) and chroma (2, H/2, W/2)."""
    luma, chroma = planes.luma[number, 0].contiguous(), planes.chroma[number].contiguous()
    return luma.numpy(), chroma.numpy()


def surroundings(halved: Tensor) -> Tensor:
    """(B, 6, h, w) -> the mean of every plane's 3x3 cells around each: what a sample has beyond it
    is, over the codec's step, alike at every rate.
    """
    luma = halved[:, :4].mean(1, keepdim=True)
    mean = F.avg_pool2d(torch.cat((luma, halved[:, 4:]), 1), 3, 1, 1, count_include_pad=False)
    return torch.cat((mean[:, :1].expand(-1, 4, -1, -1), mean[:, 1:]), 1)
