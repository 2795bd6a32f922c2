"""The body of a GOP chunk: its frames, with as few bytes around the payloads as will do.

A usual P frame costs 8 bytes beside its payloads: type and flags, two payload lengths of one to two
bytes each, and the picture hash.
"""

from collections.abc import Iterator

from dvc_codec.container.fields import Cursor, check, put_bytes, put_signed, put_varint
from dvc_codec.container.limits import (
    FULL_SCALE,
    MAX_FRAMES,
    MAX_FRAMES_PER_GOP,
    MAX_PAYLOAD,
    MAX_PAYLOADS,
    MAX_PTS,
    MAX_REFERENCES,
)
from dvc_codec.container.order import CodingOrder
from dvc_codec.container.records import FrameKind, FrameRecord, Gop, Header
from dvc_codec.errors import OutOfRange, WrongVersion

# First byte of a frame: bits 0-2 its kind, then
_RATE = 1 << 3
_PTS = 1 << 4
_MORE = 1 << 5
_COUNT_SHIFT = 6  # bits 6-7: number of payloads, 3 means that it follows
_COUNT_FOLLOWS = 3

# Second byte, there when _MORE is set. Bits 3-6 are critical and free.
_DISPLAY = 1 << 0
_REFERENCES = 1 << 1
_SCALE = 1 << 2
_EXTENSION = 1 << 7
_UNKNOWN = 0x78

SHORTEST_FRAME = 5  # first byte and hash


class Clock:
    """Predicts the time of each frame of a GOP from the last one that was sent."""

    def __init__(self, header: Header, first_pts: int) -> None:
        self._header = header
        self._anchor, self._at = first_pts, 0

    def expected(self, position: int) -> int:
        """The time of the frame at this position in display order, unless it is sent."""
        return self._anchor + self._header.ticks(position - self._at)

    def step(self, position: int, pts: int) -> None:
        """The frame there has this time."""
        if pts != self.expected(position):
            self._anchor, self._at = pts, position


class _Group:
    """What the frames of a GOP so far say of the next one."""

    def __init__(self, header: Header, first_frame: int, first_pts: int) -> None:
        self.first_frame = first_frame
        self.number = first_frame  # of the next frame, in coding order
        self.rate_index: int | None = None
        self.clock = Clock(header, first_pts)
        self.order = CodingOrder()

    def place(self, kind: FrameKind, display_index: int | None) -> int:
        """Position of the next frame; ValueError where it may not come."""
        said = None if display_index is None else display_index - self.first_frame
        try:
            return self.order.place(kind, said).number
        except ValueError as error:
            raise ValueError(f"frame {self.number} is {error}") from error

    def step(self, frame: FrameRecord, position: int) -> None:
        """Go on to the frame after this one."""
        self.clock.step(position, frame.pts)
        self.rate_index = frame.rate_index
        self.number += 1


def gop_body(gop: Gop, header: Header) -> bytes:
    """The body of the chunk that holds ``gop``."""
    check("first frame number", gop.first_frame, 0, MAX_FRAMES)
    check("number of frames", len(gop.frames), 1, MAX_FRAMES_PER_GOP)
    first_pts = gop.frames[0].pts
    check("pts", first_pts, -MAX_PTS, MAX_PTS)
    out = bytearray()
    put_varint(out, gop.first_frame)
    put_varint(out, len(gop.frames))
    put_signed(out, first_pts)
    group = _Group(header, gop.first_frame, first_pts)
    for frame in gop.frames:
        _put_frame(out, frame, group)
    if not group.order.complete:
        raise OutOfRange(f"GOP from frame {gop.first_frame} on: ends before its last B frames")
    return bytes(out)


