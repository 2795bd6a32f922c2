"""Writing video files: whole under their final name, or not there at all."""

import os
import stat
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Protocol, Self

import av

from dvc_codec.container import Packet
from dvc_codec.errors import CannotWrite, UsageError
from dvc_codec.video.extras import NO_EXTRAS, Extras
from dvc_codec.video.hdr import HDR_TEXT
from dvc_codec.video.info import VideoInfo
from dvc_codec.video.muxer import DEFAULT_CRF, EncodingSink
from dvc_codec.video.picture import Picture
from dvc_codec.video.raw import PlanesSink

STDOUT = "-"
SUFFIXES = (".y4m", ".mkv", ".mp4", ".yuv")


def open_writer(
    path: str | Path,
    info: VideoInfo,
    *,
    lossless: bool | None = None,
    crf: int = DEFAULT_CRF,
    extras: Extras = NO_EXTRAS,
) -> "VideoWriter":
    """Start a video file; the suffix of ``path`` says which kind.

    ============  ==============================  ==============================
    suffix        lossless=True                   lossless=False
    ============  ==============================  ==============================
    .y4m or "-"   plain samples with a header     the same
    .yuv          plain samples, no header        the same
    .mkv          FFV1 (x264, qp 0: see below)    x264, crf
    .mp4          x264, qp 0 (few players)        x264, crf (plays anywhere)
    ============  ==============================  ==============================

    ``lossless=None`` takes what people want of the suffix: x264 for .mp4, lossless otherwise.
    ``crf`` is x264's where it is not lossless, 0 to 51; lower is better.
    Range, rate, sample aspect ratio and chroma location survive in all but .yuv; all colour tags,
    rotation and times in .mkv (times rounded to milliseconds) and .mp4. Two exceptions: .mp4 says
    limited range by saying nothing if no other tag is known; odd sizes with x264 and samples that
    are not square are handled as ``muxer.EncodingSink`` says. "-" is standard output.

    ``extras`` are sound, subtitles, tags and chapters that go with it: .mkv and .mp4 hold them, and
    ``VideoWriter.left_out`` names what they cannot; the others hold pictures alone.

    Everything goes to ``NAME.part`` in the same folder, which is renamed when whole. What is not
    a regular file (a pipe, a device) is written directly.

    Raises:
        UsageError: a suffix we do not know.
        CannotWrite: no right to write there, no such folder, or (later) the disk is full.
        UnsupportedVideo: an odd size in a lossless .mp4.

    >>> with open_writer("out.mkv", reader.info) as writer:    # doctest: +SKIP
    ...     writer.write(picture, pts=0)
    """
    return VideoWriter(str(path), info, lossless, crf, extras)


class _Sink(Protocol):
    def write(self, picture: Picture, pts: int) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...


class VideoWriter:
    """A video file being written; made by ``open_writer``.

    Leaving its ``with`` block makes the file whole; leaving it by an exception, or ``abort()``,
    leaves nothing behind.

    Attributes:
        left_out: what of the extras has no place in this kind of file, as texts.
    """

    def __init__(
        self,
        path: str,
        info: VideoInfo,
        lossless: bool | None,
        crf: int = DEFAULT_CRF,
        extras: Extras = NO_EXTRAS,
    ) -> None:
        self.left_out: list[str] = []
        self._to_stdout = path == STDOUT
        self._name = "standard output" if self._to_stdout else path
        self._info = info
        self._sink: _Sink | None = None
        suffix = ".y4m" if self._to_stdout else Path(path).suffix.lower()
        if suffix not in SUFFIXES:
            raise UsageError(
                f"{path}: found the suffix '{suffix}', expected one of {', '.join(SUFFIXES)}"
            )
        # A link keeps pointing where it did; the file it points to is what is replaced.
        self._target = os.path.realpath(path)
        self._direct = self._to_stdout or _is_special(self._target)
        self._part = self._target if self._direct else f"{self._target}.part"
        if lossless is None:
            lossless = suffix != ".mp4"
        try:
            file = self._open_file()
            if suffix in (".mkv", ".mp4"):
                file.close()  # FFmpeg opens it by name
                kind = "matroska" if suffix == ".mkv" else "mp4"
                sink = EncodingSink(self._part, self._name, info, kind, lossless, crf, extras)
                self.left_out, self._sink = sink.left_out, sink
            else:
                self.left_out = _names(extras) + [HDR_TEXT] * bool(info.hdr)
                self._sink = PlanesSink(file, info, y4m=suffix == ".y4m")
        except (av.FFmpegError, OSError) as error:
            self._remove_part()
            raise self._cannot_write(error) from error
        except BaseException:
            self._remove_part()
            raise

    def write(self, picture: Picture, pts: int) -> None:
        """Add a picture, shown at ``pts`` ticks of ``info.time_base``; times must increase."""
        if (picture.width, picture.height) != (self._info.width, self._info.height):
            raise ValueError(
                f"a {picture.width}x{picture.height} picture in a "
                f"{self._info.width}x{self._info.height} video"
            )
        if self._sink is None:
            raise ValueError("the writer is closed")
        try:
            self._sink.write(picture, pts)
        except (av.FFmpegError, OSError) as error:
            raise self._cannot_write(error) from error

    def write_packet(self, packet: Packet) -> None:
        """Add a packet of a companion stream, in the order of time and near its pictures."""
        if not isinstance(self._sink, EncodingSink):
            return
        try:
            self._sink.write_packet(packet)
        except (av.FFmpegError, OSError) as error:
            raise self._cannot_write(error) from error

    def close(self) -> None:
        """Make the file whole and give it its name."""
        if self._sink is None:
            return
        try:
            self._sink.close()
            if not self._direct:
                os.replace(self._part, self._target)
        except (av.FFmpegError, OSError) as error:
            self.abort()
            raise self._cannot_write(error) from error
        except BaseException:
            self.abort()
            raise
        self._sink = None

    def abort(self) -> None:
        """Throw away what has been written."""
        if self._sink is not None:
            self._sink.abort()
            self._sink = None
            self._remove_part()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _open_file(self) -> BinaryIO:
        if self._to_stdout:
            sys.stdout.flush()
            return open(sys.stdout.fileno(), "wb", closefd=False)
        if os.path.isdir(self._target):
            raise CannotWrite(f"{self._name}: found a folder, expected a file to write")
        if os.path.exists(self._target) and not os.access(self._target, os.W_OK):
            raise CannotWrite(f"{self._name}: is write-protected; choose another name")
        return open(self._part, "wb")

    def _remove_part(self) -> None:
        if not self._direct:
            with suppress(OSError):
                os.unlink(self._part)

    def _cannot_write(self, error: Exception) -> CannotWrite:
        reason = getattr(error, "strerror", None) or error
        return CannotWrite(f"{self._name}: cannot be written: {reason}")


def _names(extras: Extras) -> list[str]:
    streams = [f"stream {number} ({s.codec})" for number, s in enumerate(extras.streams, 1)]
    return streams + ["tags"] * bool(extras.tags) + ["chapters"] * bool(extras.chapters)


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
