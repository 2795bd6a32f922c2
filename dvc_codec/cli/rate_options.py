"""--lambda, --quality, --target-...: the one of them that was given, as a rate control."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dvc_codec.cli.options import STANDARD, Options, bits_per_second, file_size, number
from dvc_codec.cli.progress import ProgressLine
from dvc_codec.errors import OutOfRange, UsageError

if TYPE_CHECKING:
    from dvc_codec.codec.model import Model
    from dvc_codec.codec.rate_search import Part
    from dvc_codec.codec.rates import RateControl
    from dvc_codec.video import VideoInfo

DEFAULT_LAMBDA = 1024.0
# In which one pass makes good what it spent too much: the longer of
_WINDOW_SECONDS, _WINDOW_FRAMES = 2.0, 32


@dataclass(frozen=True)
class Chosen:
    """A rate control, or a lambda for all frames; ``words`` say which, the same for the same."""

    lagrangian: float = DEFAULT_LAMBDA
    rates: "Callable[[VideoInfo], RateControl] | None" = None
    words: str = ""


def add_rates(parser: Options) -> None:
    """The options, of which one may be given."""
    one = parser.add_mutually_exclusive_group()
    one.add_argument(
        "--lambda",
        dest="lagrangian",
        type=number,
        metavar="L",
        help="weight of quality against size, 64 to 4096 (default: 1024)",
    )
    one.add_argument(
        "--quality", type=number, metavar="Q", help="the same as 0 (smallest) to 100 (best)"
    )
    one.add_argument("--target-psnr", type=number, metavar="DB", help="mean weighted PSNR wanted")
    one.add_argument(
        "--target-bitrate",
        type=bits_per_second,
        metavar="R",
        help="bits a second wanted of the pictures, such as 300k; two passes, one from a pipe",
    )
    one.add_argument(
        "--target-size",
        type=file_size,
        metavar="S",
        help="size of the file wanted, such as 25M, sound and all",
    )


def choose(
    arguments: argparse.Namespace, part: "Part", model: "Model", line: ProgressLine
) -> Chosen:
    """The rate control that was asked for; trial runs happen here."""
    if arguments.quality is not None:
        return _of_quality(arguments.quality)
    if arguments.target_psnr is not None:
        return _of_psnr(arguments, part, model, line)
    if arguments.target_bitrate is not None or arguments.target_size is not None:
        return _of_bits(arguments, part, model, line)
    return Chosen(DEFAULT_LAMBDA if arguments.lagrangian is None else arguments.lagrangian)


def _of_quality(quality: float) -> Chosen:
    from dvc_codec.networks.rate import RATES, lambda_at

    if not 0 <= quality <= 100:
        raise OutOfRange(f"quality {quality:g}: must be in [0, 100]")
    return Chosen(lambda_at(round(quality / 100 * (RATES - 1))))


def _of_psnr(
    arguments: argparse.Namespace, part: "Part", model: "Model", line: ProgressLine
) -> Chosen:
    from dvc_codec.codec.rate_search import for_psnr

    if arguments.source == STANDARD:
        raise UsageError("--target-psnr: needs trial runs; a pipe can be read once only")
    wanted = arguments.target_psnr
    if not 10 <= wanted <= 70:
        raise OutOfRange(f"target PSNR {wanted:g} dB: must be in [10, 70]")
    rates, _ = for_psnr(
        part,
        model,
        wanted,
        _following(line, "trial"),
    )
    return Chosen(rates=lambda _: rates, words=f"psnr {wanted:g}")


def source_info(part: "Part", model: "Model") -> "VideoInfo":
    """What a source says of itself."""
    from dvc_codec.codec.source import open_source

    with open_source(
        part.source,
        start=part.start,
        frames=1,
        convert=part.convert,
        raw=part.raw,
        model=model,
    ) as reader:
        return reader.info


def _of_bits(
    arguments: argparse.Namespace, part: "Part", model: "Model", line: ProgressLine
) -> Chosen:
    from dvc_codec.codec.rate_search import (
        bits_for_bit_rate,
        bits_for_size,
        for_bits,
        guess_for_bit_rate,
    )

    if arguments.source == STANDARD:
        return _one_pass(arguments, part.gop)
    info = source_info(part, model)
    if arguments.target_size is not None:
        budget = bits_for_size(arguments.target_size, part, arguments.sound, model)
        frames = info.frames_from(part.start, part.frames)
        seconds = float(frames / info.frame_rate) if frames else 0.0
        first = guess_for_bit_rate(8 * arguments.target_size / seconds, info) if seconds else None
        words = f"size {arguments.target_size}"
    else:
        budget = bits_for_bit_rate(arguments.target_bitrate)
        first = guess_for_bit_rate(arguments.target_bitrate, info)
        words = f"bitrate {arguments.target_bitrate:g}"
    rates, _ = for_bits(
        part,
        model,
        budget,
        first,
        _following(line, "first pass"),
    )
    return Chosen(rates=lambda _: rates, words=words)


def _following(line: ProgressLine, words: str) -> Callable[[int, int | None], None]:
    """What shows a trial's progress."""
    return lambda done, total: line.show(done, total, words, facts={"phase": "trial"})


def _one_pass(arguments: argparse.Namespace, gop: int) -> Chosen:
    from dvc_codec.codec.rate_search import guess_for_bit_rate
    from dvc_codec.codec.rates import RunningRate

    if arguments.target_size is not None:
        raise UsageError("--target-size: needs two passes; a pipe can be read once only")
    wanted = arguments.target_bitrate

    def control(info: "VideoInfo") -> RunningRate:
        window = max(_WINDOW_FRAMES, round(_WINDOW_SECONDS * info.frame_rate))
        guess = guess_for_bit_rate(wanted, info)
        return RunningRate(float(wanted / info.frame_rate), guess, gop, window)

    return Chosen(rates=control, words=f"bitrate {wanted:g} in one pass")
