"""What several sub-commands ask for in the same way, and how words become values."""

import argparse
import math
import os
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from dvc_codec.container import Reader
from dvc_codec.errors import CannotWrite, NoDevice, OutOfRange, UsageError
from dvc_codec.networks.config import METRICS

if TYPE_CHECKING:  # torch takes two seconds to import: not for --help or for a wrong option
    from dvc_codec.codec.limits import Limits
    from dvc_codec.codec.model import Model

STANDARD = "-"  # standard input or output
# in a row: codec.order.MOST_BETWEEN and LIMIT_BETWEEN, which are not imported for --help
DEFAULT_B_FRAMES, MOST_B_FRAMES = 3, 7
Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
Options: TypeAlias = "argparse._ActionsContainer"  # a parser, or a group of its options


class Parser(argparse.ArgumentParser):
    """Its errors are ours: one line, without the usage around it."""

    def error(self, message: str) -> NoReturn:
        """Instead of printing and exiting."""
        raise UsageError(f"{message}; see {self.prog} --help")


def add_part(parser: argparse.ArgumentParser, verb: str) -> None:
    """--start, --frames, --end, --no-audio."""
    parser.add_argument("--start", type=number, default=0.0, metavar="T", help="seconds to skip")
    parser.add_argument("--frames", type=int, metavar="N", help=f"{verb} at most N frames")
    parser.add_argument(
        "--end", type=number, metavar="T", help=f"{verb} what comes before T seconds only"
    )
    parser.add_argument(
        "--no-audio",
        dest="sound",
        action="store_false",
        help="leave out sound, subtitles and attachments",
    )


def frames_wanted(arguments: argparse.Namespace, frame_rate: Callable[[], Fraction]) -> int | None:
    """--frames and --end as a number of frames; ``frame_rate`` is asked for --end alone."""
    frames: int | None = arguments.frames
    if arguments.end is None:
        return frames
    if arguments.end <= arguments.start:
        raise UsageError(f"--end {arguments.end:g}: is not after --start {arguments.start:g}")
    frame = float((arguments.end - arguments.start) * frame_rate())
    until = max(1, math.ceil(frame - 1e-6))  # 0.28 - 0.12 is a little more than 0.16
    return until if frames is None else min(frames, until)


def add_limits(parser: Options) -> None:
    """--max-pixels, --max-memory."""
    parser.add_argument(
        "--max-pixels",
        type=at_least_one,
        metavar="N",
        help="largest picture to decode (default: 36000000, 8192x4320 and a little)",
    )
    parser.add_argument(
        "--max-memory",
        type=at_least_one,
        metavar="MIB",
        help="refuse files that need more to decode (default: not asked)",
    )


def limits_of(arguments: argparse.Namespace) -> "Limits":
    """What --max-pixels and --max-memory say."""
    from dvc_codec.codec.limits import DEFAULT_LIMITS, Limits

    memory = arguments.max_memory and arguments.max_memory << 20
    return Limits(arguments.max_pixels or DEFAULT_LIMITS.pixels, memory)


def add_viewing(parser: Options) -> None:
    """--video, --crf, --lossy."""
    parser.add_argument(
        "--video",
        choices=("ffv1", "x264"),
        help="codec of the pictures in OUT: ffv1 is lossless and for .mkv, x264 is small and for "
        "viewing (default: ffv1 in .mkv, x264 in .mp4)",
    )
    parser.add_argument(
        "--crf",
        type=int,
        metavar="N",
        help="quality of x264, 0 (lossless) to 51 (default: 16, hardly to be told from the source)",
    )
    parser.add_argument("--lossy", action="store_true", help="the same as --video x264")


