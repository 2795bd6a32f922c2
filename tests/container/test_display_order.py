"""Groups with B frames as bytes: what they cost, what they refuse, and their times."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise

import pytest

from dvc_codec.container import (
    FrameKind,
    FrameRecord,
    Gop,
    Header,
    Place,
    display_number,
    middle_out,
    places,
)
from dvc_codec.container.fields import put_signed, put_varint
from dvc_codec.container.frames import gop_body, iterate_frames, parse_gop
from dvc_codec.errors import DamagedFile, OutOfRange
from tests.container.examples import HEADER, frame_i, frame_p

FIRST = 1000  # number of the group's first frame
LEAST = 6  # bytes of a frame with one empty payload and the rate of the one before
RATE, MORE, DISPLAY, ONE = 1 << 3, 1 << 5, 1, 1 << 6
HASH = bytes(4)
I_FRAME = bytes([ONE | RATE, 30, 1, 0]) + HASH
P_FRAME = bytes([1 | ONE, 0]) + HASH
B_FRAME = bytes([2 | ONE, 0]) + HASH
Times = dict[int, int]


def frame_b(pts: int) -> FrameRecord:
    return FrameRecord(FrameKind.B, 30, pts, (b"between",), 5)


def group(anchors: list[int], times: Times | None = None, *, header: Header = HEADER) -> Gop:
    """I and P frames at these positions, B frames between; times of the header's clock but for
    those that are said.
    """
    pts = {n: header.ticks(n) for n in range(anchors[-1] + 1)} | (times or {})
    frames = [frame_i(pts[0])]
    for past, future in pairwise(anchors):
        frames.append(replace(frame_p(pts[future]), display_index=FIRST + future))
        frames += [
            replace(frame_b(pts[place.number]), display_index=FIRST + place.number)
            for place in middle_out(past, future)
        ]
    return Gop(
        FIRST,
        tuple(
            replace(frame, display_index=None) if frame.display_index == number else frame
            for number, frame in enumerate(frames, FIRST)
        ),
    )


def p_that_skips(skipped: int) -> bytes:
    out = bytearray([1 | ONE | MORE, DISPLAY])
    put_signed(out, skipped)
    return bytes(out) + bytes(1) + HASH


def body(*frames: bytes, count: int | None = None) -> bytes:
    out = bytearray()
    put_varint(out, FIRST)
    put_varint(out, len(frames) if count is None else count)
    put_signed(out, 0)
    return bytes(out) + b"".join(frames)


def test_positions_are_filled_in_on_reading() -> None:
    gop = group([0, 4, 5, 7])
    back = parse_gop(gop_body(gop, HEADER), HEADER, "x")
    assert back == gop
    assert [display_number(back, n) - FIRST for n in range(8)] == [0, 4, 2, 1, 3, 5, 7, 6]
    assert [frame.display_index for frame in back.frames[:4]] == [None, 1004, None, 1001]
    assert places(back)[3:6] == [Place(1, 0, 2), Place(3, 2, 4), Place(5, 4)]


def test_a_writer_need_not_say_the_position_of_b_frames() -> None:
    gop = group([0, 8])
    silent = tuple(
        replace(f, display_index=None) if f.kind == FrameKind.B else f for f in gop.frames
    )
    assert gop_body(replace(gop, frames=silent), HEADER) == gop_body(gop, HEADER)


def test_a_b_frame_costs_no_byte_for_its_place_or_time() -> None:
    counts = [len(gop_body(group([0, n]), HEADER)) for n in (2, 3, 10, 50)]
    own = LEAST + len(b"between")
    assert [count - counts[0] for count in counts] == [0, own, 8 * own, 48 * own]


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
def test_constant_rates_send_no_times_even_in_milliseconds(rate: Fraction) -> None:
    header = replace(HEADER, frame_rate=rate, time_base=Fraction(1, 1000))
    gop = group([0, 8, 16, 24, 32], header=header)
    data = gop_body(gop, header)
    assert parse_gop(data, header, "x") == gop
    assert len(data) == len(gop_body(group([0, 8, 16, 24, 32]), HEADER))


def test_variable_times_come_back() -> None:
    times = {1: 900, 4: 9000, 6: 9001, 7: 30_000}
    gop = group([0, 4, 8], times)
    assert parse_gop(gop_body(gop, HEADER), HEADER, "x") == gop


def test_the_last_time_that_was_sent_is_what_others_are_told_from() -> None:
    """In coding order 4, 2, 1, 3: what 4 is late, 2, 1 and 3 are too; 1 and 3 follow 2."""
    ticks = HEADER.ticks
    times = {4: ticks(4) + 500, 2: ticks(2) + 500, 1: ticks(1) + 500, 3: ticks(3) + 500}
    plain, shifted = group([0, 4]), group([0, 4], times)
    assert len(gop_body(shifted, HEADER)) - len(gop_body(plain, HEADER)) == 2  # 4 says 500
    times = {2: ticks(2) - 70, 1: ticks(1) - 70, 3: ticks(3) - 70}
    shifted = group([0, 4], times)
    assert len(gop_body(shifted, HEADER)) - len(gop_body(plain, HEADER)) == 2  # 2 says -70


@pytest.mark.parametrize(
    "frames, text",
    [
        ((bytes([1 | ONE | RATE, 30, 0]) + HASH,), "does not start with an I frame"),
        ((bytes([2 | ONE | RATE, 30, 0]) + HASH,), "open"),
        ((I_FRAME, B_FRAME), "open"),
        ((I_FRAME, p_that_skips(1), P_FRAME), "before the B frame"),
        ((I_FRAME, p_that_skips(1), I_FRAME), "before the B frame"),
        ((I_FRAME, p_that_skips(1), B_FRAME, B_FRAME), "open"),
        ((I_FRAME, p_that_skips(1)), "position 2 of 2"),
        ((I_FRAME, p_that_skips(2), B_FRAME), "position 3 of 3"),
        ((I_FRAME, p_that_skips(-1), P_FRAME), "display index"),
        ((I_FRAME, p_that_skips(2**40), P_FRAME), "display index"),
        (
            (I_FRAME, p_that_skips(1), bytes([2 | ONE | MORE, DISPLAY, 0, 0]) + HASH),
            "kind B says its display index",
        ),
        ((bytes([ONE | MORE | RATE, DISPLAY, 30, 1, 0, 0]) + HASH,), "kind I says"),
    ],
)
def test_an_order_that_cannot_be_is_damage(frames: tuple[bytes, ...], text: str) -> None:
    with pytest.raises(DamagedFile, match=text):
        parse_gop(body(*frames), HEADER, "x")


def test_what_these_are_made_of_is_right() -> None:
    gop = parse_gop(body(I_FRAME, p_that_skips(2), B_FRAME, B_FRAME, P_FRAME), HEADER, "x")
    assert [display_number(gop, n) - FIRST for n in range(5)] == [0, 3, 1, 2, 4]


def test_a_p_frame_that_says_that_it_is_the_next_is_read_and_not_written() -> None:
    data = body(I_FRAME, p_that_skips(0))
    gop = parse_gop(data, HEADER, "x")
    assert gop.frames[1].display_index is None
    assert len(gop_body(gop, HEADER)) == len(data) - 2


def test_a_cut_group_may_end_anywhere() -> None:
    data = gop_body(group([0, 4, 5]), HEADER)
    numbers = []
    with pytest.raises(DamagedFile):
        for number, frame in iterate_frames(data[:-80], HEADER, "x"):
            display = number if frame.display_index is None else frame.display_index
            numbers.append(display - FIRST)
    assert numbers == [0, 4, 2, 1]


@pytest.mark.parametrize(
    "frames",
    [
        (frame_p(0),),
        (frame_i(), frame_b(1001)),
        (frame_i(), replace(frame_p(2002), display_index=FIRST + 2)),
        (frame_i(), replace(frame_p(2002), display_index=FIRST + 2), frame_p(1001)),
        (
            frame_i(),
            replace(frame_p(2002), display_index=FIRST + 2),
            replace(frame_b(1001), display_index=FIRST + 2),
        ),
        (frame_i(), replace(frame_p(2002), display_index=FIRST)),
        (frame_i(), replace(frame_p(2002), display_index=2)),
        (replace(frame_i(), display_index=FIRST + 1),),
    ],
)
def test_an_order_that_cannot_be_is_not_written(frames: tuple[FrameRecord, ...]) -> None:
    with pytest.raises(OutOfRange):
        gop_body(Gop(FIRST, frames), HEADER)
