"""dvc-codec evaluate: our codec beside others on a folder of videos, as tables and one JSON."""

import argparse
import os
import sys
from collections.abc import Sequence as Several
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dvc_codec.cli.options import (
    Commands,
    add_many,
    add_metric,
    at_least_one,
    number,
    weights_given,
)
from dvc_codec.errors import CannotWrite, DvcError, UsageError

if TYPE_CHECKING:
    from dvc_codec.evaluation.results import Results
    from dvc_codec.evaluation.task import Measured, Task

LAMBDAS = "256,512,1024,2048"
ANCHORS = "x264-veryfast,x265-veryfast"
METRICS = "rgb,ssim,ms-ssim"


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser("evaluate", help="measure the codec on a folder of videos")
    parser.set_defaults(run=run)
    parser.add_argument(
        "--data",
        metavar="DIR",
        help="folder of the videos; or uvg:DIR, hevc:DIR, mcl-jcv:DIR, kodak:DIR",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="where results.json, table.md, report.html and coded/ go",
    )
    parser.add_argument(
        "--lambdas", type=numbers, default=LAMBDAS, metavar="L,...", help=f"default: {LAMBDAS}"
    )
    parser.add_argument(
        "--anchors",
        type=words,
        default=ANCHORS,
        metavar="A,...",
        help=f"encoders to compare with; default: {ANCHORS}; also x265-medium, svtav1-6, "
        "vvenc-faster, libaom-6; for kodak: jpeg, jpeg2000, webp, hevc-intra, av1-intra, "
        "vvenc-intra; '' is none",
    )
    parser.add_argument(
        "--metrics",
        type=words,
        default=METRICS,
        metavar="M,...",
        help=f"what to measure besides PSNR of the planes; default: {METRICS}; also vmaf; '' is "
        "none",
    )
    parser.add_argument(
        "--gop", type=at_least_one, default=32, metavar="N", help="group of pictures (default: 32)"
    )
    parser.add_argument(
        "--frames", type=at_least_one, metavar="N", help="use the first N frames of each only"
    )
    parser.add_argument(
        "--sequences", type=words, metavar="S,...", help="use these videos only, by name"
    )
    add_many(parser, "points are measured")
    add_metric(parser)
    parser.add_argument(
        "--published",
        type=Path,
        metavar="JSON",
        help="published curves to draw dashed in report.html where their conditions match",
    )
    parser.add_argument(
        "--anchors-from",
        type=Path,
        metavar="JSON",
        help="take over the anchors' points of another run on the same frames (anchors do not "
        "change with our weights); its machine and commands are kept beside them",
    )
    parser.add_argument("--no-report", action="store_true", help="write no report.html")
    parser.add_argument(
        "--report",
        type=Path,
        metavar="JSON",
        help="only write report.html beside this results.json, from it and the coded files",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        nargs=2,
        metavar="JSON",
        help="only print the BD-rate of the second results.json against the first",
    )


def run(arguments: argparse.Namespace) -> None:
    """Measure what is not measured yet, then print and write the tables."""
    if arguments.compare:
        print(comparison(*arguments.compare))
        return
    if arguments.report:
        from dvc_codec.evaluation.results import Results

        write_page(Results.load(arguments.report), arguments)
        return
    if arguments.data is None or arguments.out is None:
        raise UsageError("evaluate: give --data and --out, or --compare, or --report")
    if arguments.metric:
        arguments.model = weights_given(arguments)
    from dvc_codec.evaluation.engine import run_tasks
    from dvc_codec.evaluation.measures import WEIGHTED, measure_named
    from dvc_codec.evaluation.provenance import provenance
    from dvc_codec.evaluation.tables import report

    measure = measure_named("ms-ssim") if arguments.metric == "ms-ssim" else WEIGHTED
    tasks = all_tasks(arguments)
    results = opened(arguments)
    if arguments.anchors_from:
        taken = results.take_anchors(type(results).load(arguments.anchors_from))
        told(f"{taken} points of anchors taken over from {arguments.anchors_from}")
    left = [task for task in tasks if not results.has(task)]
    told(f"{len(tasks) - len(left)} of {len(tasks)} points are there, {len(left)} to measure")
    failures: list[str] = []

    def done(task: "Task", measured: "Measured") -> None:
        results.add(measured)
        told(
            f"{task.label}: {measured.bits_per_pixel:.4f} bits per pixel, {measured.psnr:.2f} dB, "
            f"{measured.encode_seconds:.1f} + {measured.decode_seconds:.1f} s"
        )

    def failed(task: "Task", reason: str) -> None:
        failures.append(task.label)
        told(f"{task.label} failed: {reason}")

    if left:
        begun = datetime.now(UTC).isoformat(timespec="seconds")
        results.runs.append({"begun": begun, "arguments": sys.argv[1:], **provenance()})
        run_tasks(
            left,
            arguments.out,
            workers=arguments.workers,
            done=done,
            failed=failed,
            engine=arguments.engine,
        )
    text = report(results, arguments.anchors, measure)
    print(text)
    try:
        (arguments.out / "table.md").write_text(text + "\n")
    except OSError as error:
        raise CannotWrite(f"{arguments.out}: cannot be written: {error.strerror}") from error
    if not arguments.no_report:
        write_page(results, arguments)
    if failures:
        raise DvcError(
            f"{len(failures)} of {len(tasks)} points failed ({', '.join(failures)}); "
            "the same command tries them again"
        )


