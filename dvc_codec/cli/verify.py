"""dvc-codec verify: is a .dvc file whole, and does it decode to the encoder's pictures?"""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dvc_codec.cli.options import Commands, add_common, add_limits, limits_of, model_of_source
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.errors import DamagedFile

if TYPE_CHECKING:
    from dvc_codec.codec.verify import Verdict

EXAMPLES = """examples:
  dvc-codec verify in.dvc
  dvc-codec verify in.dvc --bytes-only       (much faster; needs no weights)
"""


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "verify",
        help="check a .dvc file without writing anything",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument("source", metavar="FILE", type=Path, help="a .dvc file")
    parser.add_argument(
        "--bytes-only", action="store_true", help="check CRCs and index, decode no picture"
    )
    add_limits(parser)
    add_common(parser)


def run(arguments: argparse.Namespace) -> None:
    """Print the verdict, and raise DamagedFile where something is damaged."""
    from dvc_codec.codec.verify import check_bytes, verify_file

    if arguments.bytes_only:
        verdict = check_bytes(arguments.source)
    else:
        model = model_of_source(arguments)
        with ProgressLine(not arguments.quiet, events=arguments.events) as line:
            limits = limits_of(arguments)
            verdict = verify_file(arguments.source, model=model, limits=limits, progress=line.show)
    if arguments.json:
        print(json.dumps(as_json(arguments.source, verdict)))
    elif verdict.sound and not arguments.quiet:
        print(f"{arguments.source}: {in_words(verdict)}")
    if not verdict.sound:
        more = f" (and {len(verdict.problems) - 3} more)" if len(verdict.problems) > 3 else ""
        raise DamagedFile(
            f"{arguments.source}: damaged: {'; '.join(verdict.problems[:3])}{more}; "
            f"{in_words(verdict)}"
        )


def in_words(verdict: "Verdict") -> str:
    """What was found, for people."""
    whole = f"{verdict.frames} frames in {verdict.gops} GOPs whole"
    if verdict.packets:
        whole += f", {verdict.packets} packets of sound and subtitles"
    pictures = verdict.pictures
    if pictures is None:
        return f"{whole}; pictures were not decoded"
    if pictures.differing:
        return f"{whole}; {pictures.differing} differ from the encoder's picture on this machine"
    which = "all that are there" if pictures.lost else "every picture"
    return f"{whole}, {which} bit-exact"


def as_json(source: Path, verdict: "Verdict") -> dict[str, Any]:
    """The same, for programs."""
    pictures = verdict.pictures
    return {
        "file": str(source),
        "sound": verdict.sound,
        "problems": verdict.problems,
        "gops": verdict.gops,
        "frames": verdict.frames,
        "packets": verdict.packets,
        "differing": pictures.differing if pictures else None,
        "lost": pictures.lost if pictures else None,
    }
