"""Makes the attacks: small files that once did harm, or could, to keep.

    python -m tests.attacks.make

Most are right in every respect but the one (``tests/container/attacks.py`` and below say which).
They name the weights of the golden files, so that a decoder does not stop at those.
"""

import os
import zlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import cast
from unittest.mock import patch

import av
import numpy as np
import torch
from av.video.codeccontext import VideoCodecContext

from dvc_codec.codec import symbols
from dvc_codec.codec.model import Model
from dvc_codec.container import FrameKind, FrameRecord, Gop, Header, StreamEntry, StreamKind
from dvc_codec.container.chunks import chunk
from dvc_codec.container.frames import gop_body
from dvc_codec.container.header import header_bytes
from dvc_codec.entropy.mixing import WIDTHS, FrameWriter, PlaneCoder, Step
from dvc_codec.entropy.mixing_kernel import FINE, LARGEST_EXPONENT, REACH
from dvc_codec.entropy.scale import LIFTS
from dvc_codec.intra import get
from dvc_codec.intra.still import priority_kept
from tests.container import attacks
from tests.container.examples import HEADER
from tests.golden.make import narrow_model
from tests.moving import panned_texture

FOLDER = Path(__file__).parent
LARGEST_FILE = 10_000  # bytes of what is stored
SMALL = replace(HEADER, width=64, height=48, gop_length=8, tags=(), streams=())
LARGEST_SYMBOL = REACH + (2 << LARGEST_EXPONENT) - 2  # that an escape can say


def attack_model() -> Model:
    """What the files name, as if weights of theirs."""
    return Model("test", HEADER.model_hash, narrow_model().codec)


def _file(frames: tuple[FrameRecord, ...], header: Header = SMALL) -> bytes:
    """One group and no end, as a writer leaves it that was killed."""
    return header_bytes(header) + chunk(ord("G"), gop_body(Gop(0, frames), header))


def _of_kind(frames: tuple[FrameRecord, ...], number: int, kind: int) -> bytes:
    """As :func:`_file`, but frame ``number`` says that it is of this kind, as no writer does."""
    body = bytearray(gop_body(Gop(0, frames), SMALL))
    place = len(gop_body(Gop(0, frames[:number]), SMALL)) if number else 3
    body[place] = body[place] & ~7 | kind
    if not number:
        del body[place + 2]  # the intra codec
    return header_bytes(SMALL) + chunk(ord("G"), bytes(body))


def _intra(payload: bytes, codec: int, pts: int = 0) -> FrameRecord:
    return FrameRecord(FrameKind.I, 30, pts, (payload,), 0, intra_codec=codec)


def _good_intra() -> FrameRecord:
    return _intra(get("hevc").encode(panned_texture(frames=1)[0], 40), 1)


