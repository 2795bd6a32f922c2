"""dvc-codec transcode: any video to any other, .dvc on either side, both or none."""

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from dvc_codec.cli import decode, encode
from dvc_codec.cli.encode import source_notes
from dvc_codec.cli.options import (
    STANDARD,
    Commands,
    add_common,
    add_limits,
    add_part,
    add_viewing,
    check_device,
    check_distinct,
    frames_wanted,
    note,
    viewing_of,
)
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.cli.rate_options import add_rates
from dvc_codec.container import is_dvc
from dvc_codec.errors import UsageError

if TYPE_CHECKING:
    from dvc_codec.video import VideoInfo
    from dvc_codec.video.transcode import Transcoded

RATES = ("lagrangian", "quality", "target_psnr", "target_bitrate", "target_size")
SEARCH = ("preset", "intra", "no_scene_cuts", "no_temporal_filter")

EXAMPLES = """examples:
  dvc-codec transcode in.dvc out.mp4                  (as decode does)
  dvc-codec transcode in.mp4 out.dvc --quality 40     (as encode does)
  dvc-codec transcode in.dvc smaller.dvc --lambda 128 (decoded and coded anew)
  dvc-codec transcode in.mov out.mkv --convert        (lossless, with sound)
  dvc-codec transcode in.mp4 out.mp4 --crf 23 --start 3 --end 10
"""


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "transcode",
        help="turn any video into any other, by the names of the files",
        description="OUT says what is made: .dvc, or .mkv, .mp4, .y4m, .yuv for viewing. Sound, "
        "subtitles, tags and chapters go along, byte for byte.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "source", metavar="IN", help="a video or .dvc file, or - for y4m on standard input"
    )
    parser.add_argument("target", metavar="OUT", help="the file to make; its suffix says which")
    into_dvc = parser.add_argument_group("where OUT is a .dvc file")
    add_rates(into_dvc)
    encode.add_search(into_dvc)
    from_video = parser.add_argument_group("where IN is a video")
    encode.add_conversion(from_video)
    from_dvc = parser.add_argument_group("where IN is a .dvc file and OUT a video")
    decode.add_strict(from_dvc)
    add_limits(from_dvc)
    for_viewing = parser.add_argument_group("where OUT is .mkv or .mp4")
    add_viewing(for_viewing)
    add_part(parser, "take")
    add_common(parser)
    parser.set_defaults(resume=False, recon=None, csv=None)


def run(arguments: argparse.Namespace) -> None:
    """Encode, decode, or copy with pictures coded anew."""
    from_dvc, to_dvc = is_dvc(arguments.source), arguments.target.lower().endswith(".dvc")
    check_given(arguments, from_dvc, to_dvc)
    if to_dvc:
        arguments.target = Path(arguments.target)
        encode.run(arguments)
    elif from_dvc:
        arguments.source = Path(arguments.source)
        decode.run(arguments)
    else:
        copy(arguments)


def check_given(arguments: argparse.Namespace, from_dvc: bool, to_dvc: bool) -> None:
    """Refuse options that would be without effect."""
    only = {
        f"is for making a .dvc file, and OUT is {arguments.target}": (
            to_dvc,
            (*RATES, "gop", "b_frames", *SEARCH, "metric", "model"),
        ),
        "is for .mkv and .mp4, and OUT is a .dvc file": (not to_dvc, ("video", "crf", "lossy")),
        "is for videos, and IN is a .dvc file": (not from_dvc, ("convert", "raw_size", "raw_rate")),
        "is for decoding a .dvc file to a video": (
            from_dvc and not to_dvc,
            ("strict", "max_pixels", "max_memory"),
        ),
    }
    for why, (fits, names) in only.items():
        for name in names:
            given = getattr(arguments, name)
            if name == "model" and from_dvc:
                continue
            if not fits and given is not None and given is not False:
                word = "lambda" if name == "lagrangian" else name.replace("_", "-")
                raise UsageError(f"--{word}: {why}")


def copy(arguments: argparse.Namespace) -> None:
    """A video into another, neither of them ours."""
    to_stdout = arguments.target == STANDARD
    if to_stdout and arguments.json:
        raise UsageError("--json: standard output has the video already; give OUT a name")
    if not to_stdout:
        check_distinct(arguments.source, {"OUT": arguments.target})
    check_device(arguments)
    lossless, crf = viewing_of(arguments, arguments.target)
    from dvc_codec.video.transcode import transcode_file

    raw = encode.raw_format(arguments)
    frames = frames_wanted(arguments, lambda: encode.source_rate(arguments, raw))
    infos: list[VideoInfo] = []
    begun = time.monotonic()
    with ProgressLine(not arguments.quiet, events=arguments.events) as line:

        def follow(done: "Transcoded", info: "VideoInfo") -> None:
            infos[:] = [info]
            line.show(done.frames, info.frames_from(arguments.start, frames))

        done = transcode_file(
            arguments.source,
            arguments.target,
            start=arguments.start,
            frames=frames,
            convert=arguments.convert,
            sound=arguments.sound,
            raw=raw,
            lossless=lossless,
            crf=crf,
            progress=follow,
        )
    seconds = time.monotonic() - begun
    for text in source_notes(arguments.source, done, infos[0]):
        note(text)
    if arguments.json:
        facts = {"file": arguments.target, "frames": done.frames, "seconds": seconds}
        print(json.dumps({**facts, "left_out": done.left_out}))
    elif not arguments.quiet and not to_stdout:
        rate = done.frames / seconds
        print(f"{arguments.target}: {done.frames} frames, {rate:.1f} frames/s")
