"""dvc-codec encode: a video in, a .dvc file out."""

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dvc_codec.cli.frame_table import FrameTable
from dvc_codec.cli.interrupt import check
from dvc_codec.cli.options import (
    DEFAULT_B_FRAMES,
    STANDARD,
    Commands,
    Options,
    add_b_frames,
    add_common,
    add_metric,
    add_part,
    check_distinct,
    frames_wanted,
    note,
    rate,
    rate_of,
    ready_model,
    size,
    speed_note,
)
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.cli.rate_options import add_rates, choose, source_info
from dvc_codec.container import FrameKind, is_dvc
from dvc_codec.errors import UsageError

if TYPE_CHECKING:
    from dvc_codec.codec.encoder import Summary
    from dvc_codec.video import RawFormat, VideoInfo
    from dvc_codec.video.transcode import Transcoded


EXAMPLES = """examples:
  dvc-codec encode in.mp4 out.dvc
  dvc-codec encode in.mp4 out.dvc --quality 40 --preset fast
  dvc-codec encode in.mp4 out.dvc --target-size 25M
  dvc-codec encode in.mov out.dvc --convert --start 3 --end 10
  ffmpeg -i in.mp4 -f yuv4mpegpipe - | dvc-codec encode - out.dvc --target-bitrate 300k
"""
DEFAULT_GOP = 32


class Preset(NamedTuple):
    """How long to search: codec of I frames, and whether residuals are chosen twice."""

    intra: str
    twice: bool


PRESETS = {
    "fast": Preset("av1", False),
    "medium": Preset("auto", True),
    "slow": Preset("best", True),
}


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "encode",
        help="code a video into a .dvc file",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="IN", help="a video file, or - for y4m on standard input")
    parser.add_argument("target", metavar="OUT", type=Path, help="the .dvc file to make")
    add_rates(parser)
    add_search(parser)
    add_part(parser, "code")
    add_conversion(parser)
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on from OUT.part where there is one; keep it when stopped",
    )
    parser.add_argument(
        "--recon", metavar="FILE", help="also write what a decoder will show (.y4m, .mkv, ...)"
    )
    parser.add_argument(
        "--csv", type=Path, metavar="FILE", help="bits and quality of every frame as a table"
    )
    add_common(parser)


def add_search(parser: Options) -> None:
    """--metric, --gop, --b-frames, --preset, --intra, --no-scene-cuts, --no-temporal-filter."""
    add_metric(parser)
    parser.add_argument(
        "--gop", type=int, metavar="N", help="longest group of pictures (default: 32)"
    )
    add_b_frames(parser)
    parser.add_argument(
        "--preset",
        choices=PRESETS,
        help="how long to search: fast codes I frames with one codec and looks at residuals once; "
        "medium (default) takes the best of all codecs and looks twice; slow takes longer still "
        "for I frames",
    )
    parser.add_argument(
        "--intra",
        choices=("auto", "best", "hevc", "av1", "vvc"),
        help="codec of the I frames (default: what the preset says; auto is the best for each, "
        "best too, after a longer search; with --metric ms-ssim the one that knows it; vvc needs "
        "imageio-ffmpeg)",
    )
    parser.add_argument(
        "--no-scene-cuts", action="store_true", help="start groups every N frames only"
    )
    parser.add_argument(
        "--no-temporal-filter",
        action="store_true",
        help="code I and P frames as they are, not averaged along motion with those around them "
        "(which saves 0 to 17 %% of the bits, most where there is noise; off without B frames)",
    )


def add_conversion(parser: Options) -> None:
    """--convert, --raw-size, --raw-rate."""
    parser.add_argument(
        "--convert",
        action="store_true",
        help="convert what is not 8-bit 4:2:0, and deinterlace; else both are refused",
    )
    parser.add_argument(
        "--raw-size", type=size, metavar="WxH", help="picture size of a raw 4:2:0 source (.yuv)"
    )
    parser.add_argument(
        "--raw-rate", type=rate, metavar="R", help="its frames per second (default: 25)"
    )


