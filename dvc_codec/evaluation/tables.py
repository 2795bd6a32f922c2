"""Results as markdown tables."""

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Several
from typing import Any

from dvc_codec.evaluation.bdrate import Curve, Delta, bd_psnr, bd_rate
from dvc_codec.evaluation.measures import MEASURES, WEIGHTED, Measure
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.task import OURS, Measured

_POINT_HEAD = (
    *("sequence", "codec", "point", "bytes", "bits per pixel", "Y dB", "U dB", "V dB"),
    "weighted dB",
)
_SPEED_HEAD = ("encode fps", "decode fps")


def report(results: Results, anchors: Several[str], measure: Measure = WEIGHTED) -> str:
    """Conditions, every point, and BD-rates against the anchors by a measure."""
    parts = [conditions_of(results), points_table(results, (OURS,), measure)]
    if anchors:
        parts += [points_table(results, anchors, measure)]
        parts += [against_anchors(results, anchors, measure)]
        parts += [by_measure(results, anchors), speeds_table(results)]
        parts += [commands_list(results, anchors)]
    return "\n\n".join(parts)


def points_table(results: Results, codecs: Several[str], measure: Measure = WEIGHTED) -> str:
    """One line per sequence, codec and point; another measure beside PSNR where it is asked for."""
    more = [] if measure is WEIGHTED else [measure]
    rows = [
        (
            point.sequence,
            point.codec,
            f"{point.point:g}",
            str(point.file_bytes),
            f"{point.bits_per_pixel:.4f}",
            *(f"{value:.2f}" for value in (point.y, point.u, point.v, point.psnr)),
            *(_value(one, point) for one in more),
            f"{point.encode_fps:.2f}",
            f"{point.decode_fps:.2f}",
        )
        for sequence in results.sequences
        for codec in codecs
        for point in results.of(sequence, codec)
    ]
    head = (*_POINT_HEAD, *(f"{one.label}, {one.unit}" for one in more), *_SPEED_HEAD)
    return _table(head, rows, words=2)


def _value(measure: Measure, point: Measured) -> str:
    value = measure.value(point)
    return "none" if value is None else f"{value:.2f}"


def against_anchors(results: Results, anchors: Several[str], measure: Measure = WEIGHTED) -> str:
    """BD-rate and BD-PSNR (or what the measure is) of our codec against each anchor."""

    def against(anchor: str) -> Callable[[str], tuple[Curve, Curve]]:
        return lambda name: (
            results.curve(name, anchor, measure),
            results.curve(name, OURS, measure),
        )

    pairs = {anchor: against(anchor) for anchor in anchors}
    by = "" if measure is WEIGHTED else f", by {measure.label}"
    gain = "BD-PSNR" if measure is WEIGHTED else f"BD, {measure.unit}"
    return _bd_table(f"dvc-codec against{by}", results.groups, pairs, gain)


def by_measure(results: Results, anchors: Several[str]) -> str:
    """Mean BD-rate against each anchor under every quality that was measured."""
    rows = []
    for measure in MEASURES:
        if all(measure.value(point) is None for point in results.points):
            continue
        row = [measure.label]
        for anchor in anchors:
            deltas = [
                bd_rate(results.curve(n, anchor, measure), results.curve(n, OURS, measure))
                for n in results.sequences
            ]
            row.append(_mean(deltas, "{:+.1f} %"))
        rows.append(row)
    return _table(["mean BD-rate at the same", *anchors], rows, words=1)


def speeds_table(results: Results) -> str:
    """Of every codec: frames per second over all points, and the most memory that one took."""
    rows = []
    for codec in results.codecs:
        points = [p for p in results.points if p.codec == codec]
        frames = sum(p.frames for p in points)
        encode = frames / sum(p.frames / p.encode_fps for p in points)
        decode = frames / sum(p.frames / p.decode_fps for p in points)
        memory = [max(p.encode_memory or 0, p.decode_memory or 0) / 2**20 for p in points]
        most = f"{max(memory):.0f} MiB" if max(memory) else "not known"
        rows.append((codec, f"{encode:.2f}", f"{decode:.2f}", most))
    return _table(("codec", "encode fps", "decode fps", "most memory"), rows, words=1)


def compared(before: Results, after: Results) -> str:
    """BD-rate and BD-PSNR of our codec in one file of results against another's."""
    shared = [name for name in after.sequences if name in before.sequences]
    pairs = {str(before.path): lambda n: (before.curve(n, OURS), after.curve(n, OURS))}
    groups = {
        group: [name for name in names if name in shared] for group, names in after.groups.items()
    }
    return _bd_table(f"{after.path} against", groups, pairs)


