"""dvc-codec decode: a .dvc file in, a video out."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_codec.cli.options import (
    STANDARD,
    Commands,
    add_common,
    check_distinct,
    note,
    number,
    ready_model,
    speed_note,
)
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.errors import UsageError

if TYPE_CHECKING:
    from dvc_codec.codec.decoder import Decoded


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser("decode", help="turn a .dvc file back into a video")
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="IN", type=Path, help="a .dvc file")
    parser.add_argument(
        "target", metavar="OUT", help=".y4m, .mkv, .mp4 or .yuv; - for y4m on standard output"
    )
    parser.add_argument("--start", type=number, default=0.0, metavar="T", help="seconds to skip")
    parser.add_argument("--frames", type=int, metavar="N", help="decode at most N frames")
    parser.add_argument(
        "--lossy", action="store_true", help="small .mkv for viewing (x264); .mp4 always is one"
    )
    add_common(parser)


def run(arguments: argparse.Namespace) -> None:
    """Decode, with progress on the way and a line or JSON at the end."""
    to_stdout = arguments.target == STANDARD
    if to_stdout and arguments.json:
        raise UsageError("--json: standard output has the video already; give OUT a name")
    if not to_stdout:
        check_distinct(arguments.source, {"OUT": arguments.target})
    from dvc_codec.codec.decoder import decode_file

    model = ready_model(arguments)
    with ProgressLine(not arguments.quiet) as line:
        decoded = decode_file(
            arguments.source,
            arguments.target,
            start=arguments.start,
            frames=arguments.frames,
            lossless=False if arguments.lossy else None,
            model=model,
            progress=lambda so_far, total: line.show(so_far.frames, total),
        )
    if text := speed_note(model):
        note(text)
    if arguments.json:
        print(json.dumps(as_json(arguments.target, decoded)))
    elif not arguments.quiet:
        file = sys.stderr if to_stdout else sys.stdout
        print(final_line(arguments.target, decoded), file=file)


def final_line(target: str, decoded: "Decoded") -> str:
    """What came out, for people."""
    return (
        f"{'standard output' if target == STANDARD else target}: {decoded.frames} frames, "
        f"{exactness(decoded)}, {decoded.frames / decoded.seconds:.1f} frames/s"
    )


def exactness(decoded: "Decoded") -> str:
    """Whether these are the encoder's pictures."""
    if not decoded.differing:
        return "bit-exact"
    return f"{decoded.differing} of {decoded.frames} frames differ from the encoder's picture"


def as_json(target: str, decoded: "Decoded") -> dict[str, Any]:
    """The same, for programs."""
    return {
        "file": target,
        "frames": decoded.frames,
        "differing": decoded.differing,
        "bit_exact": not decoded.differing,
        "seconds": decoded.seconds,
        "frames_per_second": decoded.frames / decoded.seconds,
    }
