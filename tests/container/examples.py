"""A small file with one of everything, and the strategies that make others."""

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

from hypothesis import strategies as st

from dvc_codec.container import (
    Colour,
    FrameKind,
    FrameRecord,
    Gop,
    Header,
    Packet,
    StreamEntry,
    StreamKind,
    Writer,
    middle_out,
)

HEADER = Header(
    model_hash=bytes(range(32)),
    model_name="test",
    width=417,
    height=241,
    frame_rate=Fraction(30000, 1001),
    time_base=Fraction(1, 30000),
    sample_aspect_ratio=Fraction(4, 3),
    colour=Colour(1, 1, 1, 1, 1),
    rotation=90,
    lambda_milli=512_000,
    gop_length=3,
    streams=(
        StreamEntry(
            StreamKind.AUDIO, "aac", Fraction(1, 48000), b"\x11\x90", (("language", "eng"),)
        ),
    ),
    tags=(("title", "Größe"),),
)


def frame_i(pts: int = 0) -> FrameRecord:
    return FrameRecord(FrameKind.I, 30, pts, (b"intra" * 8,), 0x01020304, intra_codec=1)


def frame_p(pts: int, payloads: tuple[bytes, ...] = (b"m" * 20, b"residual" * 5)) -> FrameRecord:
    return FrameRecord(FrameKind.P, 30, pts, payloads, 0xA0B0C0D0)


GOPS = (
    Gop(0, (frame_i(0), frame_p(1001), frame_p(2002))),
    Gop(3, (frame_i(3003), frame_p(4004), frame_p(5200))),
    Gop(
        6,
        (
            frame_i(6006),
            replace(frame_p(8100), display_index=8),
            FrameRecord(
                FrameKind.B,
                28,
                7500,
                (b"a", b"", b"b", b"c"),
                7,
                display_index=7,
                references=(1, 2),
                scale=8,
                extension=b"later",
            ),
        ),
    ),
)
PACKETS = (Packet(1, -1024, 1024, b"one"), Packet(1, 0, 1024, b"two"), Packet(1, 1024, 1000, b"3"))


def write_example(target: Path) -> bytes:
    """Packets, GOP, packets, two GOPs."""
    with Writer(target, HEADER) as writer:
        writer.write_packet(PACKETS[0])
        writer.write_packet(PACKETS[1])
        writer.write_gop(GOPS[0])
        writer.write_packet(PACKETS[2])
        for gop in GOPS[1:]:
            writer.write_gop(gop)
    return target.read_bytes()


def opened(data: bytes) -> io.BytesIO:
    return io.BytesIO(data)


_rationals = st.builds(Fraction, st.integers(1, 2**31 - 1), st.integers(1, 2**31 - 1))
_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_tags = st.lists(st.tuples(_text, _text), max_size=4).map(tuple)

headers = st.builds(
    Header,
    model_hash=st.binary(min_size=32, max_size=32),
    model_name=_text,
    width=st.integers(1, 16384),
    height=st.integers(1, 16384),
    frame_rate=_rationals,
    time_base=_rationals,
    sample_aspect_ratio=_rationals,
    colour=st.builds(Colour, *[st.integers(0, 255)] * 5),
    rotation=st.integers(0, 359),
    lambda_milli=st.integers(0, 2**32 - 1),
    gop_length=st.integers(1, 65535),
    streams=st.lists(
        st.builds(
            StreamEntry,
            kind=st.integers(0, 255),
            codec=_text,
            time_base=_rationals,
            extradata=st.binary(max_size=40),
            tags=_tags,
        ),
        max_size=3,
    ).map(tuple),
    tags=_tags,
    flags=st.integers(0, 0xFFFF),
    extensions=st.lists(
        st.tuples(st.integers(0, 2**30 - 1).map(lambda tag: 2 * tag), st.binary(max_size=20)),
        max_size=3,
    ).map(tuple),
)


@st.composite
def frames(draw: st.DrawFn, kind: FrameKind, pts: int | None = None) -> FrameRecord:
    return FrameRecord(
        kind=kind,
        rate_index=draw(st.integers(0, 255)),
        pts=draw(st.integers(-(2**62), 2**62)) if pts is None else pts,
        payloads=tuple(draw(st.lists(st.binary(max_size=300), max_size=16))),
        picture_hash=draw(st.integers(0, 2**32 - 1)),
        intra_codec=draw(st.integers(1, 255)) if kind == FrameKind.I else None,
        references=draw(
            st.none() | st.lists(st.integers(1, 65535), max_size=16).map(tuple)  # type: ignore[arg-type]
        ),
        scale=draw(st.none() | st.integers(1, 16)),
        extension=draw(st.binary(max_size=9)),
    )


@st.composite
def gops(draw: st.DrawFn) -> Gop:
    """Any group: an I frame, then anchors that skip some frames or none, and the B frames."""
    first = draw(st.integers(0, 2**40))
    made = [draw(frames(FrameKind.I))]
    for skipped in draw(st.lists(st.integers(0, 6), max_size=3)):
        past, future = len(made) - 1, len(made) + skipped
        kind = FrameKind.P if skipped else draw(st.sampled_from((FrameKind.I, FrameKind.P)))
        for position in (future, *(place.number for place in middle_out(past, future))):
            display = None if position == len(made) else first + position
            made.append(replace(draw(frames(kind)), display_index=display))
            kind = FrameKind.B
    return Gop(first, tuple(made))


packets = st.builds(
    Packet,
    stream=st.integers(1, 3),
    pts=st.integers(-(2**62), 2**62),
    duration=st.integers(0, 2**62),
    data=st.binary(max_size=50),
    flags=st.integers(0, 31),
)
