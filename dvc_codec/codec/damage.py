"""What a damaged file still has, and what is shown where it has nothing."""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np

from dvc_codec.container import Gop, Header, Reader, display_number
from dvc_codec.video import Picture

# Frames that a file without an index may lack between its groups, in all: where numbers claim that
# more are lost, they are not believed, or a few bytes could ask for years of repeated pictures
_MOST_LOST = 4096


@dataclass(frozen=True)
class GopSpan:
    """Frames [start, end) of a file, in display order, and where they are.

    Args:
        start: number of the first frame.
        end: number after the last one.
        first_pts: time of the first frame.
        number: of the GOP in the reader's index; None is the cut GOP at the end, or lost.
        lost: nothing is there.
    """

    start: int
    end: int
    first_pts: int
    number: int | None
    lost: bool = False


def gops_of(reader: Reader, cut: Gop | None) -> list[GopSpan]:
    """All frames of a file in order, those that are lost between groups included.

    ``cut`` is what the reader found of a last group that is cut.
    """
    spans: list[GopSpan] = []
    header = reader.header
    budget = _MOST_LOST
    if reader.index and 0 < reader.index[0].first_frame <= budget:
        budget -= reader.index[0].first_frame
        first = reader.index[0]
        pts = first.first_pts - header.ticks(first.first_frame)
        spans.append(GopSpan(0, first.first_frame, pts, None, lost=True))
    for number, entry in enumerate(reader.index):
        following = reader.index[number + 1 : number + 2]
        end = following[0].first_frame if following else reader.frame_count
        if reader.index_rebuilt:
            own = entry.first_frame + reader.frames_in(number)
            gap = end - own
            end, budget = (end, budget - gap) if gap <= budget else (own, budget)
        spans.append(GopSpan(entry.first_frame, end, entry.first_pts, number))
    if not reader.index_rebuilt or cut is None:
        return spans
    start = spans[-1].end if spans else 0
    if start == cut.first_frame:
        highest = max(display_number(cut, coded) for coded in range(len(cut.frames)))
        end = min(highest + 1, start + len(cut.frames) + budget)
        spans.append(GopSpan(start, end, cut.frames[0].pts, None))
    return spans


class Times:
    """When the frames of a group are shown, those that are lost too.

    Args:
        header: of the file.
        span: the group.
        gop: what was read of it; None is nothing.
    """

    def __init__(self, header: Header, span: GopSpan, gop: Gop | None) -> None:
        self._header = header
        known = {span.start: span.first_pts}
        if gop is not None:
            for coded, frame in enumerate(gop.frames):
                known[display_number(gop, coded)] = frame.pts
        self._known = sorted(known.items())

    def of(self, number: int) -> int:
        """Time of frame ``number`` of the file, in display order: evenly between those that are
        known, and at the frame rate after them.
        """
        later = bisect_right(self._known, number, key=lambda known: known[0])
        (before, pts), after = self._known[later - 1], self._known[later : later + 1]
        if not after or number == before:
            return pts + self._header.ticks(number - before)
        between = after[0][0] - before
        return pts + (2 * (after[0][1] - pts) * (number - before) + between) // (2 * between)


def grey(header: Header) -> Picture:
    """What is shown before any picture has been decoded."""
    chroma = (header.height + 1) // 2, (header.width + 1) // 2
    return Picture(
        np.full((header.height, header.width), 128, np.uint8),
        np.full(chroma, 128, np.uint8),
        np.full(chroma, 128, np.uint8),
    )
