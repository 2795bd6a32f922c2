"""The report's charts, each a string of inline SVG."""

from collections.abc import Mapping
from collections.abc import Sequence as Several
from dataclasses import dataclass
from html import escape

from dvc_codec.evaluation.bdrate import bd_rate
from dvc_codec.evaluation.measures import Measure
from dvc_codec.evaluation.report.published import Published
from dvc_codec.evaluation.report.svg import MARKS, Plot, Point, Scale, document, mark
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.task import OURS

WIDTH, HEIGHT = 440.0, 330.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 12.0, 30.0, 46.0
ROOM = 1.6  # how far beyond our own rates a chart of curves reaches, as a factor

Curves = Mapping[str, Several[tuple[float, float, str]]]  # codec -> rate, quality, what it is


def curves_of(results: Results, sequence: str, measure: Measure) -> Curves:
    """Every codec's points on one sequence."""
    return {
        codec: [
            (p.bits_per_pixel, quality, _point_name(codec, p.point))
            for p in results.of(sequence, codec)
            if (quality := measure.value(p)) is not None
        ]
        for codec in results.codecs
    }


def mean_curves(results: Results, measure: Measure) -> Curves:
    """Means over sequences, of the points that every sequence has: same lambda, CRF or QP."""
    found: dict[str, list[tuple[float, float, str]]] = {}
    for codec in results.codecs:
        every = [
            {p.point: (p.bits_per_pixel, measure.value(p)) for p in results.of(name, codec)}
            for name in results.sequences
        ]
        means = []
        for point in set.intersection(*(set(one) for one in every)):
            rates, values = zip(*(one[point] for one in every), strict=True)
            known = [value for value in values if value is not None]
            if len(known) == len(values):
                count = len(values)
                means.append((sum(rates) / count, sum(known) / count, _point_name(codec, point)))
        found[codec] = sorted(means)
    return found


def rate_chart(
    curves: Curves, name: str, title: str, measure: Measure, printed: Several[Published] = ()
) -> str:
    """Quality over bits per pixel; "" where there is nothing to draw.

    Args:
        curves: by codec; its place gives the colour.
        name: for the page's own use.
        title: what it shows.
        measure: the quality.
        printed: published curves, dashed.
    """
    ours = curves.get(OURS) or [p for points in curves.values() for p in points]
    if not ours:
        return ""
    low, high = min(p[0] for p in ours) / ROOM, max(p[0] for p in ours) * ROOM
    near = [p[1] for points in curves.values() for p in points if low <= p[0] <= high]
    margin = max(0.5, 0.04 * (max(near) - min(near)))
    plot = Plot(
        title,
        Scale(low, high, LEFT, WIDTH - RIGHT, log=True),
        Scale(min(near) - margin, max(near) + margin, HEIGHT - BOTTOM, TOP),
        WIDTH,
        HEIGHT,
    )
    plot.axes("bits per pixel (log)", f"{measure.label}, {measure.unit}", (6, 6))
    for number, one in enumerate(printed):
        plot.line(one.points, f"p{number}", dashed=True)
    for number, (codec, points) in reversed(list(enumerate(curves.items()))):
        plot.line([p[:2] for p in points], f"s{number}")
        for rate, quality, what in points:
            said = f"{codec}, {what}: {rate:.4f} bits per pixel, {quality:.2f} {measure.unit}"
            plot.mark((rate, quality), MARKS[number % len(MARKS)], f"s{number}", said)
    return document([plot], name)


def speed_chart(results: Results, against: str, name: str) -> str:
    """Mean BD-rate against one codec over frames per second, encoding and decoding."""
    spots: list[tuple[int, str, float, float, float]] = []
    for number, codec in enumerate(results.codecs):
        rate = mean_rate(results, against, codec)
        points = [p for name in results.sequences for p in results.of(name, codec)]
        encode = _harmonic([p.encode_fps for p in points])
        decode = _harmonic([p.decode_fps for p in points])
        if rate is not None:
            spots.append((number, codec, rate, encode, decode))
    if not spots:
        return ""
    rates = [spot[2] for spot in spots]
    speeds = [speed for spot in spots for speed in spot[3:]]
    margin = max(5.0, 0.1 * (max(rates) - min(rates)))
    plot = Plot(
        f"BD-rate against {against} over speed",
        Scale(min(speeds) / 1.8, max(speeds) * 1.8, LEFT, WIDTH - RIGHT, log=True),
        Scale(min(rates) - margin, max(rates) + margin, HEIGHT - BOTTOM, TOP),
        WIDTH,
        HEIGHT,
    )
    plot.axes("frames per second (log)", f"BD-rate against {against}, %: lower is better")
    for number, codec, rate, encode, decode in spots:
        css, shape = f"s{number}", MARKS[number % len(MARKS)]
        plot.line([(encode, rate), (decode, rate)], f"{css} thin")
        said = f"{codec}: {rate:+.1f} %, encoding {encode:.2f} frames/s, decoding {decode:.1f}"
        plot.mark((encode, rate), shape, css, said, 6)
        plot.mark((decode, rate), shape, f"{css} hollow", said, 6)
    return document([plot], name)


