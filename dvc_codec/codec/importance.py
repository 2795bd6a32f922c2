"""How much an error matters to what comes after it and to whoever measures: the encoder's weights
for frames and planes. No decoder needs to know.

A P frame is the reference of all that follow in its group, so what it gains is gained many times;
the last one's gain ends with it. And quality is judged by decibels plane by plane: an error in a
plane that is bad anyway, as noisy chroma is, counts for little.

Measured: docs/experiments.md#importance.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from dvc_codec.container import Place
from dvc_codec.networks.config import Metric
from dvc_codec.networks.rate import RATES
from dvc_codec.networks.residual import CHROMA

Errors = tuple[float, float, float]

FORESEEN = 31  # frames ahead; more do not matter more
# rate indices of a P frame from the group's own, with nothing and with FORESEEN frames to follow
LAST_SHIFT, FIRST_SHIFT = -4, 8
# bits that a squared step may cost, beside the encoder's usual, likewise
LAST_TRADE, FIRST_TRADE = 0.7, 2.1
# the same of P frames that have B frames before them, and of B frames by their depth
LAST_ANCHOR_SHIFT, FIRST_ANCHOR_SHIFT = 1, 9
LAST_ANCHOR_TRADE, FIRST_ANCHOR_TRADE = 2.1, 2.1
BETWEEN_SHIFTS, BETWEEN_TRADES = (-3, -6, -9), (1.2, 0.9, 0.7)
BALANCE = 4.0  # MSE of luma over that of chroma, from which on chroma counts in full
LEAST = 0.2  # that chroma counts
UNKNOWN = 0.6  # while nothing is known: right after an I frame
# that chroma counts at most; luma's squared errors say little where structure is what matters
MOST: Mapping[Metric, float] = {"mse": 1.0, "ms-ssim": 0.35}


@dataclass(frozen=True)
class Importance:
    """Of a frame's errors, 1 being usual: of all planes, and of the channels of some beside,
    (1, C, 1, 1).
    """

    frame: float = 1.0
    planes: Mapping[str, Tensor] = field(default_factory=dict)

    def of(self, plane: str, device: torch.device | None = None) -> Tensor | float:
        """Factor of a plane's squared errors."""
        if plane not in self.planes:
            return self.frame
        return self.planes[plane].to(device) * self.frame


def of_frame(
    place: Place, anchors: int, group: int, errors: Errors | None, metric: Metric = "mse"
) -> Importance:
    """Of a P or B frame.

    Args:
        place: the frame's.
        anchors: frames from the last anchor to the one before it.
        group: frames that its group is to have.
        errors: mean squared errors of Y, U, V in the frame of its kind before it; None: it is the
            first.
        metric: that quality is judged by.
    """
    of_chroma = torch.tensor(chroma(errors)).clamp(max=MOST[metric])
    weights = {CHROMA: of_chroma.repeat_interleave(64).view(1, -1, 1, 1)}
    if place.future is not None:
        return Importance(_of_depth(BETWEEN_TRADES, place, anchors), weights)
    if anchors > 1:
        last, first = LAST_ANCHOR_TRADE, FIRST_ANCHOR_TRADE
    else:
        last, first = LAST_TRADE, FIRST_TRADE
    return Importance(last + (first - last) * _foresight(place, group), weights)


def rate_shift(place: Place, anchors: int, group: int) -> int:
    """Rate indices by which a P or B frame is better than its group's own; arguments as above."""
    if place.future is not None:
        return round(_of_depth(BETWEEN_SHIFTS, place, anchors))
    if anchors > 1:
        last, first = LAST_ANCHOR_SHIFT, FIRST_ANCHOR_SHIFT
    else:
        last, first = LAST_SHIFT, FIRST_SHIFT
    return round(last + (first - last) * _foresight(place, group))


def rate_of_frame(place: Place, anchors: int, group: int, rate: Tensor) -> Tensor:
    """Rate indices of a P or B frame from those of its group, (B,); other arguments as above."""
    return (rate + rate_shift(place, anchors, group)).clamp(0, RATES - 1)


def _of_depth(values: Sequence[float], place: Place, anchors: int) -> float:
    """By how often the distance of the anchors was halved on the way to a B frame."""
    assert place.past is not None and place.future is not None
    halved = round(math.log2(anchors / (place.future - place.past)))
    return values[min(halved, len(values) - 1)]


def chroma(errors: Errors | None) -> tuple[float, float]:
    """Of U and V.

    >>> chroma((12.0, 4.0, 2.0)), chroma((12.0, 24.0, 1.0))
    ((0.5625, 1.0), (0.2, 1.0))
    """
    if errors is None:
        return UNKNOWN, UNKNOWN
    y, u, v = errors
    return _of_plane(y, u), _of_plane(y, v)


def _of_plane(luma: float, chroma: float) -> float:
    return min(max((luma / max(chroma, 1e-3) / BALANCE) ** 2, LEAST), 1.0)


def _foresight(place: Place, group: int) -> float:
    """From 1, many frames are to follow in its group, down to 0, none."""
    return min(max(group - 1 - place.number, 0), FORESEEN) / FORESEEN
