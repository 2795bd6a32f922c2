"""What every part of the page is about, and how pictures are captioned."""

from dataclasses import dataclass
from typing import Any

from dvc_codec.evaluation.measures import MEASURES, Measure
from dvc_codec.evaluation.report.charts import codec_key, legend
from dvc_codec.evaluation.results import Results


@dataclass(frozen=True)
class Subject:
    """An evaluation.

    Args:
        results: what was measured.
        printed: published curves, as published.load_published gives them.
        measures: the qualities that some point has.
        short: the conditions in one line, for under every picture.
    """

    results: Results
    printed: list[dict[str, Any]]
    measures: tuple[Measure, ...]
    short: str

    @classmethod
    def of(cls, results: Results, printed: list[dict[str, Any]]) -> "Subject":
        measured = (m for m in MEASURES if any(m.value(p) is not None for p in results.points))
        return cls(results, printed, tuple(measured), _short_conditions(results))


def codec_legend(results: Results) -> str:
    """Colours and marks of all codecs, as they are on the whole page."""
    return legend([(codec_key(n), codec) for n, codec in enumerate(results.codecs)]) + "\n"


def slug_of(name: str) -> str:
    """A name as the id of an element.

    >>> slug_of("HEVC B/x")
    'HEVC-B-x'
    """
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name)


def _short_conditions(results: Results) -> str:
    c = results.conditions
    frames = f"the first {c.frames} frames" if c.frames else "all frames"
    return f"GOP {c.gop}, {frames}, 8-bit 4:2:0, whole files, weights {c.model}."
