"""dvc-codec encode: a video in, a .dvc file out."""

import argparse
import json
import math
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_codec.cli.frame_table import FrameTable
from dvc_codec.cli.interrupt import check
from dvc_codec.cli.options import (
    STANDARD,
    Commands,
    add_common,
    check_distinct,
    note,
    number,
    rate,
    ready_model,
    size,
    speed_note,
)
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.errors import UsageError

if TYPE_CHECKING:
    from dvc_codec.codec.encoder import Summary
    from dvc_codec.video import VideoInfo


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser("encode", help="code a video into a .dvc file")
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="IN", help="a video file, or - for y4m on standard input")
    parser.add_argument("target", metavar="OUT", type=Path, help="the .dvc file to make")
    parser.add_argument(
        "--lambda",
        dest="lagrangian",
        type=number,
        default=1024.0,
        metavar="L",
        help="weight of quality against size, 64 to 4096 (default: 1024)",
    )
    parser.add_argument(
        "--gop", type=int, default=32, metavar="N", help="longest group of pictures (default: 32)"
    )
    parser.add_argument("--start", type=number, default=0.0, metavar="T", help="seconds to skip")
    parser.add_argument("--frames", type=int, metavar="N", help="code at most N frames")
    parser.add_argument(
        "--intra",
        choices=("auto", "hevc", "av1"),
        default="auto",
        help="codec of the I frames (default: auto, the better one for each)",
    )
    parser.add_argument(
        "--no-scene-cuts", action="store_true", help="start groups every N frames only"
    )
    parser.add_argument(
        "--recon", metavar="FILE", help="also write what a decoder will show (.y4m, .mkv, ...)"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="bits and quality of every frame as a table"
    )
    parser.add_argument(
        "--raw-size", type=size, metavar="WxH", help="picture size of a raw 4:2:0 source (.yuv)"
    )
    parser.add_argument(
        "--raw-rate", type=rate, metavar="R", help="its frames per second (default: 25)"
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> None:
    """Encode, with progress on the way and a line or JSON at the end."""
    check_arguments(arguments)
    from dvc_codec.codec.encoder import encode_file
    from dvc_codec.video import RawFormat

    raw = None
    if arguments.raw_size:
        width, height = arguments.raw_size
        raw = RawFormat(width, height, arguments.raw_rate or Fraction(25))
    model = ready_model(arguments)
    notes = [speed_note(model)]
    with ProgressLine(not arguments.quiet) as line, FrameTable(arguments.csv) as table:
        infos: list[VideoInfo] = []
        frame_bits: list[dict[str, int]] = []

        def follow(summary: "Summary", info: "VideoInfo") -> None:
            infos[:] = [info]
            assert summary.last is not None
            table.add(summary.last)
            frame_bits.append(summary.last.bits)
            kbit, psnr = f"{kbit_per_second(summary, info):.0f} kbit/s", f"{summary.psnr:.2f} dB"
            line.show(summary.frames, expected_frames(info, arguments), kbit, psnr)

        summary = encode_file(
            arguments.source,
            arguments.target,
            lagrangian=arguments.lagrangian,
            gop=arguments.gop,
            start=arguments.start,
            frames=arguments.frames,
            intra=arguments.intra,
            scene_cuts=not arguments.no_scene_cuts,
            recon=arguments.recon,
            model=model,
            raw=raw,
            progress=follow,
            waiting=check,
        )
    if summary.converted_from:
        notes.append(f"{arguments.source}: {summary.converted_from} was converted to 8-bit 4:2:0")
    if summary.damaged:
        notes.append(
            f"{arguments.source}: {summary.damaged} places could not be decoded; "
            "their pictures are missing or patched"
        )
    for text in filter(None, notes):
        note(text)
    if arguments.json:
        said = as_json(arguments.target, summary, infos[0])
        print(json.dumps(said | {"frame_bits": frame_bits}))
    elif not arguments.quiet:
        print(final_line(arguments.target, summary, infos[0]))


def check_arguments(arguments: argparse.Namespace) -> None:
    """What can be said before anything is opened."""
    if arguments.raw_rate and not arguments.raw_size:
        raise UsageError("--raw-rate: is for raw video; give --raw-size too")
    if str(arguments.target) == STANDARD:
        raise UsageError("OUT: a .dvc file cannot go to standard output; give a name")
    if arguments.recon == STANDARD:
        raise UsageError("--recon: cannot go to standard output; give a name")
    targets = {"OUT": arguments.target, "--recon": arguments.recon, "--csv": arguments.csv}
    check_distinct(arguments.source, targets)


def expected_frames(info: "VideoInfo", arguments: argparse.Namespace) -> int | None:
    """How many frames will be coded, as far as the source says."""
    wanted: int | None = arguments.frames
    left: int
    if info.frame_count is None:
        return wanted
    left = max(1, info.frame_count - math.floor(arguments.start * info.frame_rate))
    return left if wanted is None else min(left, wanted)


def kbit_per_second(summary: "Summary", info: "VideoInfo") -> float:
    """Of the file where it is finished, else of the frames so far."""
    bits = sum(summary.bits.values())
    return float(bits * info.frame_rate / max(1, summary.frames) / 1000)


def final_line(target: Path, summary: "Summary", info: "VideoInfo") -> str:
    """What came out, for people."""
    split = ", ".join(
        f"{'I' if part == 'intra' else part} {bits / summary.pixels:.4f}"
        for part, bits in summary.bits.items()
    )
    return (
        f"{target}: {summary.frames} frames in {summary.gops} GOPs, {summary.file_bytes} bytes, "
        f"{summary.bits_per_pixel:.4f} bits per pixel ({split}), "
        f"{kbit_per_second(summary, info):.0f} kbit/s, {summary.psnr:.2f} dB, "
        f"{summary.frames / summary.seconds:.1f} frames/s"
    )


def as_json(target: Path, summary: "Summary", info: "VideoInfo") -> dict[str, Any]:
    """The same, for programs."""
    return {
        "file": str(target),
        "width": info.width,
        "height": info.height,
        "frame_rate": str(info.frame_rate),
        "frames": summary.frames,
        "gops": summary.gops,
        "bytes": summary.file_bytes,
        "bits": summary.bits,
        "bits_per_pixel": summary.bits_per_pixel,
        "kbit_per_second": kbit_per_second(summary, info),
        "psnr": summary.psnr,
        "seconds": summary.seconds,
        "frames_per_second": summary.frames / summary.seconds,
        "converted_from": summary.converted_from,
        "damaged": summary.damaged,
    }