def viewing_of(arguments: argparse.Namespace, target: str | Path) -> tuple[bool | None, int]:
    """What --video, --crf and --lossy say: ``lossless`` and ``crf`` of video.open_writer()."""
    from dvc_codec.video import DEFAULT_CRF

    kind = Path(target).suffix.lower()
    chosen = "x264" if arguments.lossy else arguments.video
    if chosen == "ffv1" and arguments.crf is not None:
        raise UsageError("--crf: is for x264; ffv1 is lossless")
    if arguments.lossy and arguments.video == "ffv1":
        raise UsageError("--lossy: is --video x264, and --video says ffv1; give one of them")
    if (chosen or arguments.crf is not None) and kind not in (".mkv", ".mp4"):
        raise UsageError(f"{target}: holds plain samples; --video and --crf are for .mkv and .mp4")
    if chosen == "ffv1" and kind == ".mp4":
        raise UsageError(f"{target}: an .mp4 holds no FFV1; write .mkv, or --video x264 --crf 0")
    crf = DEFAULT_CRF if arguments.crf is None else arguments.crf
    if not 0 <= crf <= 51:
        raise OutOfRange(f"--crf {crf}: must be in [0, 51]")
    lossless = None if chosen is None and arguments.crf is None else chosen == "ffv1"
    return lossless, crf


def rate_of(source: Path) -> Fraction:
    """A .dvc file's frames per second."""
    with Reader(source) as reader:
        return reader.header.frame_rate


def add_common(parser: argparse.ArgumentParser) -> None:
    """--model, --threads, --device, --quiet, --json, --events."""
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FILE",
        help="weights (.safetensors) to use instead of the shipped ones",
    )
    parser.add_argument(
        "--threads", type=at_least_one, metavar="N", help="threads of the networks (default: cores)"
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu", "cuda"),
        default="auto",
        help="where the networks run (default: auto, which is cpu; cuda is refused as yet: its "
        "rounding would have to be shown to give the encoder's pictures)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress and no final line")
    parser.add_argument(
        "--json", action="store_true", help="the result as JSON on standard output, no final line"
    )
    parser.add_argument(
        "--events", action="store_true", help="progress as lines of JSON on standard error"
    )


def add_many(parser: argparse.ArgumentParser, each: str) -> None:
    """--model, --workers, --engine, of commands that do many jobs; ``each`` says what one does."""
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="weights instead of the shipped ones"
    )
    parser.add_argument(
        "--workers",
        type=at_least_one,
        metavar="N",
        help=f"how many {each} at a time, with one thread each (default: cores)",
    )
    parser.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="where: processes here (default), or a Ray cluster that shares this file system",
    )


def check_device(arguments: argparse.Namespace) -> None:
    """Raise NoDevice where networks cannot run, whether or not there is such a device."""
    if arguments.device == "cuda":
        raise NoDevice(
            "--device cuda: this version runs its networks on the processor alone; leave the "
            "option out, or give cpu"
        )


def add_metric(parser: Options) -> None:
    """--metric."""
    parser.add_argument(
        "--metric",
        choices=METRICS,
        help="which of the shipped weights: those that are good at mse (default), which is PSNR, "
        "or at ms-ssim, which is structure",
    )


def weights_given(arguments: argparse.Namespace) -> Path:
    """What --model and --metric say."""
    from dvc_codec.codec.model import weights_file

    if arguments.model and arguments.metric:
        raise UsageError("--metric: picks shipped weights, and --model gives others")
    model: Path | None = arguments.model
    return model or weights_file(arguments.metric or "mse")


def ready_model(arguments: argparse.Namespace) -> "Model":
    """The weights to encode with; sets the number of threads. Raises NoDevice for --device cuda."""
    from dvc_codec.codec.model import load_model

    _be_ready(arguments)
    return load_model(weights_given(arguments))


def model_of_source(arguments: argparse.Namespace) -> "Model":
    """The weights to decode ``arguments.source`` with, otherwise as :func:`ready_model`."""
    from dvc_codec.codec.model import load_model, model_for

    _be_ready(arguments)
    if arguments.model:
        return load_model(arguments.model)
    with Reader(arguments.source) as reader:
        return model_for(reader.header.model_hash)


def _be_ready(arguments: argparse.Namespace) -> None:
    check_device(arguments)
    import torch

    if arguments.threads:
        torch.set_num_threads(arguments.threads)