def _bd_table(
    title: str,
    groups: Mapping[str, Several[str]],
    pairs: dict[str, Callable[[str], tuple[Curve, Curve]]],
    of_gains: str = "BD-PSNR",
) -> str:
    notes: list[str] = []

    def shown(delta: Delta, where: str, unit: str) -> str:
        if delta.value is None:
            notes.append(f"{where}: {delta.reason}.")
            return "none"
        return f"{delta.value:+.1f} %" if unit == "%" else f"{delta.value:+.2f} dB"

    sequences = [name for names in groups.values() for name in names]
    rows: list[list[str]] = [[name] for name in sequences]
    means = [(f"mean of {len(sequences)}", sequences)]
    if len(groups) > 1:
        means[:0] = [(f"{group or 'others'}, mean", list(of)) for group, of in groups.items() if of]
    below: list[list[str]] = [[name] for name, _ in means]
    for anchor, curves in pairs.items():
        rates = {name: bd_rate(*curves(name)) for name in sequences}
        gains = {name: bd_psnr(*curves(name)) for name in sequences}
        for row in rows:
            rate, gain = rates[row[0]], gains[row[0]]
            where = f"{row[0]}, {anchor}"
            overlap = f"{rate.overlap:.0%}" if rate.value is not None else "none"
            row += [shown(rate, f"{where}, BD-rate", "%"), overlap]
            row += [shown(gain, f"{where}, BD-PSNR", "dB")]
        for line, (_, names) in zip(below, means, strict=True):
            line += [_mean([rates[name] for name in names], "{:+.1f} %"), ""]
            line += [_mean([gains[name] for name in names], "{:+.2f} dB")]
    head = [title]
    for anchor in pairs:
        head += [f"{anchor} BD-rate", "of our range", of_gains]
    table = _table(head, [*rows, *below], words=1)
    return "\n".join([table, "", *(f"- {note}" for note in notes)]).rstrip()


def _mean(deltas: Several[Delta], pattern: str) -> str:
    """Of those that have a value; says of how many if some have none."""
    values = [delta.value for delta in deltas if delta.value is not None]
    if not values:
        return "none"
    some = "" if len(values) == len(deltas) else f" (of {len(values)})"
    return pattern.format(sum(values) / len(values)) + some


def conditions_of(results: Results) -> str:
    """Everything that a number of this run depends on, as sentences."""
    c = results.conditions
    commits = sorted({str(run["commit"])[:12] for run in _runs_in_use(results)})
    mixed = "" if len(commits) < 2 else " (points of several commits)"
    frames = f"the first {c.frames} frames" if c.frames else "all frames"
    machines = sorted({str(run["machine"]["processor"]) for run in _runs_in_use(results)})
    return (
        f"Weights {c.model} ({c.model_sha256[:16]}), GOP {c.gop}, {frames}, 8-bit 4:2:0, one "
        f"thread per process; commit {', '.join(commits)}{mixed}; {', '.join(machines)}. PSNR of "
        "the decoded file against the source, mean over frames; weighted is (6 Y + U + V) / 8. "
        "Bits of the whole .dvc file; of the anchors, of the bare video stream. Frames per second "
        "of ours without the start of Python."
    )


def _runs_in_use(results: Results) -> list[dict[str, Any]]:
    return [results.runs[number] for number in sorted(set(results.run_of))]


def commands_of(results: Results) -> list[tuple[str, tuple[str, ...]]]:
    """Of every codec, the commands of the first sequence's smallest file."""
    found = []
    for codec in results.codecs:
        points = [point for name in results.sequences for point in results.of(name, codec)]
        found.append((codec, points[0].commands))
    return found


def commands_list(results: Results, codecs: Several[str]) -> str:
    """The commands of :func:`commands_of` as a list."""
    lines = ["Commands, with the point of the first sequence's smallest file:", ""]
    for codec, commands in commands_of(results):
        if codec == OURS or codec in codecs:
            lines += [f"- `{command}`" for command in commands]
    return "\n".join(lines)


def _table(head: Several[str], rows: Several[Several[str]], words: int) -> str:
    """The first ``words`` columns are words and stand left, the rest are numbers."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]

    def line(cells: Several[str]) -> str:
        padded = (
            cell.ljust(width) if i < words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    rule = "|".join(
        "-" * (width + 2) if i < words else "-" * (width + 1) + ":"
        for i, width in enumerate(widths)
    )
    return "\n".join((line(head), f"|{rule}|", *map(line, rows)))
