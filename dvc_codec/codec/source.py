"""What is to be coded, wherever it is: a video file, a pipe, or a .dvc file, decoded on the way."""

import sys
from collections.abc import Generator, Iterator
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from dvc_codec.codec.decoder import Decoder, Shown
from dvc_codec.codec.model import Model
from dvc_codec.container import Packet, Reader, chapters_of, is_dvc
from dvc_codec.errors import DamagedFile, OutOfRange
from dvc_codec.video import Companions, Frame, RawFormat, VideoInfo, open_video


class Source(Protocol):
    """An open video, as :class:`dvc_codec.video.VideoReader` has it. Iterate once."""

    info: VideoInfo
    first_pts: int
    damaged: int

    @property
    def converted_from(self) -> str | None: ...

    @property
    def interlaced(self) -> bool: ...

    def stop(self) -> None: ...

    def __iter__(self) -> Iterator[Frame]: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def open_source(
    path: str | Path,
    *,
    start: float = 0.0,
    frames: int | None = None,
    convert: bool = True,
    raw: RawFormat | None = None,
    model: Model | None = None,
) -> Source:
    """As :func:`dvc_codec.video.open_video`; .dvc files too, which ``model`` or shipped weights
    decode.
    """
    if raw is None and is_dvc(path):
        return DvcSource(Path(path), start, frames, model)
    return open_video(path, start=start, frames=frames, convert=convert, raw=raw)


def open_companions(path: str | Path) -> Companions:
    """Sound, subtitles, tags and chapters of a file that :func:`open_source` reads."""
    return DvcCompanions(Path(path)) if is_dvc(path) else Companions(path)


class DvcSource:
    """A .dvc file's decoded pictures. What is lost in a damaged one is counted in ``damaged``."""

    converted_from = None
    interlaced = False

    def __init__(
        self, path: Path, start: float, frames: int | None, model: Model | None = None
    ) -> None:
        if frames is not None and frames < 1:
            raise OutOfRange(f"frames: found {frames}, expected 1 or more")
        self.damaged = 0
        if model is not None and not _is_of(path, model):
            model = None
        self._decoder = Decoder(path, model)
        try:
            self.info = self._decoder.info
            first = self._decoder.frame_at(start) if start else 0
            self._shown: Generator[Shown] = self._decoder.shown(first, frames)
            self._head = next(self._shown)
            self.first_pts = self._head.frame.pts
        except BaseException:
            self._decoder.close()
            raise

    def stop(self) -> None:
        """Nothing here waits for anybody."""

    def close(self) -> None:
        """Let go of the file."""
        self._shown.close()
        self._decoder.close()

    def __iter__(self) -> Iterator[Frame]:
        shown: Shown | None = self._head
        while shown is not None:
            self.damaged += shown.lost
            yield shown.frame
            shown = next(self._shown, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _is_of(path: Path, model: Model) -> bool:
    with Reader(path) as reader:
        return reader.header.model_hash == model.sha256


class DvcCompanions(Companions):
    """What a .dvc file has beside its pictures."""

    def __init__(self, path: Path) -> None:
        super().__init__("-")
        self._reader = Reader(path)
        header = self._reader.header
        self.streams, self.tags = header.streams, header.tags
        with suppress(DamagedFile):
            self.chapters = chapters_of(header, self._reader.name)
        self._packets = self._stored(Fraction(-sys.maxsize))

    def start_at(self, seconds: Fraction) -> None:
        """Leave out what is over before this time."""
        self._packets = self._stored(seconds)

    def close(self) -> None:
        """Let go of the file."""
        self._reader.close()
        super().close()

    def _stored(self, over_after: Fraction) -> Iterator[tuple[Fraction, int, Packet]]:
        """(start in seconds, order, packet), in the order of the file."""
        order = 0
        for number in range(len(self._reader.index) + 1):
            for packet in self._reader.packets_before(number):
                if packet.stream > len(self.streams):
                    continue
                base = self.streams[packet.stream - 1].time_base
                if (packet.pts + packet.duration) * base > over_after:
                    yield packet.pts * base, order, packet
                order += 1