def parse_gop(data: bytes, header: Header, where: str) -> Gop:
    """The GOP of a whole chunk body."""
    cursor = Cursor(data, where)
    first_frame, count, first_pts = parse_gop_start(cursor)
    if count * SHORTEST_FRAME > cursor.left:
        raise cursor.damaged(f"number of frames is {count}, more than {cursor.left} bytes can hold")
    frames = tuple(_frames(cursor, header, first_frame, count, first_pts))
    cursor.end()
    return Gop(first_frame, frames)  # all positions are there: none twice, none beyond the count


def parse_gop_start(cursor: Cursor) -> tuple[int, int, int]:
    """Number of the first frame, number of frames, time of the first frame."""
    return (
        cursor.varint("first frame number", 0, MAX_FRAMES),
        cursor.varint("number of frames", 1, MAX_FRAMES_PER_GOP),
        cursor.signed("first pts", -MAX_PTS, MAX_PTS),
    )


def iterate_frames(data: bytes, header: Header, where: str) -> Iterator[tuple[int, FrameRecord]]:
    """(number, frame) one after the other, until the data ends or is damaged, which raises."""
    cursor = Cursor(data, where)
    first_frame, count, first_pts = parse_gop_start(cursor)
    yield from enumerate(_frames(cursor, header, first_frame, count, first_pts), first_frame)


def _frames(
    cursor: Cursor, header: Header, first_frame: int, count: int, first_pts: int
) -> Iterator[FrameRecord]:
    group = _Group(header, first_frame, first_pts)
    for _ in range(count):
        yield _parse_frame(cursor, group, count)


def _put_frame(out: bytearray, frame: FrameRecord, group: _Group) -> None:
    number = group.number
    _check_frame(frame, number)
    try:
        position = group.place(frame.kind, frame.display_index)
    except ValueError as error:
        raise OutOfRange(str(error)) from error
    skipped = group.first_frame + position - number if frame.kind == FrameKind.P else 0
    late = frame.pts - group.clock.expected(position)
    references = frame.references
    more = (
        (_DISPLAY if skipped else 0)
        | (_REFERENCES if references is not None else 0)
        | (_SCALE if frame.scale is not None else 0)
        | (_EXTENSION if frame.extension else 0)
    )
    count = min(len(frame.payloads), _COUNT_FOLLOWS)
    out.append(
        frame.kind
        | (_RATE if frame.rate_index != group.rate_index else 0)
        | (_PTS if late else 0)
        | (_MORE if more else 0)
        | count << _COUNT_SHIFT
    )
    if more:
        out.append(more)
    if frame.rate_index != group.rate_index:
        out.append(frame.rate_index)
    if late:
        put_signed(out, late)
    if frame.intra_codec is not None:
        out.append(frame.intra_codec)
    if skipped:
        put_signed(out, skipped)
    if references is not None:
        put_varint(out, len(references))
        for distance in references:
            put_varint(out, distance)
    if frame.scale is not None:
        out.append(frame.scale)
    if frame.extension:
        put_bytes(out, frame.extension)
    if count == _COUNT_FOLLOWS:
        put_varint(out, len(frame.payloads))
    for payload in frame.payloads:
        put_varint(out, len(payload))
    out += frame.picture_hash.to_bytes(4, "little")
    for payload in frame.payloads:
        out += payload
    group.step(frame, position)


def _check_frame(frame: FrameRecord, number: int) -> None:
    check("rate_index", frame.rate_index, 0, 255)
    check("pts", frame.pts, -MAX_PTS, MAX_PTS)
    check("picture_hash", frame.picture_hash, 0, 2**32 - 1)
    check("number of payloads", len(frame.payloads), 0, MAX_PAYLOADS)
    for payload in frame.payloads:
        check("length of a payload", len(payload), 0, MAX_PAYLOAD)
    if (frame.kind == FrameKind.I) != (frame.intra_codec is not None):
        raise OutOfRange(
            f"frame {number} is {frame.kind.name} with intra codec {frame.intra_codec}: "
            "I frames have one, others do not"
        )
    if frame.intra_codec is not None:
        check("intra_codec", frame.intra_codec, 1, 255)
    if frame.references is not None:
        check("number of references", len(frame.references), 0, MAX_REFERENCES)
        for distance in frame.references:
            check("reference distance", distance, 1, MAX_FRAMES_PER_GOP)
    if frame.scale is not None:
        check("scale", frame.scale, 1, FULL_SCALE)
    check("length of the extension", len(frame.extension), 0, MAX_PAYLOAD)


