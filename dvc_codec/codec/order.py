"""The order that frames are coded in: the GOP scheduler's groups, with B frames between anchors.

An anchor (an I or P frame) comes first, then the frames before it, from the middle out:

    shown    0 1 2 3 4 5 6 7 8        coded    0 8 4 2 1 3 6 5 7
             I B B B B B B B P

How many frames lie between two anchors follows what moves: where the distance makes prediction
much worse, fewer.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from dvc_codec.codec.gop import Scheduled, schedule
from dvc_codec.codec.predictability import error_of, half_size, predict
from dvc_codec.codec.temporal_filter import Neighbour
from dvc_codec.codec.turns import InTurn
from dvc_codec.container import Place, middle_out
from dvc_codec.video import Frame

MOST_BETWEEN = 3  # B frames between two anchors, unless more are asked for
LIMIT_BETWEEN = 7  # that may be asked for
FURTHER = 1.25  # times the error at half the distance, at which it is still worth it
NOISE = 0.5  # squared 8-bit levels that do not matter

T = TypeVar("T")


@dataclass(frozen=True)
class Planned:
    """A frame to be coded next, and its place in its group.

    Attributes:
        around: what is shown around it, of an anchor: its neighbours in its scene.
        group: frames that its group is to have if no scene cut ends it.
    """

    frame: Frame
    place: Place
    around: tuple[Neighbour, ...] = ()
    group: int = 32

    @property
    def starts(self) -> bool:
        """Whether it is an I frame, which starts a group."""
        return self.place.past is None


def plan(
    frames: Iterator[Frame],
    length: int,
    *,
    scene_cuts: bool = True,
    between: int = MOST_BETWEEN,
    reach: int = 0,
    total: int | None = None,
) -> Iterator[Planned]:
    """Frames in display order -> in coding order.

    Args:
        frames: all of the video.
        length: of the longest group.
        scene_cuts: whether a scene cut starts a group, too.
        between: the most B frames between two anchors; 0: none, every frame is coded at once.
        reach: how many frames to each side anchors have as neighbours; so many are waited for. None
            where no frame waits for another (``between`` is 0).
        total: how many frames there are, about, if that is known: the last group may be short.
    """
    groups = 0  # frames of groups before
    group = length  # frames that this one is to have
    anchor: _Surrounded | None = None
    at = 0  # the last anchor's position
    waiting: list[_Surrounded] = []

    def emit(all_of_it: bool) -> Iterator[Planned]:
        nonlocal anchor, at, waiting
        while waiting and (all_of_it or len(waiting) > between):
            assert anchor is not None
            distance = anchor_distance([one.frame for one in (anchor, *waiting)], between)
            anchor, those = waiting[distance - 1], waiting
            yield Planned(anchor.frame, Place(at + distance, at), anchor.around, group)
            for place in middle_out(at, at + distance):
                yield Planned(those[place.number - at - 1].frame, place, group=group)
            at, waiting = at + distance, waiting[distance:]

    scheduled = schedule(frames, length, scene_cuts=scene_cuts)
    for one in _surrounded(scheduled, reach if between else 0):
        if one.starts:
            yield from emit(True)
            groups += at + 1 if anchor else 0
            # where there are more frames after all, nothing is known of them
            left = total - groups if total is not None and total > groups else length
            anchor, at, group = one, 0, min(length, left)
            yield Planned(one.frame, Place(0), one.around, group)
        else:
            waiting.append(one)
            yield from emit(False)
    yield from emit(True)


@dataclass(frozen=True)
class _Surrounded:
    frame: Frame
    starts: bool
    around: tuple[Neighbour, ...]


def _surrounded(scheduled: Iterator[Scheduled], reach: int) -> Iterator[_Surrounded]:
    """Frames with their neighbours up to ``reach`` away, each as soon as these are there."""
    seen: list[Scheduled] = []
    at = 0  # among those seen, of the next to give

    def next_one() -> _Surrounded:
        one = seen[at]
        around = (
            Neighbour(other.frame.picture, n - at)
            for n, other in enumerate(seen)
            if 0 < abs(n - at) <= reach and other.scene == one.scene
        )
        return _Surrounded(one.frame, one.starts, tuple(around))

    for one in scheduled:
        seen.append(one)
        if len(seen) > at + reach:
            yield next_one()
            at += 1
            if at > reach:
                seen, at = seen[1:], at - 1
    while at < len(seen):
        yield next_one()
        at += 1


class DisplayOrder(Generic[T]):
    """Gives what comes in coding order back in display order."""

    def __init__(self) -> None:
        self._turns = InTurn[T]()

    def add(self, place: Place, item: T) -> list[T]:
        """What can be shown now; ``item`` is of the frame at ``place``."""
        if place.past is None:
            self._turns.begin(0)
        return [shown for _, shown in self._turns.add(place.number, item)]


def anchor_distance(frames: Sequence[Frame], between: int) -> int:
    """How far the next anchor is: frames[0] is the last one, and the others are all there are.

    Twice as far as long as the last anchor predicts a picture there not much worse than one half as
    far away.
    """
    most = min(between + 1, len(frames) - 1)
    if most < 4:
        return min(2, most)
    last, distance = half_size(frames[0].picture), 2

    def error(away: int) -> float:
        picture = half_size(frames[away].picture)
        return error_of(predict(last, picture), picture)

    near = error(distance)
    while 2 * distance <= most:
        far = error(2 * distance)
        if far > FURTHER * (near + NOISE):
            break
        distance, near = 2 * distance, far
    return distance
