"""One rate-distortion curve against another, as one number (Bjontegaard, Akima interpolation)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dvc_codec.errors import DvcError

FEWEST_POINTS = 3  # an Akima spline through two is a straight line
LEAST_OVERLAP = 0.05  # of the tested curve's range; below that it is one point, not a comparison

Curve = Sequence[tuple[float, float]]  # (bits per pixel, PSNR in dB) of each point, in any order


@dataclass(frozen=True)
class Delta:
    """How ``test`` does against ``anchor``.

    Args:
        value: percent of rate at equal PSNR (negative is better) or dB at equal rate (positive is
            better); None where it cannot be said.
        reason: why not; empty where it can.
        overlap: how much of the tested curve's range the value speaks for, 0 to 1.
    """

    value: float | None
    reason: str = ""
    overlap: float = 0.0


def bd_rate(anchor: Curve, test: Curve) -> Delta:
    """Percent more rate that ``test`` needs for the PSNR of ``anchor``, over the PSNR both reach.

    Curves may have different numbers of points. Nothing is extrapolated: without a common range
    of PSNR there is a reason instead of a value.
    """
    return _delta(anchor, test, axis=1)


def bd_psnr(anchor: Curve, test: Curve) -> Delta:
    """dB that ``test`` has more than ``anchor`` at the same rate, over the rates both have."""
    return _delta(anchor, test, axis=0)


def _delta(anchor: Curve, test: Curve, axis: int) -> Delta:
    for name, curve in (("the anchor", anchor), ("the test", test)):
        if reason := _flaw(curve):
            return Delta(None, f"{name} {reason}")
    low = max(min(p[axis] for p in curve) for curve in (anchor, test))
    high = min(max(p[axis] for p in curve) for curve in (anchor, test))
    values = [point[axis] for point in test]
    overlap = max(0.0, high - low) / (max(values) - min(values))
    if overlap < LEAST_OVERLAP:
        unit = ("bits per pixel", "dB")[axis]
        return Delta(
            None,
            f"no common range: the anchor has {_range(anchor, axis)} {unit}, "
            f"the test {_range(test, axis)}",
            overlap,
        )
    try:
        import bjontegaard
    except ImportError as error:
        raise DvcError("BD-rate needs bjontegaard: pip install 'dvc-codec[eval]'") from error

    compute = (bjontegaard.bd_psnr, bjontegaard.bd_rate)[axis]
    columns = [[point[i] for point in sorted(curve)] for curve in (anchor, test) for i in (0, 1)]
    value = compute(*columns, method="akima", require_matching_points=False, min_overlap=0)
    return Delta(float(value), "", overlap)


def _flaw(curve: Curve) -> str:
    """Why no function can be drawn through this curve; empty if one can."""
    if len(curve) < FEWEST_POINTS:
        return f"has {len(curve)} points, at least {FEWEST_POINTS} are needed"
    ordered = sorted(curve)
    for (rate, quality), (more, better) in pairwise(ordered):
        if more <= rate or better <= quality:
            return (
                f"does not rise: {rate:.4f} bits per pixel with {quality:.2f} dB, "
                f"then {more:.4f} with {better:.2f}"
            )
    return ""


def _range(curve: Curve, axis: int) -> str:
    values = [point[axis] for point in curve]
    return f"{min(values):.{2 + 2 * (1 - axis)}f} to {max(values):.{2 + 2 * (1 - axis)}f}"
