"""Pictures in, frame records out: the encoder's loop over a video, and encode_file() around it."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from dvc_codec.codec.ahead import ahead
from dvc_codec.codec.frame_encoder import EncodedFrame, FrameEncoder, weighted_psnr
from dvc_codec.codec.groups import Coded, Groups, groups_at_a_time
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.order import LIMIT_BETWEEN, MOST_BETWEEN, DisplayOrder, plan
from dvc_codec.codec.output import Output, header_of
from dvc_codec.codec.rates import ConstantRate, RateControl
from dvc_codec.codec.source import open_companions, open_source
from dvc_codec.codec.temporal_filter import REACH
from dvc_codec.container import FrameKind, ResumedFrame
from dvc_codec.errors import OutOfRange, UsageError
from dvc_codec.video import (
    Picture,
    RawFormat,
    VideoInfo,
    open_writer,
)

LONGEST_GOP = 1024


@dataclass
class Summary:
    """What encode_file() did.

    Bits per pixel are of the file's bytes without sound; PSNR of the mean squared error over all
    frames.
    """

    frames: int = 0
    gops: int = 0
    pixels: int = 0
    file_bytes: int = 0
    seconds: float = 0.0
    bits: dict[str, int] = field(default_factory=dict)
    psnr_at: dict[int, float] = field(default_factory=dict)  # weighted, by frame time
    last: EncodedFrame | None = None  # the frame just coded, for whoever follows the progress
    converted_from: str | None = None  # the source's pixel format if it is not 8-bit 4:2:0
    interlaced: bool = False  # there were fields, which were deinterlaced
    damaged: int = 0  # places of the source that could not be decoded
    resumed: int = 0  # frames of an earlier run; PSNR is without them
    companion_bytes: int = 0  # sound and subtitles
    left_out: list[str] = field(default_factory=list)  # streams and metadata that are not carried

    @property
    def bits_per_pixel(self) -> float:
        return 8 * (self.file_bytes - self.companion_bytes) / max(1, self.pixels)

    @property
    def frame_psnr(self) -> list[float]:
        """Weighted PSNR of each frame, in display order."""
        return [psnr for _, psnr in sorted(self.psnr_at.items())]

    @property
    def psnr(self) -> float:
        """Mean over frames of the weighted (6 Y + U + V) / 8 PSNR, in dB."""
        return float(np.mean([*self.psnr_at.values()])) if self.psnr_at else float("nan")


def encode_file(
    source: str | Path,
    target: Path,
    *,
    lagrangian: float = 1024.0,
    gop: int = 32,
    start: float = 0.0,
    frames: int | None = None,
    intra: str = "auto",
    twice: bool = True,
    scene_cuts: bool = True,
    between: int = MOST_BETWEEN,
    temporal_filter: bool = True,
    convert: bool = False,
    sound: bool = True,
    recon: Path | None = None,
    resume: bool = False,
    rates: Callable[[VideoInfo], RateControl] | None = None,
    rates_are: str = "",
    model: Model | None = None,
    raw: RawFormat | None = None,
    progress: Callable[[Summary, VideoInfo], None] | None = None,
    waiting: Callable[[], None] | None = None,
) -> Summary:
    """Encode a video file into a .dvc file.

    Args:
        source: anything FFmpeg reads, "-" for y4m on standard input, a .dvc file of ``model``.
        target: the file to make; it has this name only when it is whole.
        lagrangian: lambda in [64, 4096]: larger is better and bigger.
        gop: longest group of pictures.
        start: seconds to skip.
        frames: how many to code at most.
        intra: "auto", "best", "hevc", "av1" or "vvc".
        twice: choose residuals of P and B frames twice: 1 to 2 % fewer bits for more time.
        scene_cuts: start a group where the scene changes.
        between: the most B frames in a row, 0 to 7; 0: none, for low delay. Weights that have no
            B frames make none.
        temporal_filter: average I and P frames with the pictures around them before they are
            coded, where there are B frames (:mod:`dvc_codec.codec.temporal_filter`).
        convert: take other pixel formats than 8-bit 4:2:0, and deinterlace.
        sound: carry sound, subtitles and attachments over, byte for byte.
        recon: also write what a decoder will output (.y4m, .mkv, ...).
        resume: go on from ``target``.part where an interrupted run left one, and leave one when
            interrupted. The file comes out as if nothing had happened.
        rates: makes a rate control for a video, instead of ``lagrangian`` for all frames.
        rates_are: what ``rates`` does, in words: part of what a resumed file must agree in.
        model: weights; the shipped ones by default.
        raw: the format of a headerless .yuv source.
        progress: called after every frame.
        waiting: called while a slow source keeps us waiting; may raise.

    Raises:
        DvcError: its subclasses say what; nothing is left under the final name.
    """
    if not 1 <= gop <= LONGEST_GOP:
        raise OutOfRange(f"GOP of {gop} frames: must be in [1, {LONGEST_GOP}]")
    if not 0 <= between <= LIMIT_BETWEEN:
        raise OutOfRange(f"{between} B frames in a row: must be in [0, {LIMIT_BETWEEN}]")
    if resume and (recon or str(source) == "-"):
        raise UsageError("a resumed run needs a source file, and cannot write a reconstruction")
    model = model or load_model()
    usual = FrameEncoder(model, lagrangian, intra, gop).rate_index
    summary = Summary()
    begun = time.monotonic()
    asked = (gop, start, frames, intra, twice, scene_cuts, between, temporal_filter, convert)
    settings = f"{lagrangian:g} {' '.join(map(str, asked))} {rates_are}"
    with ExitStack() as stack:
        reader = stack.enter_context(
            open_source(source, start=start, frames=frames, raw=raw, convert=convert, model=model)
        )
        info = reader.info
        control = rates(info) if rates else ConstantRate(usual)
        companions = stack.enter_context(open_companions(source if sound and raw is None else "-"))
        if start and companions.streams:
            companions.start_at(reader.first_pts * info.time_base)
        header = header_of(
            info,
            companions,
            model=(model.name, model.sha256),
            lagrangian=0.0 if rates else lagrangian,
            gop=gop,
            settings=settings,
        )
        output = stack.enter_context(Output(target, header, companions, resume=resume))
        copy = stack.enter_context(open_writer(recon, info)) if recon else None
        if model.codec.prior_between is None:
            between = 0
        expected = info.frames_from(start, frames)
        in_order = plan(
            iter(reader),
            gop,
            scene_cuts=scene_cuts,
            between=between,
            reach=REACH if temporal_filter else 0,
            total=expected,
        )
        shown: DisplayOrder[tuple[Picture, int]] = DisplayOrder()
        frames_ahead = stack.enter_context(
            closing(ahead(in_order, waiting=waiting, stopping=reader.stop))
        )
        summary.left_out = [*companions.left_out, *info.uncarried]
        groups = stack.enter_context(
            Groups(
                partial(FrameEncoder, model, lagrangian, intra, gop, twice),
                groups_at_a_time(info.width * info.height, gop, expected)
                if isinstance(control, ConstantRate)
                else 1,
            )
        )

        def take(coded: Iterator[Coded]) -> None:
            for planned, encoded in coded:
                control.spent(sum(encoded.bits.values()))
                output.add(encoded.record, planned.place)
                summary.gops, summary.file_bytes = output.gops, output.bytes_written
                _count(summary, encoded, info, time.monotonic() - begun)
                if copy:
                    item = encoded.picture, planned.frame.pts
                    for picture, pts in shown.add(planned.place, item):
                        copy.write(picture, pts)
                if progress:
                    progress(summary, info)

        for planned in frames_ahead:
            frame, starts = planned.frame, planned.starts
            summary.converted_from, summary.damaged = reader.converted_from, reader.damaged
            summary.interlaced = reader.interlaced
            if (old := output.old(frame, starts)) is not None:
                control.next_index(starts)
                control.spent(8 * old.payload_bytes)
                _count_old(summary, old, info)
                continue
            take(groups.add(planned, control.next_index(starts)))
        take(groups.end())
        output.end(sound_goes_on=frames is None)
        summary.gops, summary.damaged = output.gops, reader.damaged
        summary.companion_bytes = output.companion_bytes
    summary.file_bytes = target.stat().st_size
    summary.seconds = time.monotonic() - begun
    payload = sum(summary.bits.values()) + 8 * summary.companion_bytes
    summary.bits["overhead"] = 8 * summary.file_bytes - payload
    return summary


def _count_old(summary: Summary, old: ResumedFrame, info: VideoInfo) -> None:
    """A frame that an interrupted run has coded: what its payload is for is not known any more."""
    summary.frames += 1
    summary.resumed += 1
    summary.pixels += info.width * info.height
    part = "intra" if old.kind == FrameKind.I else "resumed"
    summary.bits[part] = summary.bits.get(part, 0) + 8 * old.payload_bytes


def _count(summary: Summary, encoded: EncodedFrame, info: VideoInfo, seconds: float) -> None:
    summary.frames += 1
    summary.last = encoded
    summary.pixels += info.width * info.height
    summary.seconds = seconds
    summary.psnr_at[encoded.record.pts] = weighted_psnr(encoded.squared_error)
    for part, bits in encoded.bits.items():
        summary.bits[part] = summary.bits.get(part, 0) + bits
