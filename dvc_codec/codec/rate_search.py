"""Finding the rate for a wished size, bit rate or quality: trial runs before the real one.

Every function gives a rate control for the real run, in which the same frames come in the same
order.
"""

import math
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from dvc_codec.codec.ahead import ahead
from dvc_codec.codec.frame_encoder import FrameEncoder, weighted_psnr
from dvc_codec.codec.model import Model
from dvc_codec.codec.order import MOST_BETWEEN, plan
from dvc_codec.codec.rates import (
    PSNR_PER_INDEX,
    SLOPE,
    ConstantRate,
    PlannedRate,
    RateControl,
    first_guess,
)
from dvc_codec.codec.source import open_companions, open_source
from dvc_codec.codec.temporal_filter import REACH
from dvc_codec.errors import OutOfRange
from dvc_codec.networks.rate import RATES, lambda_at
from dvc_codec.video import RawFormat, VideoInfo

# Further off than this, a second trial says more than the slope does
_FAR = 8
_MOST_TRIALS = 4
_NEAR_PSNR = 0.1  # dB: half a step of the rate index
# A trial for quality codes at most this many groups, spread over the video
_GROUPS = 4
_FILE_BYTES = 170  # header, index and footer, about
_GOP_BYTES = 30


@dataclass(frozen=True)
class Part:
    """What is to be coded, and how."""

    source: str | Path
    gop: int = 32
    start: float = 0.0
    frames: int | None = None
    intra: str = "auto"
    twice: bool = True
    scene_cuts: bool = True
    between: int = MOST_BETWEEN
    temporal_filter: bool = True
    convert: bool = False
    raw: RawFormat | None = None


@dataclass
class Trial:
    """What came of coding at one rate index."""

    index: int
    info: VideoInfo
    bits: list[int] = field(default_factory=list)
    psnr: list[float] = field(default_factory=list)
    gops: int = 0


Follow = Callable[[int, int | None], None]  # frames done in this trial, and of how many


def for_bits(
    part: Part,
    model: Model,
    budget: Callable[[Trial], float],
    first: int | None = None,
    follow: Follow | None = None,
) -> tuple[RateControl, Trial]:
    """A rate control that spends ``budget(trial)`` bits on all frames.

    Args:
        part: what is to be coded.
        model: weights.
        budget: from what a trial says (number of frames, rate), bits for all frames.
        first: the rate index to try first.
        follow: told of every frame.
    """
    trial = _try(part, model, 30 if first is None else first, follow)
    slope = SLOPE
    for _ in range(_MOST_TRIALS - 1):
        wanted = trial.index + math.log2(max(1.0, budget(trial)) / max(1, sum(trial.bits))) / slope
        index = min(max(round(wanted), 0), RATES - 1)
        if abs(index - trial.index) <= _FAR:
            break
        before, trial = trial, _try(part, model, index, follow)
        measured = math.log2(sum(trial.bits) / sum(before.bits)) / (trial.index - before.index)
        slope = min(max(measured, SLOPE / 2), SLOPE * 2)
    return PlannedRate(trial.bits, trial.index, budget(trial), slope), trial


def bits_for_bit_rate(bit_rate: float) -> Callable[[Trial], float]:
    """Budget for :func:`for_bits`: bits a second of pictures, without what else is in the file."""
    return lambda trial: _pictures_only(
        bit_rate * len(trial.bits) / float(trial.info.frame_rate), trial
    )


def bits_for_size(
    size: int, part: Part, sound: bool, model: Model | None = None
) -> Callable[[Trial], float]:
    """Budget for :func:`for_bits`: a file of ``size`` bytes, sound and all.

    Raises OutOfRange where the sound alone takes more.
    """
    beside = sound_bytes(part, model) if sound and part.raw is None else 0
    if beside >= size:
        raise OutOfRange(
            f"target size {size}: sound and subtitles alone have {beside} bytes; choose more or "
            "leave them out (--no-audio)"
        )
    return lambda trial: _pictures_only(8.0 * (size - beside), trial)


