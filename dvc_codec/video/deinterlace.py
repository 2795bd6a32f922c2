"""Fields to frames: FFmpeg's bwdif, one frame out for each frame of two fields."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph

Timed = tuple[av.VideoFrame, int]  # a decoded frame and its pts
# Where the fields' order is not said, the top one is first. Frames that are progressive stay.
_BWDIF = "mode=send_frame:parity=auto:deint=interlaced"


class Deinterlacer:
    """Iterates over decoded frames; from the first interlaced one on they go through the filter.

    A frame needs the one after it, so two are in memory more. Times stay what they were.

    Args:
        frames: decoded frames with their times.
        time_base: of the times, in seconds.

    Attributes:
        used: whether there was an interlaced frame so far.
    """

    def __init__(self, frames: Iterator[Timed], time_base: Fraction) -> None:
        self.used = False
        self._frames, self._time_base = frames, time_base
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._inside: deque[tuple[int, tuple[int, int, int, int]]] = deque()

    def __iter__(self) -> Iterator[Timed]:
        for frame, pts in self._frames:
            if self._graph is None and not frame.interlaced_frame:
                yield frame, pts
                continue
            shape = frame.width, frame.height, frame.format.name
            if shape != self._shape:
                yield from self._flushed()
                self._graph, self._shape = self._started(frame), shape
            self.used = True
            colour = frame.color_range, frame.colorspace, frame.color_primaries, frame.color_trc
            self._inside.append((pts, colour))
            yield from self._through(frame)
        yield from self._flushed()

    def _started(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=self._time_base,
        )
        filter_ = graph.add("bwdif", _BWDIF)
        graph.link_nodes(source, filter_, graph.add("buffersink")).configure()
        return graph

    def _through(self, frame: av.VideoFrame | None) -> Iterator[Timed]:
        """Push a frame, None at the end, and give out what is ready."""
        assert self._graph is not None
        if frame is not None:
            # The graph was told nothing of colour; tags on the frame would not be what it expects.
            frame.colorspace, frame.color_range = 2, 0
        self._graph.vpush(frame)
        while self._inside:
            try:
                done = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            pts, colour = self._inside.popleft()
            done.color_range, done.colorspace, done.color_primaries, done.color_trc = colour
            yield done, pts

    def _flushed(self) -> Iterator[Timed]:
        if self._graph is not None:
            yield from self._through(None)
        self._graph = None
        self._inside.clear()