def all_tasks(arguments: argparse.Namespace) -> "list[Task]":
    """Every point that the command line asks for."""
    from dvc_codec.evaluation.anchors import anchor_named, check_anchors
    from dvc_codec.evaluation.datasets import KODAK, sequences_of, split_data
    from dvc_codec.evaluation.metrics import known_extras
    from dvc_codec.evaluation.task import OURS, Task

    extras = known_extras(arguments.metrics)
    check_anchors(arguments.anchors, pictures=split_data(arguments.data)[0] == KODAK)

    points = [(OURS, point) for point in arguments.lambdas]
    for name in arguments.anchors:
        points += [(name, float(point)) for point in anchor_named(name).points]
    sequences = sequences_of(arguments.data, arguments.sequences, arguments.frames)
    return [
        Task(sequence, codec, point, arguments.gop, arguments.model, extras)
        for sequence in sequences
        for codec, point in points
    ]


def opened(arguments: argparse.Namespace) -> "Results":
    """The results to go on with, after a look at the weights."""
    from dvc_codec.codec.model import load_model
    from dvc_codec.evaluation.datasets import split_data
    from dvc_codec.evaluation.results import Conditions, Results

    model = load_model(arguments.model)
    name, folder = split_data(arguments.data)
    data = f"{name}:{folder.resolve()}" if name else str(folder.resolve())
    sha256 = model.sha256.hex()
    conditions = Conditions(data, arguments.gop, arguments.frames, model.name, sha256)
    results = Results.open(arguments.out / "results.json", conditions)
    results.save()  # so that a folder that cannot be written says so now
    return results


def write_page(results: "Results", arguments: argparse.Namespace) -> None:
    """report.html beside the results."""
    import torch

    from dvc_codec.codec.model import load_model
    from dvc_codec.evaluation.report.page import write_report
    from dvc_codec.evaluation.report.published import load_published

    target = results.path.parent / "report.html"
    told(f"writing {target} ...")
    published = load_published(arguments.published) if arguments.published else None
    workers = arguments.workers or os.cpu_count() or 1
    torch.set_num_threads(1)
    model = load_model(arguments.model)
    write_report(results, target, model=model, published=published, workers=workers)


def comparison(first: Path, second: Path) -> str:
    """BD-rate between two runs of ours, under the same conditions."""
    from dvc_codec.evaluation.results import Results
    from dvc_codec.evaluation.tables import compared

    before, after = Results.load(first), Results.load(second)
    was, now = ((r.conditions.gop, r.conditions.frames) for r in (before, after))
    if was != now:
        raise UsageError(
            f"{second}: measured with GOP {now[0]} and frames {now[1]}, {first} with GOP {was[0]} "
            f"and frames {was[1]}: not comparable"
        )
    pictures = {(p.sequence, p.pictures_sha256) for r in (before, after) for p in r.points}
    names = [name for name, _ in pictures]
    if changed := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"{second}: {', '.join(changed)} has other pictures than in {first}")
    return compared(before, after)


def told(text: str) -> None:
    """Progress, for whoever waits."""
    print(text, file=sys.stderr, flush=True)


def numbers(text: str) -> list[float]:
    """Comma-separated numbers.

    >>> numbers("256,512")
    [256.0, 512.0]
    """
    return [number(word) for word in words(text)]


def words(text: str) -> Several[str]:
    """Comma-separated words; none if the text is empty.

    >>> words("a,b"), words("")
    (['a', 'b'], [])
    """
    return [word.strip() for word in text.split(",") if word.strip()]
