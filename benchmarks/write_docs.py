"""docs/benchmarks.md from the results.json of an evaluation: every number in it is made here.

python benchmarks/write_docs.py runs/eval/results.json docs/benchmarks.md [--measure ms-ssim]
"""

import argparse
import shlex
import sys
from pathlib import Path

from dvc_codec.errors import CannotWrite, DvcError
from dvc_codec.evaluation.measures import WEIGHTED, Measure, measure_named
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.tables import (
    against_anchors,
    by_measure,
    commands_list,
    conditions_of,
    points_table,
    speeds_table,
)
from dvc_codec.evaluation.task import OURS

# What the names of data/eval stand for; other sequences go by their name alone.
ORIGIN = {
    "aspen": "NTIA",
    "BasketballPass": "HEVC class D",
    "beach": "a beach",
    "bunny": "Big Buck Bunny",
    "calendar": "Vid4",
    "car": "DAVIS car-turn",
    "city": "Vid4",
    "drive": "KITTI",
    "foliage": "Vid4",
}


def document(results: Results, measure: Measure = WEIGHTED) -> str:
    """The whole page, as markdown; curves by a measure."""
    anchors = results.codecs[1:]
    ours = next((n for n, p in enumerate(results.points) if p.codec == OURS), 0)
    run = results.runs[results.run_of[ours]]
    quality = "weighted PSNR" if measure is WEIGHTED else f"{measure.label} (-10 log10(1 - x))"
    parts = [
        "# Benchmarks" if measure is WEIGHTED else f"# Benchmarks by {measure.label}",
        "What the weights reach on real files, and the anchors on the same frames (taken over from "
        "an earlier run where the command says `--anchors-from`). Written by "
        "`python benchmarks/write_docs.py` from the results.json of\n\n"
        f"    python evaluate.py {shlex.join(run['arguments'])}\n\n"
        "which also writes report.html: the same to look at, with curves, pictures and the inside "
        "of frames. What is being done about the numbers: [experiments.md](experiments.md).",
        f"Sequences: {'; '.join(_about(results, name) for name in results.sequences)}.",
        conditions_of(results),
    ]
    if anchors:
        parts += [
            "## BD-rate",
            f"Percent of bits that dvc-codec needs for the same {quality} (negative is better), "
            f"and {measure.unit} that it has at the same bits (positive is better). Akima "
            "interpolation, over what both curves reach; nothing is extrapolated.",
            against_anchors(results, anchors, measure),
            by_measure(results, anchors),
        ]
    parts += [
        "## Speed",
        "Frames per second over all points, one thread per process; ours without the start of "
        "Python. Most bytes resident in any of its processes.",
        speeds_table(results),
        "## Every point",
        points_table(results, (OURS,), measure),
    ]
    if anchors:
        parts.append(points_table(results, anchors, measure))
    parts += [
        "## Repeat it",
        _versions(results),
        commands_list(results, anchors),
    ]
    return "\n\n".join(parts) + "\n"


def _about(results: Results, name: str) -> str:
    point = next(p for p in results.points if p.sequence == name)
    origin = point.group or ORIGIN.get(name)
    size = f"{point.width}x{point.height}, {point.frames} frames"
    return f"{name} ({origin}, {size})" if origin else f"{name} ({size})"


def _versions(results: Results) -> str:
    lines = []
    for number in sorted(set(results.run_of)):
        run = results.runs[number]
        versions = ", ".join(f"{name} {said}" for name, said in run["versions"].items())
        lines.append(f"- Run of {run['begun']}: commit {run['commit']}; {versions}.")
    return "\n".join(lines)


def main() -> int:
    """Returns an exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="results.json of an evaluation")
    parser.add_argument("target", type=Path, help="the file to write")
    parser.add_argument("--measure", default=WEIGHTED.name, help="what curves are of: ms-ssim, ...")
    given = parser.parse_args()
    try:
        text = document(Results.load(given.results), measure_named(given.measure))
        try:
            given.target.write_text(text, encoding="utf-8")
        except OSError as error:
            reason = f"{given.target}: cannot be written: {error.strerror}"
            raise CannotWrite(reason) from error
    except DvcError as error:
        print(f"write_docs: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
