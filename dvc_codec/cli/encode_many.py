"""dvc-codec encode-many: a library of videos, over the cores of this machine or a cluster."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from dvc_codec.cli.encode import add_search
from dvc_codec.cli.options import Commands, add_many
from dvc_codec.cli.rate_options import add_rates
from dvc_codec.errors import CannotWrite, DvcError, FileMissing, UsageError

EXAMPLES = """examples:
  dvc-codec encode-many videos/ more.mp4 --out coded/
  dvc-codec encode-many phone/ --out coded/ --quality 40 --preset fast --convert
  dvc-codec encode-many videos/ --out coded/ --engine ray
"""
# Of encode, under the names they are parsed to; its words are these, with a hyphen
RATES = ("quality", "target_psnr", "target_bitrate", "target_size")
VALUES = (*RATES, "gop", "b_frames", "preset", "intra", "metric", "model")
FLAGS = ("no_scene_cuts", "no_temporal_filter", "convert", "no_audio")


def add_to(commands: Commands) -> None:
    """Declare the sub-command."""
    parser = commands.add_parser(
        "encode-many",
        help="code a library of videos into .dvc files",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "sources", metavar="IN", nargs="+", type=Path, help="videos, and folders of videos"
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="DIR",
        help="where NAME.dvc go; below a folder IN, in the same folders. What is there is left",
    )
    each = parser.add_argument_group("of each video, as of encode")
    add_rates(each)
    add_search(each)
    each.add_argument(
        "--convert", action="store_true", help="convert what is not 8-bit 4:2:0, and deinterlace"
    )
    each.add_argument(
        "--no-audio", action="store_true", help="leave out sound, subtitles and attachments"
    )
    add_many(parser, "videos are coded")
    parser.add_argument(
        "--json", action="store_true", help="one line of JSON per video on standard output"
    )


def run(arguments: argparse.Namespace) -> None:
    """Encode what is not there yet; a video that fails does not stop the others."""
    from dvc_codec.evaluation.engine import Job, run_jobs

    pairs = targets_of(arguments.sources, arguments.out)
    left = [(source, target) for source, target in pairs if not target.exists()]
    _told(f"{len(pairs) - len(left)} of {len(pairs)} files are there, {len(left)} to code")
    settings = [*words_for_encode(arguments), "--threads", "1", "--quiet", "--json"]
    jobs = []
    for source, target in left:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CannotWrite(f"{target.parent}: cannot be made: {error.strerror}") from error
        jobs.append(Job("dvc_codec.cli.main", ("encode", str(source), str(target), *settings)))
    failures: list[Path] = []

    def done(at: int, said: str) -> None:
        facts: dict[str, Any] = json.loads(said)
        facts.pop("frame_bits", None)
        if arguments.json:
            print(json.dumps({"source": str(left[at][0])} | facts), flush=True)
        _told(
            f"{left[at][1]}: {facts['frames']} frames, {facts['bytes']} bytes, "
            f"{facts['bits_per_pixel']:.4f} bits per pixel, {facts['psnr']:.2f} dB"
        )

    def failed(at: int, reason: str) -> None:
        failures.append(left[at][0])
        _told(f"{left[at][0]} failed: {reason.removeprefix('dvc-codec: ')}")

    if jobs:
        run_jobs(jobs, workers=arguments.workers, done=done, failed=failed, engine=arguments.engine)
    if failures:
        raise DvcError(
            f"{len(failures)} of {len(left)} videos failed ({', '.join(map(str, failures))}); "
            "the same command tries them again"
        )


def words_for_encode(arguments: argparse.Namespace) -> list[str]:
    """What was said of each video, in encode's words."""
    words = [_option(name) for name in FLAGS if getattr(arguments, name)]
    given = {_option(name): getattr(arguments, name) for name in VALUES}
    for option, value in {"--lambda": arguments.lagrangian, **given}.items():
        if value is not None:
            words += [option, f"{value:.12g}" if isinstance(value, float) else str(value)]
    return words


def targets_of(sources: list[Path], out: Path) -> list[tuple[Path, Path]]:
    """Every video and the file it becomes, in order.

    Raises:
        FileMissing: a source that does not exist, or a folder without a video.
        UsageError: two videos of one name.
    """
    from dvc_codec.evaluation.sequences import SUFFIXES

    found: dict[Path, Path] = {}
    for source in sources:
        if source.is_dir():
            files = [p for p in sorted(source.rglob("*")) if p.suffix.lower() in SUFFIXES]
            videos = [(path, path.relative_to(source)) for path in files if path.is_file()]
            if not videos:
                raise FileMissing(f"{source}: found no video ({', '.join(SUFFIXES)})")
        elif source.is_file():
            videos = [(source, Path(source.name))]
        else:
            raise FileMissing(f"{source}: does not exist")
        for path, name in videos:
            target = (out / name).with_suffix(".dvc")
            if target in found and found[target] != path:
                raise UsageError(f"{path}: {found[target]} would be {target} too; rename one")
            found[target] = path
    return [(path, target) for target, path in found.items()]


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _told(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