def _parse_frame(cursor: Cursor, group: _Group, count_of_frames: int) -> FrameRecord:
    number = group.number
    first = cursor.u8("type of a frame")
    if first & 7 not in tuple(FrameKind):
        raise WrongVersion(
            str(
                cursor.damaged(
                    f"frame {number} has type {first & 7}, which this program does not "
                    "know; use a newer dvc-codec"
                )
            )
        )
    kind = FrameKind(first & 7)
    more = cursor.u8("flags") if first & _MORE else 0
    if more & _UNKNOWN:
        raise WrongVersion(
            str(
                cursor.damaged(
                    f"frame {number} has flags {more:02x}, which this program does not "
                    "know; use a newer dvc-codec"
                )
            )
        )
    if first & _RATE:
        rate_index = cursor.u8("rate index")
    elif group.rate_index is not None:
        rate_index = group.rate_index
    else:
        raise cursor.damaged("the first frame of a GOP has no rate index")
    late = cursor.signed("pts", -2 * MAX_PTS, 2 * MAX_PTS) if first & _PTS else 0
    intra_codec = cursor.u8("intra codec") if kind == FrameKind.I else None
    if intra_codec == 0:
        raise cursor.damaged("intra codec is 0, expected 1 to 255")
    skipped = 0
    references = scale = None
    extension = b""
    if more & _DISPLAY:
        skipped = cursor.signed("display index", 0, count_of_frames)
    position = _position(cursor, group, kind, skipped if more & _DISPLAY else None, count_of_frames)
    pts = group.clock.expected(position) + late
    if not -MAX_PTS <= pts <= MAX_PTS:
        raise cursor.damaged(f"pts is {pts}, expected {-MAX_PTS} to {MAX_PTS}")
    if more & _REFERENCES:
        references = tuple(
            cursor.varint("reference distance", 1, MAX_FRAMES_PER_GOP)
            for _ in range(cursor.varint("number of references", 0, MAX_REFERENCES))
        )
    if more & _SCALE:
        scale = cursor.varint("scale", 1, FULL_SCALE)
    if more & _EXTENSION:
        extension = cursor.bytes(
            "extension", cursor.varint("length of the extension", 0, MAX_PAYLOAD)
        )
    count = first >> _COUNT_SHIFT
    if count == _COUNT_FOLLOWS:
        count = cursor.varint("number of payloads", 0, MAX_PAYLOADS)
    lengths = [cursor.varint("length of a payload", 0, MAX_PAYLOAD) for _ in range(count)]
    picture_hash = cursor.u32("picture hash")
    display_index = group.first_frame + position
    frame = FrameRecord(
        kind=kind,
        rate_index=rate_index,
        pts=pts,
        payloads=tuple(cursor.bytes("payload", length) for length in lengths),
        picture_hash=picture_hash,
        intra_codec=intra_codec,
        display_index=None if display_index == number else display_index,
        references=references,
        scale=scale,
        extension=extension,
    )
    group.step(frame, position)
    return frame


def _position(cursor: Cursor, group: _Group, kind: FrameKind, skipped: int | None, end: int) -> int:
    """Of a frame with these ``skipped`` before it, in a group of ``end`` frames."""
    if skipped is not None and kind != FrameKind.P:
        raise cursor.damaged(
            f"frame {group.number} of kind {kind.name} says its display index, which P frames do"
        )
    try:
        position = group.place(kind, group.number + skipped if skipped else None)
    except ValueError as error:
        raise cursor.damaged(str(error)) from error
    if position >= end:
        raise cursor.damaged(f"frame {group.number} is at position {position} of {end}")
    return position
