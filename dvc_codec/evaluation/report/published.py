"""Curves that others have published, to be drawn dashed where they speak of the same thing.

They are no anchors: published curves of one encoder on one set differ by half. A file of them is
a JSON list of objects with source_repo, codec, dataset, condition, metric, points and note.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc_codec.errors import FileMissing, UsageError
from dvc_codec.evaluation.measures import as_decibels
from dvc_codec.evaluation.report.svg import Point

MOST = 6  # curves in a chart

# Metrics as the file names them, by our measure. "PSNR" alone is of RGB in this field.
_METRICS = {
    "rgb": ("PSNR", "psnr-rgb"),
    "psnr": ("psnr-yuv", "ave_all_frame_psnr"),
    "y": ("psnr-y",),
    "ms-ssim": ("ave_all_frame_msssim",),
}
_CODECS = ("DVC", "FVC", "x264 ", "x265 ", "H.264", "H.265", "VTM-17")


@dataclass(frozen=True)
class Published:
    """``condition`` is the publisher's; ``points`` are bits per pixel and quality."""

    codec: str
    condition: str
    source: str
    points: tuple[Point, ...]


def load_published(path: Path) -> list[dict[str, Any]]:
    """Raises FileMissing, or UsageError for a file that is no list of curves."""
    try:
        found = json.loads(path.read_text())
        if not all({"codec", "dataset", "metric", "points"} <= set(one) for one in found):
            raise UsageError(f"{path}: is not a list of published curves")
    except OSError as error:
        raise FileMissing(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise UsageError(f"{path}: is not a list of published curves") from error
    return list(found)


def published_for(
    curves: list[dict[str, Any]], name: str, measure: str, gop: int, whole: bool
) -> list[Published]:
    """The curves of one sequence or set under our measure, where their conditions say what ours do.

    Args:
        curves: of :func:`load_published`.
        name: of the sequence ("BasketballPass") or class ("UVG", "HEVC D").
        measure: name of ours.
        gop: our longest group; a condition that names another one is no match.
        whole: whether all frames were coded; a condition that says "all frames" asks for it.
    """
    found = []
    for one in curves:
        condition = str(one.get("condition", ""))
        if not (
            one["metric"] in _METRICS.get(measure, ())
            and str(one["codec"]).startswith(_CODECS)
            and _same_name(str(one["dataset"]), name)
            and _same_gop(condition, gop)
            and (whole or "all frames" not in condition)
            and "crop" not in condition.lower()
        ):
            continue
        points = sorted((float(rate), float(quality)) for rate, quality in one["points"])
        if measure == "ms-ssim":
            points = [(rate, as_decibels(quality) or 0.0) for rate, quality in points]
        source = str(one.get("source_repo", ""))
        found.append(Published(str(one["codec"]), condition, source, tuple(points)))
    return found[:MOST]


def _same_gop(condition: str, gop: int) -> bool:
    said = re.search(r"(?:GOP|intra period)\D{0,20}?(-?\d+)", condition, re.IGNORECASE)
    return said is not None and int(said[1]) == gop


def _same_name(dataset: str, name: str) -> bool:
    """Of a set or of the file's stem, without case, size and rate.

    >>> _same_name("HEVC_D/BasketballPass_416x240_50.yuv", "BasketballPass")
    True
    >>> _same_name("HEVC Class D", "HEVC D"), _same_name("HEVC Class D/x", "HEVC D")
    (True, False)
    """
    plain = dataset.split("/")[-1].lower().replace("class ", "")
    plain = re.sub(r"_\d+x\d+.*", "", plain)
    return plain == name.lower()
