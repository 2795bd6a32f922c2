"""Frames in coding order and where they are shown: the position of each, and what it is between.

Positions count in display order from the I frame that starts the group. An anchor (I or P frame)
may leave positions out: B frames between it and the anchor before fill them, and follow it at once.
Their order is fixed, so a B frame need not say where it belongs:

>>> [(place.past, place.number, place.future) for place in middle_out(0, 4)]
[(0, 2, 4), (0, 1, 2), (2, 3, 4)]
"""

from dataclasses import dataclass

from dvc_codec.container.limits import MAX_FRAMES_PER_GOP
from dvc_codec.container.records import FrameKind, Gop


@dataclass(frozen=True)
class Place:
    """Where a frame is in its group, in display order from the group's I frame.

    Args:
        number: its position; the I frame's is 0.
        past: position of the earlier frame it is predicted from; None for an I frame.
        future: position of the later one; None for I and P frames.
    """

    number: int
    past: int | None = None
    future: int | None = None


def middle_out(past: int, future: int) -> list[Place]:
    """The B frames between two anchors in coding order: the middle one, then the half before it,
    then the half after it, each likewise.
    """
    if future - past < 2:
        return []
    middle = (past + future) // 2
    here = Place(middle, past, future)
    return [here, *middle_out(past, middle), *middle_out(middle, future)]


def group_order(count: int, distance: int) -> list[Place]:
    """A whole group of ``count`` frames with an anchor every ``distance`` frames and at its end, in
    coding order.

    >>> [place.number for place in group_order(6, 3)]
    [0, 3, 1, 2, 5, 4]
    """
    order, last = [Place(0)], 0
    while last < count - 1:
        anchor = min(last + distance, count - 1)
        order += [Place(anchor, last), *middle_out(last, anchor)]
        last = anchor
    return order


class CodingOrder:
    """Says where each frame of a group belongs, given one after the other in coding order.

    >>> order = CodingOrder()
    >>> frames = [(FrameKind.I, None), (FrameKind.P, 2), (FrameKind.B, None), (FrameKind.P, None)]
    >>> [order.place(kind, position).number for kind, position in frames]
    [0, 2, 1, 3]
    """

    def __init__(self) -> None:
        self._anchor: int | None = None  # position of the last I or P frame
        self._open: list[Place] = []  # B frames that are to come, the next one last

    @property
    def complete(self) -> bool:
        """Whether every position up to the last anchor's has its frame."""
        return not self._open

    def place(self, kind: FrameKind, position: int | None) -> Place:
        """Where the next frame belongs.

        Args:
            kind: of the frame.
            position: the one it says, as a P frame does that skips; None where it says none.

        Raises ValueError where no such frame may come; the order is then as before.
        """
        return self._between(position) if kind == FrameKind.B else self._new_anchor(kind, position)

    def _between(self, position: int | None) -> Place:
        if not self._open:
            raise ValueError("a B frame where no position between two anchors is open")
        if position not in (None, self._open[-1].number):
            raise ValueError(f"a B frame at position {position}, expected {self._open[-1].number}")
        return self._open.pop()

    def _new_anchor(self, kind: FrameKind, position: int | None) -> Place:
        before, name = self._anchor, f"{'an' if kind == FrameKind.I else 'a'} {kind.name} frame"
        if self._open:
            raise ValueError(f"{name} before the B frame at position {self._open[-1].number}")
        if before is None and kind != FrameKind.I:
            raise ValueError("a group of pictures does not start with an I frame")
        following = 0 if before is None else before + 1
        number = following if position is None else position
        highest = following if kind == FrameKind.I else MAX_FRAMES_PER_GOP - 1
        if not following <= number <= highest:
            wanted = f"{following}" + (f" to {highest}" if highest > following else "")
            raise ValueError(f"{name} at position {number}, expected {wanted}")
        if kind == FrameKind.I or before is None:
            place = Place(number)
        else:
            place = Place(number, before)
            self._open = middle_out(before, number)[::-1]
        self._anchor = number
        return place


def display_number(gop: Gop, coded: int) -> int:
    """Number in the file, in display order, of frame ``coded`` of the group."""
    said = gop.frames[coded].display_index
    return gop.first_frame + coded if said is None else said


def places(gop: Gop) -> list[Place]:
    """Where the frames of a group belong, in coding order; ValueError where they cannot be."""
    order = CodingOrder()
    return [
        order.place(frame.kind, display_number(gop, coded) - gop.first_frame)
        for coded, frame in enumerate(gop.frames)
    ]