def mean_rate(results: Results, against: str, codec: str) -> float | None:
    """Mean BD-rate of ``codec`` in percent; None where a sequence has none."""
    deltas = [
        bd_rate(results.curve(name, against), results.curve(name, codec))
        for name in results.sequences
    ]
    values = [delta.value for delta in deltas if delta.value is not None]
    return sum(values) / len(values) if values and len(values) == len(deltas) else None


@dataclass(frozen=True)
class Track:
    """A codec along time: bits of every frame by part, and its weighted PSNR in dB."""

    codec: str
    bits: Several[Mapping[str, int]]
    psnr: Several[float]


def timeline(
    ours: Track, other: Track | None, parts: Several[str], name: str, other_css: str = "s1"
) -> str:
    """PSNR above, bits by part below, frame by frame; ``other_css`` is the anchor's colour.

    A bar higher than the chart (an I frame) is cut, and its number stands above.
    """
    count = len(ours.psnr)
    every = [*ours.psnr, *(other.psnr if other else ())]
    across = Scale(-0.5, count - 0.5, LEFT, WIDTH - RIGHT)
    middle = 138.0
    margin = max(0.3, 0.06 * (max(every) - min(every)))
    above = Plot(
        "PSNR of every frame",
        across,
        Scale(min(every) - margin, max(every) + margin, middle, TOP),
        WIDTH,
        HEIGHT,
    )
    above.axes("", "PSNR, Y U V 6:1:1, dB", (6, 4))
    above.parts = [p for p in above.parts if 'text-anchor="middle"' not in p]
    if other:
        above.line(list(enumerate(other.psnr)), other_css)
    above.line(list(enumerate(ours.psnr)), "s0")

    sums = [sum(frame.values()) / 1000 for frame in ours.bits]
    theirs = [sum(frame.values()) / 1000 for frame in other.bits] if other else []
    top = _height_of_most([*sums, *theirs])
    below = Plot(
        "bits of every frame",
        across,
        Scale(0, top, HEIGHT - BOTTOM, middle + 66),
        WIDTH,
        HEIGHT,
    )
    below.axes("frame", "kbit per frame", (6, 4), room=27)
    wide = min(22.0, 0.8 * (WIDTH - RIGHT - LEFT) / max(1, count))
    last_label = -100.0
    for at, frame in enumerate(ours.bits):
        height = 0.0
        for part, number in frame.items():
            said = f"frame {at}: {part} {number} bits, {ours.psnr[at]:.2f} dB"
            tall = number / 1000
            css = f"b{parts.index(part)}"
            below.bar(across(at), wide, height, height + tall, css, said)
            height += tall
        if height > top and across(at) - last_label > 40:
            last_label = across(at)
            anchor = "start" if at == 0 else "middle"
            left = across(at) - wide / 2 if at == 0 else across(at)
            below.text(left, middle + 60, f"{height:.0f}", "tick", anchor)
    if theirs:
        below.line(_steps(theirs), other_css)
    return document([above, below], name)


def legend(entries: Several[tuple[str, str]]) -> str:
    """Names beside their marks; an entry is (the svg of a mark, the name)."""
    items = "".join(
        f'<span class="key"><svg viewBox="0 0 26 14" aria-hidden="true">{picture}</svg>'
        f"{escape(name)}</span>"
        for picture, name in entries
    )
    return f'<p class="legend">{items}</p>'


def codec_key(number: int) -> str:
    """Line and mark of a codec, for a legend."""
    css = f"s{number}"
    line = f'<line class="line {css}" x1="1" y1="7" x2="25" y2="7"/>'
    return line + mark(13, 7, MARKS[number % len(MARKS)], css)


def _steps(values: Several[float]) -> list[Point]:
    return [(at + side, value) for at, value in enumerate(values) for side in (-0.5, 0.5)]


def _height_of_most(sums: Several[float]) -> float:
    """Of a chart that shows nine of ten bars whole; few may be much higher."""
    ordered = sorted(sums)
    most = ordered[int(0.9 * (len(ordered) - 1))]
    return 1.15 * (ordered[-1] if ordered[-1] < 2 * most else most * 1.25) or 1.0


def _harmonic(speeds: Several[float]) -> float:
    """The speed that all frames together had, were all tasks as long."""
    return len(speeds) / sum(1 / speed for speed in speeds)


def _point_name(codec: str, point: float) -> str:
    return f"lambda {point:g}" if codec == OURS else f"point {point:g}"
