"""Pictures in, frame records out: the encoder's loop over a video, and encode_file() around it."""

import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from dvc_codec.codec import symbols
from dvc_codec.codec.ahead import ahead
from dvc_codec.codec.importance import Errors, of_frame, rate_of_frame
from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.order import LIMIT_BETWEEN, MOST_BETWEEN, DisplayOrder, plan
from dvc_codec.codec.output import Output, header_of
from dvc_codec.codec.p_frame import State, code_frame, table_costs
from dvc_codec.codec.pictures import hash_of, to_picture, to_planes
from dvc_codec.codec.rates import ConstantRate, RateControl
from dvc_codec.codec.source import open_companions, open_source
from dvc_codec.container import FrameKind, FrameRecord, Place, ResumedFrame
from dvc_codec.errors import OutOfRange, UsageError
from dvc_codec.intra import encode_for_lambda, get
from dvc_codec.networks.rate import HIGHEST_LAMBDA, LOWEST_LAMBDA, lambda_at, rate_index
from dvc_codec.video import (
    Frame,
    Picture,
    RawFormat,
    VideoInfo,
    open_writer,
)

LONGEST_GOP = 1024


@dataclass(frozen=True)
class EncodedFrame:
    """A coded frame and what it cost.

    ``bits`` by part: intra, motion, residual (a dvc2019 model has others).
    """

    record: FrameRecord
    picture: Picture
    bits: dict[str, int]
    squared_error: tuple[float, float, float]  # mean, per plane


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


class FrameEncoder:
    """Codes pictures one after the other, from the state that a decoder will have.

    Args:
        model: weights.
        lagrangian: lambda in [64, 4096]; raises OutOfRange outside.
        intra: name of the I-frame codec, "auto" or "best".
        gop: frames that a group is expected to have.
    """

    def __init__(self, model: Model, lagrangian: float, intra: str = "auto", gop: int = 32) -> None:
        if not LOWEST_LAMBDA <= lagrangian <= HIGHEST_LAMBDA:
            raise OutOfRange(
                f"lambda {lagrangian:g}: must be in [{LOWEST_LAMBDA:g}, {HIGHEST_LAMBDA:g}]"
            )
        self._codec = model.codec
        self._lagrangian, self._intra, self._gop = lagrangian, intra, gop
        self._anchors = 1  # frames from the last anchor to the one before it
        self._errors: dict[FrameKind, Errors] = {}  # of the last frame of each kind
        self.rate_index = rate_index(lagrangian)
        self._symbols, self._pictures = SymbolMemory(model.codec), PictureMemory(model.codec)

    @torch.inference_mode()
    def encode(self, frame: Frame, place: Place, index: int | None = None) -> EncodedFrame:
        """Code the next frame in coding order.

        ``index`` is the rate index of this group from here on; None stays at the last one. P and B
        frames are coded around it, see :mod:`dvc_codec.codec.importance`.
        """
        if index is not None and index != self.rate_index:
            self.rate_index, self._lagrangian = index, lambda_at(index)
        if place.past is None:
            return self._intra_frame(frame)
        return self._predicted_frame(frame, place)

    def _intra_frame(self, frame: Frame) -> EncodedFrame:
        name, data, decoded = encode_for_lambda(
            frame.picture,
            self._lagrangian,
            self._intra,
            structural=self._codec.network.metric == "ms-ssim",
        )
        self._pictures.begin(to_planes(decoded))
        self._symbols.begin(decoded.height, decoded.width)
        self._errors = {}
        record = FrameRecord(
            FrameKind.I,
            self.rate_index,
            frame.pts,
            (data,),
            hash_of(decoded),
            intra_codec=get(name).id,
        )
        return EncodedFrame(
            record, decoded, {"intra": 8 * len(data)}, squared_error(frame.picture, decoded)
        )

    def _predicted_frame(self, frame: Frame, place: Place) -> EncodedFrame:
        kind = FrameKind.P if place.future is None else FrameKind.B
        if kind is FrameKind.P and place.past is not None:
            self._anchors = place.number - place.past
        prior, tables = self._codec.prior_of(kind), self._symbols.tables(kind)
        about = place, self._anchors, self._gop
        rate = rate_of_frame(*about, torch.tensor([self.rate_index]))
        errors = self._errors.get(kind, self._errors.get(FrameKind.P))
        coded = code_frame(
            self._codec,
            to_planes(frame.picture),
            State(
                self._pictures.of(place),
                self._symbols.past(FrameKind.P),
                self._symbols.past(FrameKind.B),
            ),
            rate,
            table_costs(prior, tables),
            importance=of_frame(*about, errors, self._codec.network.metric),
            estimate=False,
        )
        collected = symbols.collect(prior, coded.sent, coded.fine, coded.lifts)
        payload, sizes = symbols.write(tables, collected)
        self._symbols.add(kind, coded.sent, symbols.adapt(tables, collected))
        self._pictures.add(place, coded.state.reference)
        height, width = frame.picture.height, frame.picture.width
        picture = to_picture(coded.state.reference.picture, height, width)
        record = FrameRecord(kind, int(rate), frame.pts, (payload,), hash_of(picture))
        motion = sum(bits for name, bits in sizes.items() if name.startswith("motion"))
        bits = {"motion": motion, "residual": 8 * len(payload) - motion}
        self._errors[kind] = squared_error(frame.picture, picture)
        return EncodedFrame(record, picture, bits, self._errors[kind])