def run(arguments: argparse.Namespace) -> None:
    """Encode, with progress on the way and a line or JSON at the end."""
    check_arguments(arguments)
    from dvc_codec.codec.encoder import encode_file
    from dvc_codec.codec.rate_search import Part

    raw = raw_format(arguments)
    preset = PRESETS[arguments.preset or "medium"]
    part = Part(
        arguments.source,
        gop=DEFAULT_GOP if arguments.gop is None else arguments.gop,
        start=arguments.start,
        frames=frames_wanted(arguments, lambda: source_rate(arguments, raw)),
        intra=arguments.intra or preset.intra,
        twice=preset.twice,
        scene_cuts=not arguments.no_scene_cuts,
        temporal_filter=not arguments.no_temporal_filter,
        between=DEFAULT_B_FRAMES if arguments.b_frames is None else arguments.b_frames,
        convert=arguments.convert,
        raw=raw,
    )
    model = ready_model(arguments)
    notes: list[str | None] = [speed_note(model)]
    with (
        ProgressLine(not arguments.quiet, events=arguments.events) as line,
        FrameTable(arguments.csv) as table,
    ):
        infos: list[VideoInfo] = []
        frame_bits: dict[int, dict[str, int]] = {}  # by time
        indices: set[int] = set()  # of I frames: the group's own

        def follow(summary: "Summary", info: "VideoInfo") -> None:
            infos[:] = [info]
            assert summary.last is not None
            table.add(summary.last)
            frame_bits[summary.last.record.pts] = summary.last.bits
            if summary.last.record.kind == FrameKind.I:
                indices.add(summary.last.record.rate_index)
            total = info.frames_from(part.start, part.frames)
            facts = so_far(summary, info, total)
            line.show(summary.frames, total, *in_words(facts), facts=facts)

        chosen = choose(arguments, part, model, line)
        summary = encode_file(
            arguments.source,
            arguments.target,
            lagrangian=chosen.lagrangian,
            rates=chosen.rates,
            rates_are=chosen.words,
            gop=part.gop,
            start=part.start,
            frames=part.frames,
            intra=part.intra,
            twice=part.twice,
            scene_cuts=part.scene_cuts,
            temporal_filter=part.temporal_filter,
            between=part.between,
            convert=part.convert,
            sound=arguments.sound,
            resume=arguments.resume,
            recon=arguments.recon,
            model=model,
            raw=raw,
            progress=follow,
            waiting=check,
        )
    info = infos[0] if infos else source_info(part, model)
    notes += source_notes(arguments.source, summary, info)
    if chosen.rates:
        notes.append(limit_note(arguments.target, indices))
    if summary.resumed:
        notes.append(f"{arguments.target}: went on after {summary.resumed} frames")
    for text in filter(None, notes):
        note(text)
    if arguments.json:
        said = as_json(arguments.target, summary, info)
        in_display_order = [bits for _, bits in sorted(frame_bits.items())]
        print(json.dumps(said | {"frame_bits": in_display_order}))
    elif not arguments.quiet:
        print(final_line(arguments.target, summary, info))


def check_arguments(arguments: argparse.Namespace) -> None:
    """What can be said before anything is opened."""
    if str(arguments.target) == STANDARD:
        raise UsageError("OUT: a .dvc file cannot go to standard output; give a name")
    if arguments.recon == STANDARD:
        raise UsageError("--recon: cannot go to standard output; give a name")
    if arguments.resume and (arguments.recon or arguments.csv or arguments.source == STANDARD):
        raise UsageError("--resume: does not go with --recon, --csv or standard input")
    targets = {"OUT": arguments.target, "--recon": arguments.recon, "--csv": arguments.csv}
    check_distinct(arguments.source, targets)


