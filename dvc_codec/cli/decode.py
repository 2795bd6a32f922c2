"""dvc-codec decode: a .dvc file in, a video out."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_codec.cli.options import (
    STANDARD,
    Commands,
    Options,
    add_common,
    add_limits,
    add_part,
    add_viewing,
    check_distinct,
    frames_wanted,
    limits_of,
    model_of_source,
    note,
    rate_of,
    speed_note,
    viewing_of,
)
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.errors import Concealed, UsageError

if TYPE_CHECKING:
    from dvc_codec.codec.decoder import Decoded


EXAMPLES = """examples:
  dvc-codec decode in.dvc out.mkv            (lossless, with sound)
  dvc-codec decode in.dvc out.mp4            (for viewing)
  dvc-codec decode in.dvc part.y4m --start 3 --end 10
  dvc-codec decode in.dvc - | ffplay -
"""


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "decode",
        help="turn a .dvc file back into a video",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="IN", type=Path, help="a .dvc file")
    parser.add_argument(
        "target", metavar="OUT", help=".y4m, .mkv, .mp4 or .yuv; - for y4m on standard output"
    )
    add_part(parser, "decode")
    add_strict(parser)
    add_viewing(parser)
    add_limits(parser)
    add_common(parser)


def add_strict(parser: Options) -> None:
    """--strict."""
    parser.add_argument(
        "--strict",
        action="store_true",
        help="refuse a damaged file (default: show the last good picture where one is lost)",
    )


def run(arguments: argparse.Namespace) -> None:
    """Decode, with progress on the way and a line or JSON at the end."""
    to_stdout = arguments.target == STANDARD
    if to_stdout and arguments.json:
        raise UsageError("--json: standard output has the video already; give OUT a name")
    if not to_stdout:
        check_distinct(arguments.source, {"OUT": arguments.target})
    from dvc_codec.codec.decoder import decode_file

    lossless, crf = viewing_of(arguments, arguments.target)
    model = model_of_source(arguments)
    with ProgressLine(not arguments.quiet, events=arguments.events) as line:
        decoded = decode_file(
            arguments.source,
            arguments.target,
            start=arguments.start,
            frames=frames_wanted(arguments, lambda: rate_of(arguments.source)),
            lossless=lossless,
            crf=crf,
            strict=arguments.strict,
            sound=arguments.sound,
            limits=limits_of(arguments),
            model=model,
            progress=lambda so_far, total: line.show(so_far.frames, total),
        )
    if text := speed_note(model):
        note(text)
    if decoded.left_out and not arguments.quiet:
        note(f"{arguments.target}: has no place for {', '.join(decoded.left_out)}")
    if arguments.json:
        print(json.dumps(as_json(arguments.target, decoded)))
    elif not arguments.quiet:
        file = sys.stderr if to_stdout else sys.stdout
        print(final_line(arguments.target, decoded), file=file)
    if text := losses(decoded):
        raise Concealed(f"{arguments.source}: {text}")


def losses(decoded: "Decoded") -> str:
    """What was lost, nothing where nothing was."""
    parts = []
    if decoded.lost:
        ranges = ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in decoded.lost[:20])
        more = ", ..." if len(decoded.lost) > 20 else ""
        parts.append(
            f"{decoded.lost_frames} of {decoded.frames} frames are lost and were concealed "
            f"({ranges}{more})"
        )
    if not decoded.complete:
        parts.append("the file has no end: what it had up to there was decoded")
    return "; ".join(parts)


def final_line(target: str, decoded: "Decoded") -> str:
    """What came out, for people."""
    return (
        f"{'standard output' if target == STANDARD else target}: {decoded.frames} frames, "
        f"{exactness(decoded)}, {decoded.frames / decoded.seconds:.1f} frames/s"
    )


def exactness(decoded: "Decoded") -> str:
    """Whether these are the encoder's pictures."""
    if decoded.lost:
        good = decoded.frames - decoded.lost_frames - decoded.differing
        return f"{good} bit-exact, {decoded.differing} differing, {decoded.lost_frames} lost"
    if not decoded.differing:
        return "bit-exact"
    return f"{decoded.differing} of {decoded.frames} frames differ from the encoder's picture"


def as_json(target: str, decoded: "Decoded") -> dict[str, Any]:
    """The same, for programs."""
    return {
        "file": target,
        "frames": decoded.frames,
        "differing": decoded.differing,
        "bit_exact": not decoded.differing and not decoded.lost,
        "lost": decoded.lost,
        "complete": decoded.complete,
        "left_out": decoded.left_out,
        "seconds": decoded.seconds,
        "frames_per_second": decoded.frames / decoded.seconds,
    }