def _stream(encoder: str, options: Mapping[str, str], size: int, frames: int) -> bytes:
    """A grey film of square pictures that stands still, all in one."""
    os.environ.setdefault("SVT_LOG", "0")  # it reads that once in a process
    context = cast(VideoCodecContext, av.CodecContext.create(encoder, "w"))
    context.width, context.height, context.pix_fmt = size, size, "yuv420p"
    context.time_base, context.framerate = Fraction(1, 25), Fraction(25)
    context.thread_count, context.options = 1, dict(options)
    grey = np.full((size * 3 // 2, size), 128, np.uint8)
    packets = []
    with priority_kept():
        for pts in range(frames):
            frame = av.VideoFrame.from_ndarray(grey, format="yuv420p")
            frame.pts = pts
            packets += context.encode(frame)
        packets += context.encode(None)
    return b"".join(bytes(packet) for packet in packets)


def many_pictures_in_one() -> bytes:
    """An I frame of 60 AV1 pictures of 1024 x 1024 in a kilobyte: it was decoded to the end before
    anybody counted. With 8192 x 4320 and a megabyte: hours, and all memory.
    """
    options = {"preset": "10", "crf": "60", "svtav1-params": "lp=1:pred-struct=1:keyint=-1"}
    payload = b"\0" + _stream("libsvtav1", options, 1024, 60)
    return _file((_intra(payload, 2),), replace(SMALL, width=1024, height=1024))


def a_picture_of_another_size() -> bytes:
    """An I frame of 64 x 48 that brings an HEVC picture of 4096 x 4096 in some hundred bytes."""
    options = {"preset": "ultrafast", "x265-params": "log-level=none:info=0:qp=51:pools=none"}
    return _file((_intra(b"\1" + _stream("libx265", options, 4096, 1), 1),))


def rubbish_for_pictures() -> bytes:
    """I frames of both codecs, and of one that nobody knows, full of nothing."""
    rubbish = bytes(range(256))
    frames = [_intra(form + rubbish, codec, pts) for pts, (form, codec) in enumerate(
        ((b"\0", 1), (b"\1", 1), (b"\0", 2), (b"\x0a", 2), (b"\0", 200))
    )]  # fmt: skip
    return _file(tuple(frames))


class _Forger:
    """Stands for the reader of symbols: "reads" the largest there are, and writes them."""

    def __init__(self) -> None:
        self.writer = FrameWriter()

    def read_width(self) -> int:
        self.writer.write_width(WIDTHS)
        return WIDTHS

    def read_lift(self) -> int:
        self.writer.write_lift(LIFTS)
        return LIFTS

    def read(self, plane: PlaneCoder, step: Step) -> None:
        coded = step.cells & (step.levels >= FINE / 2)
        values = np.full(coded.shape, LARGEST_SYMBOL, np.float32)
        values.reshape(-1)[::2] *= -1
        plane.sent[step.channels] = np.where(coded, values, plane.sent[step.channels])
        self.writer.write(plane, step)

    def end(self) -> None:
        """Nothing is left over."""


def the_largest_symbols() -> bytes:
    """P frames whose every symbol is the largest that can be said: sums of sums over frames must
    not overflow anything, nor a flow point out of this world.
    """
    prior = attack_model().codec.prior
    past, statistics = prior.nothing(1, 16, 16), prior.statistics()
    frames = [_intra(get("hevc").encode(panned_texture(size=(16, 16), frames=1)[0], 40), 1)]
    for pts in range(1, 4):
        forger = _Forger()
        with patch.object(symbols, "FrameReader", return_value=forger), torch.no_grad():
            _, sent, statistics, _ = symbols.read(prior, statistics, b"", past)
        past = {name: plane.abs() for name, plane in sent.items()}
        frames.append(FrameRecord(FrameKind.P, 0, pts, (forger.writer.payload(),), 0))
    return _file(tuple(frames), replace(SMALL, width=16, height=16))


def symbols_that_end() -> bytes:
    """P frames without a byte, and of bytes that no coder wrote."""
    payloads = b"", b"\xff" * 40, b"\x7f" * 4, b"\0" * 999
    frames = [FrameRecord(FrameKind.P, 63, pts, (p,), 0) for pts, p in enumerate(payloads, 1)]
    return _file((_good_intra(), *frames))


def a_group_that_starts_with_p() -> bytes:
    """There is nothing to predict from."""
    return _of_kind((_intra(b"1234", 1),), 0, FrameKind.P)


def frames_without_payload() -> bytes:
    """An I frame and a P frame of no payload, then of sixteen."""
    none, many = (), (b"x",) * 16
    frames = [_good_intra()]
    frames += [FrameRecord(FrameKind.P, 30, pts, p, 0) for pts, p in ((1, none), (2, many))]
    frames.append(FrameRecord(FrameKind.I, 30, 3, none, 0, intra_codec=1))
    return _file(tuple(frames))


def a_rate_that_is_none() -> bytes:
    """Rate index 255 of 64: steps far beyond the finest."""
    return _file((_good_intra(), FrameRecord(FrameKind.P, 255, 1, (b"1234",), 0)))


def a_kind_of_later_days() -> bytes:
    """A kind that nobody knows yet."""
    return _of_kind((_good_intra(), FrameRecord(FrameKind.P, 30, 1, (b"1234",), 0)), 1, 3)


def a_b_frame_between_nothing() -> bytes:
    """It comes after an I frame, and nothing has been skipped."""
    return _of_kind((_good_intra(), FrameRecord(FrameKind.P, 30, 1, (b"1234",), 0)), 1, 2)


def b_frames_that_never_come() -> bytes:
    """A group cut in its third frame; its second says that it is shown as number 65,000."""
    skipping = FrameRecord(FrameKind.P, 30, 65_000, (b"1234",), 0, display_index=65_000)
    between = [FrameRecord(FrameKind.B, 30, pts, (), 0) for pts in range(1, 65_000)]
    header = replace(SMALL, frame_rate=Fraction(1), time_base=Fraction(1))
    whole = _file((_good_intra(), skipping, *between), header)
    return whole[: len(header_bytes(header)) + 1000]


def pictures_of_all_memory() -> bytes:
    """16384 x 16384, the largest that the format has, with an I frame of some bytes."""
    return _file((_good_intra(),), replace(SMALL, width=16384, height=16384))


def tags_that_steer_the_terminal() -> bytes:
    """Escape sequences wherever there is text."""
    bad = "\x1b[2J\x1b]0;gone\x07\r\n\x9b31m\u202e"
    stream = StreamEntry(StreamKind.AUDIO, bad, Fraction(1, 48000), b"", (("language", bad),))
    return _file((_good_intra(),), replace(SMALL, tags=(("title", bad),), streams=(stream,)))


def a_codec_that_is_a_path() -> bytes:
    """A companion whose codec is no name of one."""
    stream = StreamEntry(StreamKind.AUDIO, "../../etc/passwd", Fraction(1, 48000), b"", ())
    return _file((_good_intra(),), replace(SMALL, streams=(stream,)))


def other_weights() -> bytes:
    """Names weights that nobody has."""
    return _file((_good_intra(),), replace(SMALL, model_hash=b"\xee" * 32))


def a_later_version() -> bytes:
    """Version 2 of the format."""
    data = bytearray(_file((_good_intra(),)))
    data[8] = 2
    end = len(header_bytes(SMALL)) - 4
    data[end : end + 4] = zlib.crc32(data[:end]).to_bytes(4, "little")
    return bytes(data)


def another_kind_of_file() -> bytes:
    """A PNG's beginning."""
    return b"\x89PNG\r\n\x1a\n" + bytes(200)


def nothing() -> bytes:
    """An empty file."""
    return b""


OWN: tuple[Callable[[], bytes], ...] = (
    many_pictures_in_one,
    a_picture_of_another_size,
    rubbish_for_pictures,
    the_largest_symbols,
    symbols_that_end,
    a_group_that_starts_with_p,
    frames_without_payload,
    a_rate_that_is_none,
    a_kind_of_later_days,
    a_b_frame_between_nothing,
    b_frames_that_never_come,
    pictures_of_all_memory,
    tags_that_steer_the_terminal,
    a_codec_that_is_a_path,
    other_weights,
    a_later_version,
    another_kind_of_file,
    nothing,
)


def main() -> None:
    """Write all of them."""
    made = {make.__name__: make() for make in OWN}
    made |= {name: make() for name, make in attacks.ATTACKS.items()}
    for name, data in made.items():
        if len(data) <= LARGEST_FILE:
            (FOLDER / f"{name}.dvc").write_bytes(data)
        else:
            print(f"{name}: {len(data)} bytes are made where they are needed")


if __name__ == "__main__":
    main()