def speed_note(model: "Model") -> str | None:
    """What a user should know about this processor."""
    if model.codec.network.fast:
        return None
    return "this processor has no fast bfloat16: the networks run in float32, more slowly"


def note(text: str) -> None:
    """Something worth knowing that is no error."""
    print(f"dvc-codec: note: {printable(text)}", file=sys.stderr)


def printable(text: str) -> str:
    """One line without control characters: what a file says of itself may not steer a terminal.

    >>> printable("a\\x1b[2Jb")
    'a?[2Jb'
    """
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.splitlines()))


def check_distinct(source: str | Path, targets: dict[str, str | Path | None]) -> None:
    """Refuse to write over the input, or two results to one file. ``targets`` by option name."""
    taken = {} if str(source) == STANDARD else {os.path.realpath(source): "the input"}
    for option, path in targets.items():
        special = path is not None and os.path.exists(path) and not os.path.isfile(path)
        if path is None or special:
            continue  # pipes, devices and folders are the writers' affair
        if (there := taken.get(os.path.realpath(path))) is not None:
            raise UsageError(f"{option} {path}: is also {there}; give another name")
        taken[os.path.realpath(path)] = option


def writable_part(path: Path) -> Path:
    """NAME.part beside ``path``, after a look at whether it can be made."""
    if path.is_dir():
        raise CannotWrite(f"{path}: is a folder; give the name of a file")
    return path.with_name(path.name + ".part")


def number(text: str) -> float:
    """A finite number; its range is checked where it is used."""
    value = float(text)
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"found {text}, expected a number")
    return value


def at_least_one(text: str) -> int:
    """A whole number from 1 on."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 or more")
    return value


def b_frames(text: str) -> int:
    """How many B frames in a row.

    >>> b_frames("0"), b_frames("7")
    (0, 7)
    """
    if not re.fullmatch(r"\d+", text) or int(text) > MOST_B_FRAMES:
        raise argparse.ArgumentTypeError(
            f"found {text}, expected a whole number from 0 to {MOST_B_FRAMES}"
        )
    return int(text)


def add_b_frames(parser: Options) -> None:
    """--b-frames."""
    parser.add_argument(
        "--b-frames",
        type=b_frames,
        metavar="N",
        help=f"most B frames in a row, 0 to {MOST_B_FRAMES} (default: {DEFAULT_B_FRAMES}); "
        "0: none, for low delay",
    )


def bits_per_second(text: str) -> float:
    """A bit rate, with k or M for thousands and millions.

    >>> bits_per_second("300k"), bits_per_second("1.5M")
    (300000.0, 1500000.0)
    """
    return _with_unit(text, {"": 1, "k": 1000, "K": 1000, "m": 10**6, "M": 10**6}, "300k or 1.5M")


def file_size(text: str) -> int:
    """Bytes, with k, M or G for powers of 1000, Ki, Mi, Gi for those of 1024.

    >>> file_size("10M"), file_size("1Ki")
    (10000000, 1024)
    """
    units = {"": 1, "k": 1000, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return int(_with_unit(text, units, "25M"))


def _with_unit(text: str, units: dict[str, int], example: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]*)", text)
    if match is None or match[2] not in units or float(match[1]) <= 0:
        raise argparse.ArgumentTypeError(f"found {text}, expected a number such as {example}")
    return float(match[1]) * units[match[2]]


def size(text: str) -> tuple[int, int]:
    """Width and height.

    >>> size("832x480")
    (832, 480)
    """
    match = re.fullmatch(r"(\d+)[xX](\d+)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"found {text}, expected a size such as 832x480")
    return int(match[1]), int(match[2])


def rate(text: str) -> Fraction:
    """Frames per second.

    >>> rate("30000/1001"), rate("12.5")
    (Fraction(30000, 1001), Fraction(25, 2))
    """
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise argparse.ArgumentTypeError(
            f"found {text}, expected frames per second such as 25 or 30000/1001"
        ) from error
