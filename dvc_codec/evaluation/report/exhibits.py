"""What is shown of each sequence besides numbers: pictures at equal bits, one P frame's inside, and
two codecs along time. All of it from the coded files and the source.
"""

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dvc_codec.codec.decoder import Decoder
from dvc_codec.codec.model import Model
from dvc_codec.errors import DvcError
from dvc_codec.evaluation.anchors import anchor_named
from dvc_codec.evaluation.datasets import sequences_of
from dvc_codec.evaluation.frame_bits import packet_bits, payload_bits
from dvc_codec.evaluation.metrics import compare_files, psnr, squared_errors, weighted
from dvc_codec.evaluation.report.charts import Track
from dvc_codec.evaluation.report.equal_bits import chosen_anchor, encode_to_size
from dvc_codec.evaluation.report.inside import Inside, take_apart
from dvc_codec.evaluation.report.pictures import QUALITY, as_uri
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.rgb import bt709_rgb
from dvc_codec.evaluation.sequences import Sequence
from dvc_codec.evaluation.task import OURS, Measured, run_command, write_source
from dvc_codec.video import Picture, open_video
from dvc_codec.video.colours import around_grey, flow_wheel, heat

RESIDUAL_GAIN = 4.0


@dataclass(frozen=True)
class Shown:
    """A picture and the sentence under it."""

    uri: str
    caption: str


@dataclass(frozen=True)
class Exhibit:
    """Of one sequence.

    Args:
        sequence: its name.
        width: of its pictures.
        height: of its pictures.
        ours: our codec along time.
        other: the anchor along time, at as many bytes; None without an anchor.
        pictures: source, ours, and the anchor's if there is one: the same frame.
        inside: flow, prediction, residual, bits of a P frame.
        rate: of which point ours is, and the anchor.
        frame: which frame the pictures are, and how they are shown.
        missing: why there are no pictures; empty if there are.
    """

    sequence: str
    width: int
    height: int
    ours: Track
    other: Track | None = None
    pictures: tuple[Shown, ...] = ()
    inside: tuple[Shown, ...] = ()
    rate: str = ""
    frame: str = ""
    missing: str = ""


def exhibits(results: Results, model: Model | None, workers: int = 1) -> Iterator[Exhibit]:
    """One after the other, in the order of the results' sequences that our codec coded.

    Args:
        results: beside its file lie the coded files.
        model: our weights, to look inside; None leaves the pictures out.
        workers: sequences worked on at a time.
    """
    names = [name for name in results.sequences if results.of(name, OURS)]
    with ThreadPoolExecutor(workers) as pool:
        yield from pool.map(lambda name: _exhibit(results, name, model), names)