def encode_file(
    source: str | Path,
    target: Path,
    *,
    lagrangian: float = 1024.0,
    gop: int = 32,
    start: float = 0.0,
    frames: int | None = None,
    intra: str = "auto",
    scene_cuts: bool = True,
    between: int = MOST_BETWEEN,
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
        intra: "auto", "best", "hevc" or "av1".
        scene_cuts: start a group where the scene changes.
        between: the most B frames in a row, 0 to 7; 0: none, for low delay. Weights that have no
            B frames make none.
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
    encoder = FrameEncoder(model, lagrangian, intra, gop)
    summary = Summary()
    begun = time.monotonic()
    asked = gop, start, frames, intra, scene_cuts, between, convert, rates_are
    settings = f"{lagrangian:g} {' '.join(map(str, asked))}"
    with ExitStack() as stack:
        reader = stack.enter_context(
            open_source(source, start=start, frames=frames, raw=raw, convert=convert, model=model)
        )
        info = reader.info
        control = rates(info) if rates else ConstantRate(encoder.rate_index)
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
        groups = plan(iter(reader), gop, scene_cuts=scene_cuts, between=between)
        shown: DisplayOrder[tuple[Picture, int]] = DisplayOrder()
        frames_ahead = stack.enter_context(
            closing(ahead(groups, waiting=waiting, stopping=reader.stop))
        )
        summary.left_out = [*companions.left_out, *info.uncarried]
        for planned in frames_ahead:
            frame, starts = planned.frame, planned.starts
            summary.converted_from, summary.damaged = reader.converted_from, reader.damaged
            summary.interlaced = reader.interlaced
            if (old := output.old(frame, starts)) is not None:
                control.next_index(starts)
                control.spent(8 * old.payload_bytes)
                _count_old(summary, old, info)
                continue
            encoded = encoder.encode(frame, planned.place, control.next_index(starts))
            control.spent(sum(encoded.bits.values()))
            output.add(encoded.record, planned.place)
            summary.gops, summary.file_bytes = output.gops, output.bytes_written
            _count(summary, encoded, info, time.monotonic() - begun)
            if copy:
                for picture, pts in shown.add(planned.place, (encoded.picture, frame.pts)):
                    copy.write(picture, pts)
            if progress:
                progress(summary, info)
        output.end(sound_goes_on=frames is None)
        summary.gops, summary.damaged = output.gops, reader.damaged
        summary.companion_bytes = output.companion_bytes
    summary.file_bytes = target.stat().st_size
    summary.seconds = time.monotonic() - begun
    payload = sum(summary.bits.values()) + 8 * summary.companion_bytes
    summary.bits["overhead"] = 8 * summary.file_bytes - payload
    return summary


def squared_error(a: Picture, b: Picture) -> tuple[float, float, float]:
    """Mean squared error of Y, U, V, in squared 8-bit levels."""
    y, u, v = (
        float(np.square(np.subtract(p, q, dtype=np.int16), dtype=np.int32).mean(dtype=np.float64))
        for p, q in zip(a.planes, b.planes, strict=True)
    )
    return y, u, v


def weighted_psnr(errors: tuple[float, float, float]) -> float:
    """(6 Y + U + V) / 8 of the planes' PSNR in dB; a perfect plane counts as 100 dB."""
    y, u, v = (10 * np.log10(255**2 / e) if e > 0 else 100.0 for e in errors)
    return float((6 * y + u + v) / 8)


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
