"""Coding order and positions: what may come when, and where it is shown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dvc_codec.container import CodingOrder, FrameKind, Place, middle_out

I, P, B = FrameKind.I, FrameKind.P, FrameKind.B  # noqa: E741
Said = list[tuple[FrameKind, int | None]]


def ordered(said: Said) -> CodingOrder:
    order = CodingOrder()
    for kind, position in said:
        order.place(kind, position)
    return order


def test_the_middle_comes_first_then_the_half_before_it() -> None:
    assert [place.number for place in middle_out(0, 8)] == [4, 2, 1, 3, 6, 5, 7]
    assert [place.number for place in middle_out(3, 6)] == [4, 5]
    assert middle_out(3, 6)[1] == Place(5, past=4, future=6)
    assert middle_out(7, 8) == []


@given(st.integers(0, 1000), st.integers(0, 200))
def test_every_position_between_has_one_frame_after_both_it_is_predicted_from(
    past: int, length: int
) -> None:
    known = {past, past + length}
    for place in middle_out(past, past + length):
        assert place.past in known and place.future in known
        assert place.past < place.number < place.future  # type: ignore[operator]
        assert place.number not in known
        known.add(place.number)
    assert known == set(range(past, past + length + 1))


def test_a_group_without_b_frames_is_shown_as_it_is_coded() -> None:
    order = CodingOrder()
    assert order.complete
    assert order.place(I, None) == Place(0)
    assert order.place(P, None) == Place(1, past=0)
    assert order.place(P, None) == Place(2, past=1)
    assert order.complete


def test_b_frames_follow_the_anchor_that_skipped() -> None:
    order = ordered([(I, None)])
    assert order.place(P, 3) == Place(3, past=0)
    assert not order.complete
    assert order.place(B, None) == Place(1, past=0, future=3)
    assert order.place(B, None) == Place(2, past=1, future=3)
    assert order.complete
    assert order.place(P, None) == Place(4, past=3)


def test_an_i_frame_inside_a_group_is_the_next_in_display_order() -> None:
    assert ordered([(I, None), (P, None)]).place(I, None) == Place(2)
    with pytest.raises(ValueError, match="expected 2"):
        ordered([(I, None), (P, None)]).place(I, 4)


@pytest.mark.parametrize(
    "before, kind, position, text",
    [
        ([], P, None, "does not start with an I frame"),
        ([], B, None, "open"),
        ([], I, 1, "position 1, expected 0"),
        ([(I, None)], B, None, "open"),
        ([(I, None), (P, 2), (B, None)], B, None, "open"),
        ([(I, None), (P, 2)], P, None, "before the B frame at position 1"),
        ([(I, None), (P, 2)], I, None, "before the B frame at position 1"),
        ([(I, None), (P, 4)], B, 1, "at position 1, expected 2"),
        ([(I, None), (P, None)], P, 1, "position 1, expected 2"),
        ([(I, None), (P, None)], P, 0, "position 0"),
        ([(I, None)], P, 65535, "position 65535"),
        ([(I, None)], P, 2**40, "position"),
    ],
)
def test_what_may_not_come_is_said_and_changes_nothing(
    before: Said, kind: FrameKind, position: int | None, text: str
) -> None:
    order = ordered(before)
    complete = order.complete
    with pytest.raises(ValueError, match=text):
        order.place(kind, position)
    assert order.complete == complete
    if before:
        order.place(B if not complete else P, None)
