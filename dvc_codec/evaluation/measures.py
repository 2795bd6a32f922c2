"""The qualities that a curve can be drawn of, and how each is read from a point."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from dvc_codec.errors import OutOfRange
from dvc_codec.evaluation.metrics import BEST_PSNR
from dvc_codec.evaluation.task import Measured


@dataclass(frozen=True)
class Measure:
    """``name`` as in metrics and files, ``label`` for people, ``value`` None where not measured."""

    name: str
    label: str
    unit: str
    value: Callable[[Measured], float | None]


def as_decibels(similarity: float | None) -> float | None:
    """SSIM so that its curves are as even as PSNR's: -10 log10(1 - SSIM).

    >>> as_decibels(0.99)
    20.0
    """
    if similarity is None:
        return None
    lost = 1 - similarity
    return min(BEST_PSNR, round(-10 * math.log10(lost), 9)) if lost > 0 else BEST_PSNR


WEIGHTED = Measure("psnr", "PSNR, Y U V 6:1:1", "dB", lambda point: point.psnr)

MEASURES: tuple[Measure, ...] = (
    WEIGHTED,
    Measure("y", "PSNR, Y", "dB", lambda point: point.y),
    Measure("rgb", "PSNR, RGB BT.709", "dB", lambda point: point.rgb),
    Measure("ssim", "SSIM of Y", "dB", lambda point: as_decibels(point.ssim)),
    Measure("ms-ssim", "MS-SSIM of Y", "dB", lambda point: as_decibels(point.ms_ssim)),
    Measure("vmaf", "VMAF", "points", lambda point: point.vmaf),
)


def measure_named(name: str) -> Measure:
    """By its name. Raises OutOfRange for one that is not known."""
    for measure in MEASURES:
        if measure.name == name:
            return measure
    raise OutOfRange(f"no measure {name!r}; there are {', '.join(m.name for m in MEASURES)}")