def raw_format(arguments: argparse.Namespace) -> "RawFormat | None":
    """What --raw-size and --raw-rate say."""
    from dvc_codec.video import RawFormat

    if arguments.raw_rate and not arguments.raw_size:
        raise UsageError("--raw-rate: is for raw video; give --raw-size too")
    if not arguments.raw_size:
        return None
    width, height = arguments.raw_size
    return RawFormat(width, height, arguments.raw_rate or Fraction(25))


def source_rate(arguments: argparse.Namespace, raw: "RawFormat | None") -> Fraction:
    """The source's frames per second, for --end."""
    from dvc_codec.video import open_video

    if arguments.source == STANDARD:
        raise UsageError("--end: standard input has no times; use --frames")
    if raw is None and is_dvc(arguments.source):
        return rate_of(arguments.source)
    with open_video(arguments.source, frames=1, convert=True, raw=raw) as reader:
        return reader.info.frame_rate


def source_notes(source: str, done: "Summary | Transcoded", info: "VideoInfo") -> list[str]:
    """What a user should know of how a source was read."""
    notes = []
    if done.converted_from:
        notes.append(f"{source}: {done.converted_from} was converted to 8-bit 4:2:0")
    if curve := {16: "PQ", 18: "HLG"}.get(info.colour.transfer):
        notes.append(
            f"{source}: HDR ({curve}) is kept as it is, in 8 bits: smooth areas may show bands"
        )
    if done.interlaced:
        notes.append(f"{source}: interlaced pictures were deinterlaced, one frame of two fields")
    if done.damaged:
        notes.append(
            f"{source}: {done.damaged} places could not be decoded; "
            "their pictures are missing or patched"
        )
    if done.left_out:
        notes.append(f"{source}: left out: {', '.join(done.left_out)}")
    return notes


def limit_note(target: Path, indices: set[int]) -> str | None:
    """Where rate control could not go on: every group at the same end of the rate indices."""
    from dvc_codec.networks.rate import RATES

    ends = {0: "lowest", RATES - 1: "highest"}
    end = ends.get(next(iter(indices))) if len(indices) == 1 else None
    return end and f"{target}: the target is at the {end} quality there is, or beyond it"


def so_far(summary: "Summary", info: "VideoInfo", total: int | None) -> dict[str, float | None]:
    """Rate, quality, size and what the size will be."""
    bytes_now = sum(summary.bits.values()) / 8
    return {
        "kbit_per_second": kbit_per_second(summary, info),
        "psnr": summary.psnr,
        "bytes": round(bytes_now),
        "expected_bytes": round(bytes_now * total / max(1, summary.frames)) if total else None,
    }


def in_words(facts: dict[str, float | None]) -> tuple[str, ...]:
    """The same, for people."""
    parts = (f"{facts['kbit_per_second']:.0f} kbit/s", f"{facts['psnr']:.2f} dB")
    expected = facts["expected_bytes"]
    size = f"{(facts['bytes'] or 0) / 1000:.0f} kB"
    return (*parts, size if expected is None else f"{size} of {expected / 1000:.0f} kB")


def kbit_per_second(summary: "Summary", info: "VideoInfo") -> float:
    """Of the file without its sound where it is finished, else of the frames so far."""
    bits = sum(summary.bits.values())
    return float(bits * info.frame_rate / max(1, summary.frames) / 1000)


def final_line(target: Path, summary: "Summary", info: "VideoInfo") -> str:
    """What came out, for people."""
    split = ", ".join(
        f"{'I' if part == 'intra' else part} {bits / summary.pixels:.4f}"
        for part, bits in summary.bits.items()
    )
    sound = f"{summary.companion_bytes} of them sound, " if summary.companion_bytes else ""
    return (
        f"{target}: {summary.frames} frames in {summary.gops} GOPs, "
        f"{summary.file_bytes} bytes, {sound}"
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
        "interlaced": summary.interlaced,
        "damaged": summary.damaged,
        "companion_bytes": summary.companion_bytes,
        "left_out": summary.left_out,
        "resumed": summary.resumed,
    }
