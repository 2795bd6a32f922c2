"""Groups of pictures coded side by side: no frame of one refers to another."""

from collections import deque
from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue

from dvc_codec.codec.crew import Crew, that_fit
from dvc_codec.codec.frame_encoder import EncodedFrame, FrameEncoder
from dvc_codec.codec.order import Planned

PICTURE = 1.5  # bytes a pixel of those that wait to be coded

Coded = tuple[Planned, EncodedFrame]


def groups_at_a_time(pixels: int, gop: int, frames: int | None) -> int:
    """How many groups of ``gop`` pictures may be under way; ``frames``: of the video, if known.

    >>> groups_at_a_time(832 * 480, 32, None), groups_at_a_time(1920 * 1080, 32, None)
    (6, 1)
    >>> groups_at_a_time(832 * 480, 32, 33), groups_at_a_time(832 * 480, 32, 20)
    (2, 1)
    """
    fit = that_fit(pixels, gop * PICTURE)
    return fit if frames is None else max(1, min(fit, -(-frames // gop)))


class Groups:
    """Codes frames, each group by an encoder of its own; several groups at a time where there are
    threads for it. What comes out is the same, in the same order.

    Args:
        new_encoder: makes one.
        most: groups at a time.
    """

    def __init__(self, new_encoder: Callable[[], FrameEncoder], most: int) -> None:
        self._new_encoder = new_encoder
        self._crew = Crew(most=most)
        self._under_way: deque[_Group] = deque()

    def add(self, planned: Planned, index: int) -> Iterator[Coded]:
        """Take the next frame in coding order, with its group's rate index; give those that are
        done.
        """
        if planned.starts:
            self._end_last()
            while len(self._under_way) >= self._crew.size:
                yield from self._rest_of_first()
            self._under_way.append(_Group(self._new_encoder()))
            if self._crew.size > 1:
                self._crew.add(self._under_way[-1].work)
        self._under_way[-1].waiting.put((planned, index))
        if self._crew.size == 1:
            self._under_way[-1].work_once()
        while self._under_way and (yield from self._under_way[0].done()):
            self._under_way.popleft()

    def end(self) -> Iterator[Coded]:
        """The others."""
        self._end_last()
        while self._under_way:
            yield from self._rest_of_first()

    def _rest_of_first(self) -> Iterator[Coded]:
        yield from self._under_way[0].rest()
        self._under_way.popleft()  # only now: whoever stops meanwhile stops it, too

    def _end_last(self) -> None:
        if self._under_way:
            self._under_way[-1].waiting.put(None)
            if self._crew.size == 1:
                self._under_way[-1].work_once()

    def __enter__(self) -> "Groups":
        return self

    def __exit__(self, *_: object) -> None:
        for group in self._under_way:
            group.given_up = True
            group.waiting.put(None)
        self._crew.close()


class _Group:
    """A group, its encoder, frames that wait for it and frames that are coded."""

    def __init__(self, encoder: FrameEncoder) -> None:
        self._encoder = encoder
        self.waiting: SimpleQueue[tuple[Planned, int] | None] = SimpleQueue()
        self._coded: SimpleQueue[Coded | BaseException | None] = SimpleQueue()
        self.given_up = False

    def work(self) -> None:
        """Code all frames, in a thread of its own."""
        while self.work_once():
            pass

    def work_once(self) -> bool:
        """Code a frame; whether there may be more."""
        item = self.waiting.get()
        if item is None or self.given_up:
            self._coded.put(None)
            return False
        planned, index = item
        try:
            coded = self._encoder.encode(
                planned.frame, planned.place, index, planned.around, planned.group
            )
            self._coded.put((planned, coded))
        except BaseException as error:
            self._coded.put(error)
            return False
        return True

    def done(self) -> Generator[Coded, None, bool]:
        """Frames that are coded by now; returns whether these were the last."""
        while True:
            try:
                item = self._coded.get_nowait()
            except Empty:
                return False
            if item is None:
                return True
            if isinstance(item, BaseException):
                raise item
            yield item

    def rest(self) -> Iterator[Coded]:
        """All others."""
        while (item := self._coded.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
