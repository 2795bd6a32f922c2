"""What the dvc2019 network's symbols are expected to be: motion and hyper symbols by a level per
channel, residual symbols by integers computed from the hyper symbols.

The paper has densities of floats here; ours are the integer levels of every other plane, because a
float that differs in its last bit between two machines would make a file unreadable. Means are
zero and there is no context, as in the paper: both coding steps have the same levels.
"""

from math import log2

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.entropy.law import FINE, LEVELS, LOWEST_MEAN, PER_OCTAVE
from dvc_codec.entropy.prior import FramePrior, Plane, Symbols
from dvc_codec.entropy.scale import IntegerConv, ScaleModel

STARTING_MEAN = 0.25  # of a symbol's magnitude
LEVEL_UNIT = 256  # fine levels per unit of the parameter, so that Adam's steps are felt
HYPER_UNIT = 8  # resolution of a hyper symbol inside the integer network
HYPER_LARGEST = 127


class Dvc2019Prior(FramePrior):
    """Of the dvc2019 network: "motion", "hyper", "residual", with as many channels as it says."""

    def __init__(self, motion: int = 128, hyper: int = 64, residual: int = 96) -> None:
        super().__init__(())
        self.planes = (
            Plane("motion", motion, 16, 0),
            Plane("hyper", hyper, 64, 0),
            Plane("residual", residual, 16, hyper),
        )
        self.scales["motion"] = ChannelScale(motion)
        self.scales["hyper"] = ChannelScale(hyper)
        self.scales["residual"] = HyperScale(residual, hyper)
        self._register_statistics()

    def side(self, name: str, now: Symbols, past: Symbols) -> Tensor:
        """The hyper symbols for "residual", with their sign and gradient, on their own 1/64 grid;
        nothing for the others.
        """
        return now["hyper"] if name == "residual" else past[name][:, :0]

    def bake(self) -> None:
        for scale in self.scales.values():
            assert isinstance(scale, ChannelScale)
            scale.bake()
        super().bake()


class ChannelScale(ScaleModel):
    """A factorised prior: one learned level per channel, whatever has been decoded.

    The interface of :class:`ScaleModel` and none of its parts.
    """

    def __init__(self, channels: int) -> None:
        nn.Module.__init__(self)
        self.channels = channels
        start = FINE * PER_OCTAVE * log2(STARTING_MEAN / LOWEST_MEAN)
        self.level = nn.Parameter(torch.full((channels,), start / LEVEL_UNIT))

    def first(self, before: Tensor, side: Tensor) -> Tensor:
        """``before`` (B, C, h, w) only gives the shape."""
        return self._clamped(self._levels_of_channels()).expand_as(before)

    def second(self, before: Tensor, side: Tensor, now: Tensor) -> Tensor:
        """The same as in the first step."""
        return self.first(before, side)

    def bake(self) -> None:
        """Make every level the integer it stands for (float16 keeps it)."""
        self.level.data = (self.level.data * LEVEL_UNIT).round().clamp(-2047, 2047) / LEVEL_UNIT

    def check_exact(self) -> None:
        """A level per channel is exact as it is."""

    def _levels_of_channels(self) -> Tensor:
        """(1, C, 1, 1) integers; straight-through."""
        level = self.level * LEVEL_UNIT
        return (level.detach().round() + (level - level.detach())).view(1, -1, 1, 1)

    @staticmethod
    def _clamped(fine: Tensor) -> Tensor:
        return fine.clamp(0, (LEVELS - 1) * FINE)


class HyperScale(ChannelScale):
    """The hyperprior's decoder in integers: from hyper symbols on a grid four times coarser.

    The paper's three layers with nearest upsampling and 3x3 kernels for its transposed
    convolutions. What they say is added to a level per channel.
    """

    def __init__(self, channels: int, hyper: int) -> None:
        super().__init__(channels)
        self.enter = IntegerConv(hyper, hyper, 3)
        self.middle = IntegerConv(hyper, hyper, 3)
        self.leave = IntegerConv(hyper, channels, 3)
        self.leave.weight.data.mul_(0.1)

    def first(self, before: Tensor, side: Tensor) -> Tensor:
        """``side``: hyper symbols (B, hyper, h/4, w/4)."""
        x = (HYPER_UNIT * side).clamp(-HYPER_LARGEST, HYPER_LARGEST)
        x = _twice(self.enter(x).clamp(0, 255))
        x = _twice(self.middle(x).clamp(0, 255))
        return self._clamped(self._levels_of_channels() + self.leave(x))

    def check_exact(self) -> None:
        """Raises OverflowError if a trained weight could break exactness on some machine."""
        self.enter.check_exact(HYPER_LARGEST)
        self.middle.check_exact(255)
        self.leave.check_exact(255)


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
