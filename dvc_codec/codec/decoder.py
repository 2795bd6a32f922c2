"""Frame records in, pictures out: the decoder's loop, and decode_file() around it."""

import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.ahead import ahead
from dvc_codec.codec.model import Model, load_model
from dvc_codec.codec.p_frame import reconstruct
from dvc_codec.codec.pictures import hash_of, to_picture, to_planes
from dvc_codec.container import FrameKind, FrameRecord, Header, Reader
from dvc_codec.entropy.tables import Tables
from dvc_codec.errors import DamagedFile, OutOfRange, WrongModel, WrongVersion
from dvc_codec.intra import by_id
from dvc_codec.networks.planes import GRID
from dvc_codec.networks.rate import RATES
from dvc_codec.video import ColourTags, Frame, Picture, VideoInfo, open_writer


@dataclass
class Decoded:
    """What decode_file() did.

    ``differing`` frames are not what the encoder saw (another machine's rounding, or damage).
    """

    frames: int = 0
    differing: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Parsed:
    """A frame whose bytes are read: the still picture of an I frame, or the symbols of a P
    frame.
    """

    record: FrameRecord
    still: Picture | None = None
    symbols: Mapping[str, Tensor] = field(default_factory=dict)


class FrameParser:
    """Reads the frames of groups of pictures, in order. Needs no picture of a P frame, so it may
    run ahead of whoever reconstructs them.
    """

    def __init__(self, model: Model, header: Header) -> None:
        self._prior, self._header = model.codec.prior, header
        self._past: Mapping[str, Tensor] | None = None
        self._tables: dict[str, Tables] = {}

    @torch.inference_mode()
    def parse(self, record: FrameRecord) -> Parsed:
        """Raises DamagedFile where a frame cannot be what the file says, WrongVersion for a kind of
        frame that this program does not know.
        """
        if len(record.payloads) != 1:
            raise DamagedFile(f"a frame has {len(record.payloads)} payloads, expected 1")
        if record.rate_index >= RATES:
            raise DamagedFile(f"rate index {record.rate_index}, expected less than {RATES}")
        if record.kind == FrameKind.I:
            return self._intra_frame(record)
        if record.kind != FrameKind.P:
            raise WrongVersion(f"a frame of kind {record.kind.name}: this program knows I and P")
        if self._past is None:
            raise DamagedFile("a group of pictures does not start with an I frame")
        data = record.payloads[0]
        read, sent, self._tables = symbols.read(self._prior, self._tables, data, self._past)
        self._past = {name: plane.abs() for name, plane in sent.items()}
        return Parsed(record, symbols=read)

    def _intra_frame(self, record: FrameRecord) -> Parsed:
        if record.intra_codec is None:
            raise DamagedFile("an I frame does not say which codec it is of")
        height, width = self._header.height, self._header.width
        still = by_id(record.intra_codec).decode(record.payloads[0], width, height)
        self._past = self._prior.nothing(1, height + -height % GRID, width + -width % GRID)
        self._tables = self._prior.tables()
        return Parsed(record, still)


class FrameDecoder:
    """Reconstructs what a :class:`FrameParser` read, in order."""

    def __init__(self, model: Model, header: Header) -> None:
        self._network, self._header = model.codec.network, header
        self._reference: Any = None

    @torch.inference_mode()
    def decode(self, parsed: Parsed) -> Picture:
        """The frame's picture."""
        if parsed.still is not None:
            self._reference = self._network.start(to_planes(parsed.still))
            return parsed.still
        rate = torch.tensor([parsed.record.rate_index])
        self._reference = reconstruct(self._network, self._reference, parsed.symbols, rate)
        return to_picture(self._reference.picture, self._header.height, self._header.width)