def _exhibit(results: Results, name: str, model: Model | None) -> Exhibit:
    points = sorted(results.of(name, OURS), key=lambda p: p.point)
    point = points[len(points) // 2]
    folder = results.path.parent
    coded = folder / point.coded
    plain = Exhibit(name, point.width, point.height, _track(point, coded))
    try:
        if model is None or model.sha256.hex() != point.details.get("model_sha256"):
            raise DvcError("the weights that coded this are not at hand")
        with tempfile.TemporaryDirectory(prefix="dvc-report-") as work:
            c = results.conditions
            (sequence,) = sequences_of(c.data, [name], c.frames)
            return _with_pictures(results, plain, point, sequence, model, Path(work))
    except DvcError as error:
        return Exhibit(name, point.width, point.height, plain.ours, missing=str(error))


def _with_pictures(
    results: Results,
    plain: Exhibit,
    point: Measured,
    sequence: Sequence,
    model: Model,
    work: Path,
) -> Exhibit:
    coded = results.path.parent / point.coded
    source = work / "source.y4m"
    write_source(sequence, source)
    inside = None
    if any("intra" not in frame for frame in plain.ours.bits):
        inside = take_apart(coded, model, min(results.conditions.gop, point.frames) - 1)
    number, full = inside.frame if inside else 0, _range_of(source)
    true = _frame(source, number)
    decoded_by_us = inside.decoded if inside else _first_frame(coded, model)

    def shown(picture: Picture, title: str) -> Shown:
        return Shown(as_uri(bt709_rgb(picture, full)), f"{title}, {_quality(true, picture)}")

    same = f"lambda {point.point:g}, file {point.file_bytes:,} bytes"
    pictures = [
        Shown(as_uri(bt709_rgb(true, full)), "source"),
        shown(decoded_by_us, f"dvc-codec, {same}"),
    ]
    other = None
    rate = f"dvc-codec at lambda {point.point:g}"
    if anchor := chosen_anchor(results):
        stream = work / f"anchor{anchor_named(anchor).suffix}"
        known = results.of(sequence.name, anchor)
        if known:
            at = encode_to_size(
                source, stream, anchor, known, point.file_bytes, results.conditions.gop
            )
            decoded = work / "anchor.y4m"
            run_command(
                anchor_named(anchor).decode_command(Path(stream.name), Path(decoded.name)), work
            )
            size = stream.stat().st_size
            pictures.append(
                shown(_frame(decoded, number), f"{anchor}, point {at:g}, file {size:,} bytes")
            )
            quality = compare_files(source, decoded)
            each = tuple(weighted(planes) for planes in quality.frame_psnr)
            other = Track(anchor, packet_bits(stream), each)
            rate += f", {anchor} at point {at:g}: {size / point.file_bytes:.1%} of its bytes"
    return Exhibit(
        plain.sequence,
        plain.width,
        plain.height,
        plain.ours,
        other,
        tuple(pictures),
        _strip(inside, full) if inside else (),
        f"{rate}.",
        f"Frame {number}, shown as WebP of quality {QUALITY}, BT.709.",
    )


def _strip(inside: Inside, full: int) -> tuple[Shown, ...]:
    """Flow, prediction, residual, bits."""
    found = []
    if inside.flow.size:
        length = float(np.percentile(np.hypot(*inside.flow), 99.5))
        found.append(
            Shown(
                as_uri(flow_wheel(inside.flow, max(length, 1.0)), 80),
                f"flow: hue is direction, full colour {max(length, 1.0):.1f} pixels, white none",
            )
        )
    found.append(
        Shown(as_uri(bt709_rgb(inside.prediction, full), 80), "prediction from the frame before")
    )
    residual = inside.decoded.y.astype(np.float32) - inside.prediction.y
    found.append(
        Shown(
            as_uri(around_grey(residual, RESIDUAL_GAIN), 80),
            f"residual: decoded minus prediction, luma, times {RESIDUAL_GAIN:g} around grey",
        )
    )
    highest = max(1.0, float(np.percentile(inside.bits, 99.5)))
    large = inside.bits.repeat(16, 0).repeat(16, 1)
    height, width = inside.decoded.y.shape
    found.append(
        Shown(
            as_uri(heat(large[:height, :width], highest), 80),
            f"bits of each 16x16 block: black 0, pale yellow {highest:.0f} and more; "
            f"{inside.payload_bits:,} in all",
        )
    )
    return tuple(found)


def _track(point: Measured, coded: Path) -> Track:
    """Ours along time; files of older runs do not know the parts of a P frame."""
    bits = point.frame_bits
    if not bits and coded.is_file():
        bits = payload_bits(coded)
    return Track(OURS, bits, tuple(weighted(planes) for planes in point.frame_psnr))


def _first_frame(coded: Path, model: Model) -> Picture:
    with Decoder(coded, model) as decoder:
        ((frame, _),) = decoder.frames(first=0, count=1)
    return frame.picture


def _frame(path: Path, number: int) -> Picture:
    with open_video(path, frames=number + 1) as reader:
        for at, frame in enumerate(reader):
            if at == number:
                return frame.picture
    raise DvcError(f"{path}: has no frame {number}")


def _range_of(path: Path) -> int:
    with open_video(path) as reader:
        return reader.info.colour.range


def _quality(true: Picture, shown: Picture) -> str:
    y, u, v = (psnr(error) for error in squared_errors(true, shown))
    return f"this frame {weighted((y, u, v)):.2f} dB"
