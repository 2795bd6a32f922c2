"""Rate control: which rate index each frame is coded with.

A rate index is lambda in 64 steps (``networks/rate.py``); every frame carries its own.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dvc_codec.networks.rate import RATES

# log2 of bits per rate index, over all sequences of data/eval: files grow by half in ten steps
SLOPE = 0.06
PSNR_PER_INDEX = 0.2  # dB, about
_MOST_STEP = 2  # of the index from one P frame to the next
_MOST_DRIFT = 10  # of the index from what the first pass proposes
_FRAME_HEAD = 60  # bits around the payload of a frame


class RateControl(Protocol):
    """Asked before every frame, told after it."""

    def next_index(self, intra: bool) -> int: ...

    def spent(self, bits: int) -> None: ...


@dataclass(frozen=True)
class ConstantRate:
    """The same index for all."""

    index: int

    def next_index(self, intra: bool) -> int:
        return self.index

    def spent(self, bits: int) -> None:
        """Whatever it was."""


class PlannedRate:
    """Second pass: spends ``budget`` in the proportions of a first one.

    Args:
        first: bits of every frame in the first pass.
        index: the rate index of that pass.
        budget: bits for all frames, heads included.
        slope: log2 of bits per index.
    """

    def __init__(
        self, first: Sequence[int], index: int, budget: float, slope: float = SLOPE
    ) -> None:
        self._first = [bits + _FRAME_HEAD for bits in first]
        self._left = float(sum(self._first))
        self._at, self._slope, self._budget = index, slope, budget
        self._number = 0
        self._base = index + math.log2(max(1.0, budget) / max(1.0, self._left)) / slope
        self._last: int | None = None
        self._ratio = 1.0  # of what frames cost to what the first pass foretold
        self._foretold = 0.0

    def next_index(self, intra: bool) -> int:
        """The index at which what is left costs the budget that is left."""
        here = self._first[min(self._number, len(self._first) - 1)]
        left = max(self._left, float(here))
        wanted = self._at + math.log2(max(1.0, self._budget) / (left * self._ratio)) / self._slope
        wanted = min(max(wanted, self._base - _MOST_DRIFT), self._base + _MOST_DRIFT)
        index = round(wanted)
        if not intra and self._last is not None:
            index = min(max(index, self._last - _MOST_STEP), self._last + _MOST_STEP)
        self._last = min(max(index, 0), RATES - 1)
        change = 2 ** (self._slope * (self._last - self._at))
        self._foretold = here * change * self._ratio
        return self._last

    def spent(self, bits: int) -> None:
        """A frame's payload in bits."""
        cost = bits + _FRAME_HEAD
        here = self._first[min(self._number, len(self._first) - 1)]
        self._budget -= cost
        self._left -= here
        self._number += 1
        measured = min(max(cost / max(1.0, self._foretold), 0.25), 4.0)
        self._ratio *= measured**0.2  # slowly: one frame says little


class RunningRate:
    """One pass, for sources that can be read only once: a bit rate, met over seconds.

    Args:
        bits_per_frame: wanted on average.
        index: to start with.
        window: frames over which what went wrong is made good.
    """

    def __init__(self, bits_per_frame: float, index: int, window: int) -> None:
        self._wanted, self._index, self._window = bits_per_frame, float(index), window
        self._debt = 0.0
        self._mean: dict[bool, float] = {}
        self._intra = True
        self._share = 1.0 / 32

    def next_index(self, intra: bool) -> int:
        self._intra = intra
        return min(max(round(self._index), 0), RATES - 1)

    def spent(self, bits: int) -> None:
        """A frame's payload in bits. I frames are paid off over the window."""
        cost = bits + _FRAME_HEAD
        self._debt += cost - self._wanted
        before = self._mean.get(self._intra, float(cost))
        self._mean[self._intra] = cost if self._intra else 0.8 * before + 0.2 * cost
        self._share = 0.97 * self._share + 0.03 * self._intra
        usual = sum(
            mean * (self._share if kind else 1 - self._share) for kind, mean in self._mean.items()
        )
        target = self._wanted - self._debt / self._window
        step = math.log2(max(0.1 * self._wanted, target) / max(1.0, usual)) / SLOPE
        self._index = min(max(self._index + min(max(0.15 * step, -1.5), 1.5), 0), RATES - 1)


def first_guess(bits_per_pixel: float) -> int:
    """A rate index for this many bits a pixel: 0.1 is about the middle."""
    return min(max(round(30 + math.log2(max(1e-4, bits_per_pixel) / 0.1) / SLOPE), 0), RATES - 1)