class Decoder:
    """A .dvc file as pictures: iterate, from any frame on.

    Args:
        source: the file.
        model: weights; the shipped ones by default. Raises WrongModel if the file names others.
    """

    def __init__(self, source: Path, model: Model | None = None) -> None:
        self._reader = Reader(source)
        self.header = self._reader.header
        try:
            self._model = model or load_model()
            self._check(source)
        except BaseException:
            self.close()
            raise

    def _check(self, source: Path) -> None:
        if self._reader.index_rebuilt or not self.frame_count:
            raise DamagedFile(
                f"{source}: the file is cut or damaged at its end: no index, {self.frame_count} "
                "frames in whole groups; get a complete copy"
            )
        if self._model.sha256 != self.header.model_hash:
            wanted, have = self.header.model_hash.hex()[:16], self._model.sha256.hex()[:16]
            raise WrongModel(
                f"{source}: made with weights {self.header.model_name} ({wanted}), these are "
                f"{self._model.name} ({have}); give the right ones with --model"
            )

    @property
    def frame_count(self) -> int:
        return self._reader.frame_count

    @property
    def info(self) -> VideoInfo:
        h, c = self.header, self.header.colour
        return VideoInfo(
            h.width,
            h.height,
            h.frame_rate,
            h.time_base,
            h.sample_aspect_ratio,
            ColourTags(c.range, c.primaries, c.transfer, c.matrix, c.chroma_location),
            frame_count=self.frame_count,
            rotation=h.rotation,
        )

    def frames(self, first: int = 0, count: int | None = None) -> Generator[tuple[Frame, bool]]:
        """Frames from number ``first`` on, each with whether it is exactly the encoder's picture
        (by its hash). Close it before the decoder where it is not used up: a thread reads ahead.
        """
        last = self.frame_count if count is None else min(self.frame_count, first + count)
        decoder = FrameDecoder(self._model, self.header)
        with closing(ahead(self._parsed(first, last))) as all_parsed:
            for position, parsed in all_parsed:
                picture = decoder.decode(parsed)
                if position >= first:
                    record = parsed.record
                    yield Frame(picture, record.pts), hash_of(picture) == record.picture_hash

    def _parsed(self, first: int, last: int) -> Iterator[tuple[int, Parsed]]:
        """Numbers and symbols of the frames of all groups that hold any of [first, last)."""
        parser = FrameParser(self._model, self.header)
        for number, entry in enumerate(self._reader.index):
            following = self._reader.index[number + 1 : number + 2]
            end = following[0].first_frame if following else self.frame_count
            if end <= first or entry.first_frame >= last:
                continue
            gop = self._reader.read_gop(number)
            for position, record in enumerate(gop.frames, gop.first_frame):
                if position < last:
                    yield position, parser.parse(record)

    def frame_at(self, seconds: float) -> int:
        """Number of the frame that is shown at this time, at the file's frame rate, counted from
        its first frame.
        """
        finite = math.isfinite(seconds)
        number = math.floor(seconds * self.header.frame_rate + 0.5) if finite else -1
        if not 0 <= number < self.frame_count:
            length = float(self.frame_count / self.header.frame_rate)
            raise OutOfRange(
                f"{self._reader.name}: start at {seconds:g} s, but the file has {length:.3f} s"
            )
        return number

    def close(self) -> None:
        self._reader.close()

    def __enter__(self) -> "Decoder":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def decode_file(
    source: Path,
    target: str | Path,
    *,
    start: float = 0.0,
    frames: int | None = None,
    lossless: bool | None = None,
    model: Model | None = None,
    progress: Callable[[Decoded, int], None] | None = None,
) -> Decoded:
    """Decode a .dvc file into a video file.

    Args:
        source: the .dvc file.
        target: .y4m (or "-"), .mkv, .mp4 or .yuv.
        start: seconds to skip; only the group of pictures around it is decoded, not what is before.
        frames: how many to decode at most.
        lossless: see :func:`dvc_codec.video.open_writer`.
        model: weights; the shipped ones by default.
        progress: called after every frame, with the number of frames to come in all.

    Raises:
        DvcError: its subclasses say what; nothing is left under the final name.
    """
    if frames is not None and frames < 1:
        raise OutOfRange(f"frames: found {frames}, expected 1 or more")
    done = Decoded()
    begun = time.monotonic()
    with ExitStack() as stack:
        decoder = stack.enter_context(Decoder(source, model))
        first = decoder.frame_at(start) if start else 0
        total = decoder.frame_count - first
        writer = stack.enter_context(open_writer(target, decoder.info, lossless=lossless))
        for frame, exact in stack.enter_context(closing(decoder.frames(first, frames))):
            writer.write(frame.picture, frame.pts)
            done.frames += 1
            done.differing += not exact
            done.seconds = time.monotonic() - begun
            if progress:
                progress(done, total if frames is None else min(total, frames))
    done.seconds = time.monotonic() - begun
    return done
