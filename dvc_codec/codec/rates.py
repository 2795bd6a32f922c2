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
# In one pass: of the index from one frame to the next, more while few frames are known; what an I
# frame costs of any other's bits, until some are known; frames that may be looked ahead to
_RUNNING_STEP, _FIRST_STEP, _FEW = 3.0, 8.0, 3
_INTRA_RATIO = 8.0
_LEAST_WINDOW = 16


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
    """One pass, for sources that can be read only once: a bit rate, met over groups.

    What frames cost is remembered as what they would cost at index 0. The index is the one at which
    the rest of the group, near its end the next group too, makes good what went wrong so far.

    Args:
        bits_per_frame: wanted on average.
        index: to start with.
        gop: frames of the longest group.
        window: the most frames over which what went wrong is made good.
    """

    def __init__(self, bits_per_frame: float, index: int, gop: int, window: int) -> None:
        self._wanted, self._index, self._gop = bits_per_frame, float(index), gop
        self._window = max(_LEAST_WINDOW, window)
        self._at = index  # of the frame that is being coded
        self._debt = 0.0
        self._number = 0  # in its group
        self._intra: float | None = None  # bits at index 0
        self._others: float | None = None
        self._others_seen = 0

    def next_index(self, intra: bool) -> int:
        if intra:
            self._number = 0
        self._at = min(max(round(self._index), 0), RATES - 1)
        return self._at

    def spent(self, bits: int) -> None:
        """A frame's payload in bits."""
        cost = bits + _FRAME_HEAD
        self._debt += cost - self._wanted
        self._remember(cost * 2 ** (-SLOPE * self._at))
        self._number += 1
        frames, costs = self._ahead()
        budget = max(self._wanted * frames - self._debt, 0.1 * self._wanted * frames)
        step = math.log2(budget / costs) / SLOPE - self._index
        most = _FIRST_STEP if self._others_seen < _FEW else _RUNNING_STEP
        self._index = min(max(self._index + min(max(step, -most), most), 0), RATES - 1)

    def _remember(self, cost: float) -> None:
        if self._number == 0:
            self._intra = cost if self._intra is None else (self._intra + cost) / 2
            if self._others is None:
                self._others = cost / _INTRA_RATIO
        else:
            self._others_seen += 1
            assert self._others is not None
            share = max(1 / (self._others_seen + 1), 0.15)
            self._others += share * (cost - self._others)

    def _ahead(self) -> tuple[int, float]:
        """How many frames are looked ahead to, and what they cost at index 0."""
        assert self._intra is not None and self._others is not None
        frames = min(max(0, self._gop - self._number), self._window)
        costs = frames * self._others
        group = min(self._gop, self._window)
        if frames < group / 2:
            groups = math.ceil(_LEAST_WINDOW / group)
            frames += groups * group
            costs += groups * (self._intra + (group - 1) * self._others)
        return frames, costs


def first_guess(bits_per_pixel: float) -> int:
    """A rate index for this many bits a pixel: 0.1 is about the middle."""
    return min(max(round(30 + math.log2(max(1e-4, bits_per_pixel) / 0.1) / SLOPE), 0), RATES - 1)