def sound_bytes(part: Part, model: Model | None = None) -> int:
    """What the companions of a part take in a file."""
    total = 0
    with open_companions(part.source) as companions:
        if not companions.streams:
            return 0
        until = None
        with open_source(
            part.source, start=part.start, frames=1, convert=True, model=model
        ) as reader:
            first, rate = reader.first_pts * reader.info.time_base, reader.info.frame_rate
        if part.start:
            companions.start_at(first)
        if part.frames is not None:
            until = first + Fraction(part.frames) / rate
        for packet in companions.until(until):
            total += len(packet.data) + 6
        return total + sum(len(stream.extradata) + 100 for stream in companions.streams)


def for_psnr(
    part: Part, model: Model, wanted: float, follow: Follow | None = None
) -> tuple[RateControl, Trial]:
    """The rate index whose mean weighted PSNR is nearest to ``wanted`` dB."""
    tried: dict[int, float] = {}
    index = 30
    trial = None
    for _ in range(_MOST_TRIALS + 1):
        trial = _try(part, model, index, follow, groups=_GROUPS)
        tried[index] = float(np.mean(trial.psnr))
        if abs(tried[index] - wanted) <= _NEAR_PSNR:
            break
        index = _next_for_psnr(tried, wanted)
        if index in tried:
            break
    assert trial is not None
    best = min(tried, key=lambda i: abs(tried[i] - wanted))
    return ConstantRate(best), trial


def _next_for_psnr(tried: dict[int, float], wanted: float) -> int:
    """Between the nearest below and above, else further by the usual slope."""
    below = [i for i, psnr in tried.items() if psnr <= wanted]
    above = [i for i, psnr in tried.items() if psnr > wanted]
    if below and above:
        low, high = max(below), min(above)
        share = (wanted - tried[low]) / max(1e-6, tried[high] - tried[low])
        index = low + (high - low) * share
    else:
        nearest = max(below) if below else min(above)
        index = nearest + (wanted - tried[nearest]) / PSNR_PER_INDEX
    return min(max(round(index), 0), RATES - 1)


def guess_for_bit_rate(bit_rate: float, info: VideoInfo) -> int:
    """A rate index to start with."""
    return first_guess(bit_rate / float(info.frame_rate) / (info.width * info.height))


def _pictures_only(bits: float, trial: Trial) -> float:
    return bits - 8 * (_FILE_BYTES + _GOP_BYTES * trial.gops)


def _try(
    part: Part, model: Model, index: int, follow: Follow | None, groups: int | None = None
) -> Trial:
    """Code a part, or ``groups`` groups of it, and keep nothing but the numbers."""
    with open_source(
        part.source,
        start=part.start,
        frames=part.frames,
        convert=part.convert,
        raw=part.raw,
        model=model,
    ) as reader:
        trial = Trial(index, reader.info)
        total = reader.info.frames_from(part.start, part.frames)
        encoder = FrameEncoder(model, lambda_at(index), part.intra, part.gop, part.twice)
        between = part.between if model.codec.prior_between else 0
        planned = plan(
            iter(reader),
            part.gop,
            scene_cuts=part.scene_cuts,
            between=between,
            reach=REACH if part.temporal_filter else 0,
            total=total,
        )
        every = 1
        if groups is not None and total is not None:
            every = max(1, math.ceil(total / part.gop) // groups)
        done = 0
        with closing(ahead(planned, stopping=reader.stop)) as frames:
            for one in frames:
                trial.gops += one.starts
                done += 1
                if (trial.gops - 1) % every:
                    continue
                coded = encoder.encode(one.frame, one.place, index, one.around, one.group)
                trial.bits.append(sum(coded.bits.values()))
                trial.psnr.append(weighted_psnr(coded.squared_error))
                if follow:
                    follow(done, total)
    return trial
