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
from dvc_codec.codec.gop import schedule
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.p_frame import State, code_frame, table_costs
from dvc_codec.codec.pictures import hash_of, to_picture, to_planes
from dvc_codec.container import Colour, FrameKind, FrameRecord, Gop, Header, Writer
from dvc_codec.entropy.tables import Tables
from dvc_codec.errors import OutOfRange
from dvc_codec.intra import encode_for_lambda, get
from dvc_codec.networks.rate import HIGHEST_LAMBDA, LOWEST_LAMBDA, rate_index
from dvc_codec.video import Frame, Picture, RawFormat, VideoInfo, open_video, open_writer

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

    Bits per pixel are of the file's bytes; PSNR of the mean squared error over all frames.
    """

    frames: int = 0
    gops: int = 0
    pixels: int = 0
    file_bytes: int = 0
    seconds: float = 0.0
    bits: dict[str, int] = field(default_factory=dict)
    frame_psnr: list[float] = field(default_factory=list)
    last: EncodedFrame | None = None  # the frame just coded, for whoever follows the progress
    converted_from: str | None = None  # the source's pixel format if it is not 8-bit 4:2:0
    damaged: int = 0  # places of the source that could not be decoded

    @property
    def bits_per_pixel(self) -> float:
        return 8 * self.file_bytes / max(1, self.pixels)

    @property
    def psnr(self) -> float:
        """Mean over frames of the weighted (6 Y + U + V) / 8 PSNR, in dB."""
        return float(np.mean(self.frame_psnr)) if self.frame_psnr else float("nan")


class FrameEncoder:
    """Codes pictures one after the other, from the state that a decoder will have.

    Args:
        model: weights.
        lagrangian: lambda in [64, 4096]; raises OutOfRange outside.
        intra: name of the I-frame codec, or "auto".
    """

    def __init__(self, model: Model, lagrangian: float, intra: str = "auto") -> None:
        if not LOWEST_LAMBDA <= lagrangian <= HIGHEST_LAMBDA:
            raise OutOfRange(
                f"lambda {lagrangian:g}: must be in [{LOWEST_LAMBDA:g}, {HIGHEST_LAMBDA:g}]"
            )
        self._codec = model.codec
        self._lagrangian, self._intra = lagrangian, intra
        self.rate_index = rate_index(lagrangian)
        self._rate = torch.tensor([self.rate_index])
        self._state: State | None = None
        self._tables: dict[str, Tables] = {}

    @torch.inference_mode()
    def encode(self, frame: Frame, intra: bool) -> EncodedFrame:
        """Code a frame, as an I frame or from the last."""
        return (
            self._intra_frame(frame)
            if intra or self._state is None
            else self._p_frame(frame, self._state)
        )

    def _intra_frame(self, frame: Frame) -> EncodedFrame:
        name, data, decoded = encode_for_lambda(frame.picture, self._lagrangian, self._intra)
        self._state = self._codec.start(to_planes(decoded))
        self._tables = self._codec.prior.tables()
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

    def _p_frame(self, frame: Frame, state: State) -> EncodedFrame:
        costs = table_costs(self._codec.prior, self._tables)
        coded = code_frame(
            self._codec, to_planes(frame.picture), state, self._rate, costs, estimate=False
        )
        collected = symbols.collect(self._codec.prior, coded.sent, coded.fine)
        payload, sizes = symbols.write(self._tables, collected)
        self._tables = symbols.adapt(self._tables, collected)
        self._state = coded.state
        picture = to_picture(
            coded.state.reference.picture, frame.picture.height, frame.picture.width
        )
        record = FrameRecord(FrameKind.P, self.rate_index, frame.pts, (payload,), hash_of(picture))
        motion = sum(bits for name, bits in sizes.items() if name.startswith("motion"))
        bits = {"motion": motion, "residual": 8 * len(payload) - motion}
        return EncodedFrame(record, picture, bits, squared_error(frame.picture, picture))


def encode_file(
    source: str | Path,
    target: Path,
    *,
    lagrangian: float,
    gop: int = 32,
    start: float = 0.0,
    frames: int | None = None,
    intra: str = "auto",
    scene_cuts: bool = True,
    recon: Path | None = None,
    model: Model | None = None,
    raw: RawFormat | None = None,
    progress: Callable[[Summary, VideoInfo], None] | None = None,
    waiting: Callable[[], None] | None = None,
) -> Summary:
    """Encode a video file into a .dvc file.

    Args:
        source: anything FFmpeg reads, "-" for y4m on standard input.
        target: the file to make; it has this name only when it is whole.
        lagrangian: lambda in [64, 4096]: larger is better and bigger.
        gop: longest group of pictures.
        start: seconds to skip.
        frames: how many to code at most.
        intra: "auto", "hevc" or "av1".
        scene_cuts: start a group where the scene changes.
        recon: also write what a decoder will output (.y4m, .mkv, ...).
        model: weights; the shipped ones by default.
        raw: the format of a headerless .yuv source.
        progress: called after every frame.
        waiting: called while a slow source keeps us waiting; may raise.

    Raises:
        DvcError: its subclasses say what; nothing is left under the final name.
    """
    if not 1 <= gop <= LONGEST_GOP:
        raise OutOfRange(f"GOP of {gop} frames: must be in [1, {LONGEST_GOP}]")
    model = model or load_model()
    encoder = FrameEncoder(model, lagrangian, intra)
    summary = Summary()
    begun = time.monotonic()
    with ExitStack() as stack:
        reader = stack.enter_context(open_video(source, start=start, frames=frames, raw=raw))
        info = reader.info
        pending: list[FrameRecord] = []
        writer = stack.enter_context(Writer(target, _header(info, model, lagrangian, gop)))
        copy = stack.enter_context(open_writer(recon, info)) if recon else None
        groups = schedule(iter(reader), gop, scene_cuts=scene_cuts)
        frames_ahead = stack.enter_context(closing(ahead(groups, waiting=waiting)))
        stack.callback(reader.stop)  # first of all, or its thread might wait for ever
        for starts, frame in frames_ahead:
            if starts and pending:
                _write_gop(writer, pending, summary)
            encoded = encoder.encode(frame, starts)
            summary.converted_from, summary.damaged = reader.converted_from, reader.damaged
            pending.append(encoded.record)
            _count(summary, encoded, info, time.monotonic() - begun)
            if copy:
                copy.write(encoded.picture, frame.pts)
            if progress:
                progress(summary, info)
        _write_gop(writer, pending, summary)
        summary.damaged = reader.damaged
    summary.file_bytes = target.stat().st_size
    summary.seconds = time.monotonic() - begun
    payload = sum(summary.bits.values())
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


def _header(info: VideoInfo, model: Model, lagrangian: float, gop: int) -> Header:
    c = info.colour
    return Header(
        model_hash=model.sha256,
        model_name=model.name,
        width=info.width,
        height=info.height,
        frame_rate=info.frame_rate,
        time_base=info.time_base,
        sample_aspect_ratio=info.sample_aspect_ratio,
        colour=Colour(c.primaries, c.transfer, c.matrix, c.range, c.chroma_location),
        rotation=info.rotation,
        lambda_milli=round(1000 * lagrangian),
        gop_length=gop,
    )


def _write_gop(writer: Writer, pending: list[FrameRecord], summary: Summary) -> None:
    writer.write_gop(Gop(writer.frame_count, tuple(pending)))
    pending.clear()
    summary.gops += 1
    summary.file_bytes = writer.bytes_written


def _count(summary: Summary, encoded: EncodedFrame, info: VideoInfo, seconds: float) -> None:
    summary.frames += 1
    summary.last = encoded
    summary.pixels += info.width * info.height
    summary.seconds = seconds
    summary.frame_psnr.append(weighted_psnr(encoded.squared_error))
    for part, bits in encoded.bits.items():
        summary.bits[part] = summary.bits.get(part, 0) + bits
