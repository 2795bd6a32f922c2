"""Reading real video files, one 8-bit 4:2:0 picture at a time."""

import math
import os
import re
import select
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import av.logging
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from dvc_codec.errors import FileMissing, NotAVideo, OutOfRange, UsageError
from dvc_codec.video.conversion import PictureMaker, chroma_location_named, colour_of
from dvc_codec.video.deinterlace import Deinterlacer
from dvc_codec.video.hdr import hdr_of_frame
from dvc_codec.video.info import VideoInfo
from dvc_codec.video.picture import Frame
from dvc_codec.video.uncarried import uncarried

STDIN = "-"
# FFmpeg "decodes" text files into pictures of text; nobody means that.
_TEXT_CODECS = ("ansi", "bintext", "idf", "xbin")
# Seek this much too early: pictures that follow a key frame in the file but precede it on the
# screen cannot be decoded from there. 32 frames are more than any decoder reorders.
_SEEK_MARGIN_SECONDS = 1
_SEEK_MARGIN_FRAMES = 32
# Every decoding thread holds a picture of its own; more than these gain little.
_MOST_THREADS = 4


@dataclass(frozen=True)
class RawFormat:
    """What a raw .yuv file does not say about itself."""

    width: int
    height: int
    frame_rate: Fraction = Fraction(25)
    pix_fmt: str = "yuv420p"


def open_video(
    path: str | Path,
    *,
    start: float = 0.0,
    frames: int | None = None,
    convert: bool = True,
    raw: RawFormat | None = None,
) -> "VideoReader":
    """Open anything FFmpeg decodes; iterate over it to get its frames.

    Args:
        path: a file, or "-" for y4m on standard input (raw samples if ``raw`` is given).
        start: seconds after the file's first frame. The first frame given out is the first one
            shown at ``start`` or later, or less than half a frame before it.
        frames: how many frames to give out at most; None is all.
        convert: take pixel formats other than 8-bit 4:2:0 by converting them (what is done to
            colour: ``dvc_codec.video.conversion``), and fields by deinterlacing; else they raise
            ``UnsupportedVideo``.
        raw: size, rate and pixel format of a headerless file of samples; needed for .yuv.

    Raises:
        FileMissing: the file does not exist or cannot be read.
        NotAVideo: there is no video in it.
        UnsupportedVideo: transparency, or a pixel format that needs converting with convert=False.
        OutOfRange: ``start`` is past the end, or a number makes no sense.

    >>> with open_video("in.mp4", start=2.0, frames=10) as reader:    # doctest: +SKIP
    ...     for frame in reader:
    ...         print(frame.pts * reader.info.time_base, frame.picture.y.mean())
    """
    if not (math.isfinite(start) and start >= 0):
        raise OutOfRange(f"start: found {start}, expected 0 seconds or more")
    if frames is not None and frames < 1:
        raise OutOfRange(f"frames: found {frames}, expected 1 or more")
    if raw is not None:
        _check_raw(raw)
    elif str(path).lower().endswith(".yuv"):
        raise UsageError(f"{path}: a raw .yuv file does not say its picture size; give it")
    return VideoReader(str(path), start, frames, convert, raw)


class VideoReader:
    """An open video; made by ``open_video``. Iterate once, and close it (or use ``with``).

    A few pictures are in memory at a time, whatever the length.

    Attributes:
        info: what the file says about its pictures.
        first_pts: time of the first frame that is given out, in ticks.
        converted_from: the source's pixel format if its samples had to be converted, else None.
        damaged: how many places could not be decoded so far; their pictures are missing or
            patched up by FFmpeg's decoder. 0 for a sound file.
    """

    def __init__(
        self, path: str, start: float, frames: int | None, convert: bool, raw: RawFormat | None
    ) -> None:
        self.damaged = 0
        self._path = path
        self._name = "standard input" if path == STDIN else path
        self._raw = raw
        self._deinterlacer: Deinterlacer | None = None
        self._open()
        try:
            described = _described(self._container, self._stream)
            chroma_location = _chroma_location(described)
            self._to_picture = PictureMaker(self._name, chroma_location, convert)
            decoded = self._decoded_from(start)
            if convert:
                self._deinterlacer = Deinterlacer(decoded, self._time_base)
                decoded = iter(self._deinterlacer)
            first = next(decoded, None)
            if first is None:
                raise self._no_frames(start)
            self.info = self._info_from(first[0], chroma_location, described)
            head = Frame(self._to_picture(first[0]), first[1])
            self.first_pts = first[1]
        except BaseException:
            self.close()
            raise
        self._frames = islice(self._all_frames(head, decoded), frames)

    @property
    def converted_from(self) -> str | None:
        return self._to_picture.converted_from

    @property
    def interlaced(self) -> bool:
        """Whether any picture so far was two fields, and was deinterlaced."""
        return self._deinterlacer is not None and self._deinterlacer.used

    def __iter__(self) -> Iterator[Frame]:
        return self._frames

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Let a thread that waits for standard input, in this reader, find its end at once."""
        if isinstance(self._source, _StandardInput):
            self._source.stopped = True

    def close(self) -> None:
        """Let go of the file. Frames already given out stay valid."""
        self._container.close()

    def _open(self) -> None:
        """Open the file at its beginning: sets ``_container`` and ``_stream``."""
        self._source = _source(self._path)
        self._container = _open_container(self._source, self._path, self._name, self._raw)
        try:
            self._stream = _video_stream(self._container, self._name)
        except BaseException:
            self._container.close()
            raise
        self._stream.thread_type = "AUTO"
        self._stream.thread_count = min(_MOST_THREADS, os.cpu_count() or 1)
        self._rate = _frame_rate(self._stream)
        self._time_base = self._stream.time_base or 1 / self._rate

    def _decoded_from(self, start: float) -> Iterator[tuple[av.VideoFrame, int]]:
        """Decoded frames and their pts, from the one that ``start`` means."""
        tolerance = 1 / (2 * self._rate)
        ticks = math.ceil((Fraction(start) - tolerance) / self._time_base)
        if ticks <= 0:
            yield from self._decoded()
            return
        origin = self._stream.start_time
        margin = max(Fraction(_SEEK_MARGIN_SECONDS), _SEEK_MARGIN_FRAMES / self._rate)
        early = ticks - math.ceil(margin / self._time_base)
        if early > 0 and origin is not None and self._path != STDIN and self._seek(origin + early):
            frames = self._decoded()
            first = next(frames, None)
            if first is not None and first[1] <= origin + ticks:
                if first[1] == origin + ticks:
                    yield first
                yield from (frame for frame in frames if frame[1] >= origin + ticks)
                return
            # The index led too far, as indices do: go there the long way.
            self.close()
            self._open()
        frames = self._decoded()
        first = next(frames, None)
        if first is not None:
            yield from (frame for frame in frames if frame[1] >= first[1] + ticks)

    def _seek(self, pts: int) -> bool:
        try:
            self._container.seek(pts, stream=self._stream)
        except (av.FFmpegError, OSError):
            self.close()
            self._open()
            return False
        return True

    def _decoded(self) -> Iterator[tuple[av.VideoFrame, int]]:
        """All frames from where the container stands, with times that strictly increase."""
        step = max(1, round(1 / (self._rate * self._time_base)))
        last: int | None = None
        for frame in self._undated():
            pts = frame.pts
            if last is not None and (pts is None or pts <= last):
                pts = last + (step if pts is None else 1)
            last = pts or 0
            yield frame, last

    def _undated(self) -> Iterator[av.VideoFrame]:
        packets = self._container.demux(self._stream)
        at_the_end = False
        while not at_the_end:
            try:
                packet = next(packets, None)
            except av.FFmpegError:
                self.damaged += 1
                packet = None
            at_the_end = packet is None
            try:
                frames = self._stream.decode(packet)
            except av.EOFError:  # the demuxer's own last packet has flushed the decoder
                return
            except av.FFmpegError:
                self.damaged += 1
                continue
            for frame in frames:
                self.damaged += frame.is_corrupt
                yield frame

    def _all_frames(
        self, head: Frame, rest: Iterator[tuple[av.VideoFrame, int]]
    ) -> Iterator[Frame]:
        yield head
        del head  # or its picture would live as long as the video
        for frame, pts in rest:
            yield Frame(self._to_picture(frame), pts)

    def _info_from(
        self, frame: av.VideoFrame, chroma_location: int, described: list[str]
    ) -> VideoInfo:
        ratio = self._stream.sample_aspect_ratio
        return VideoInfo(
            width=frame.width,
            height=frame.height,
            frame_rate=self._rate,
            time_base=self._time_base,
            sample_aspect_ratio=ratio if ratio else Fraction(1),
            colour=colour_of(frame, chroma_location),
            frame_count=_frame_count(self._container, self._stream, self._rate),
            rotation=frame.rotation,
            pix_fmt=frame.format.name,
            hdr=hdr_of_frame(frame),
            uncarried=uncarried(frame, described),
        )

    def _no_frames(self, start: float) -> NotAVideo | OutOfRange:
        if start > 0:
            return OutOfRange(f"{self._name}: start at {start:g} s is past the end of the video")
        return NotAVideo(
            f"{self._name}: found a {self._stream.codec_context.name} stream without a frame that "
            "decodes, expected a video; is the file complete?"
        )


def _check_raw(raw: RawFormat) -> None:
    if raw.width < 1 or raw.height < 1 or raw.frame_rate <= 0:
        raise OutOfRange(
            f"raw video: found {raw.width}x{raw.height} at {raw.frame_rate} frames a second, "
            "expected numbers above 0"
        )
    try:
        av.VideoFormat(raw.pix_fmt)
    except ValueError as error:
        raise OutOfRange(
            f"raw video: found {raw.pix_fmt}, expected a pixel format of FFmpeg"
        ) from error


class _StandardInput:
    """Standard input whose reader can be stopped while whoever writes to it says nothing."""

    def __init__(self) -> None:
        self.stopped = False

    def read(self, size: int) -> bytes:
        number = sys.stdin.fileno()
        while not self.stopped:
            if select.select([number], [], [], 0.1)[0]:
                return os.read(number, size)
        return b""


def _source(path: str) -> Any:
    """What FFmpeg is to read."""
    if path != STDIN:
        return f"file:{path}"  # without "file:", "a:b.mp4" would name a protocol
    return sys.stdin.buffer if os.name == "nt" else _StandardInput()  # no select on pipes there


def _open_container(source: Any, path: str, name: str, raw: RawFormat | None) -> InputContainer:
    options = {"protocol_whitelist": "file"}  # a play list must not make us call the network
    container_format = None
    if raw is not None:
        container_format = "rawvideo"
        options |= {
            "video_size": f"{raw.width}x{raw.height}",
            "pixel_format": raw.pix_fmt,
            "framerate": str(raw.frame_rate),
        }
    elif path == STDIN:
        container_format = "yuv4mpegpipe"
    if path != STDIN:
        _check_readable(path)
        if raw is not None:
            _check_whole_frames(path, raw)
    try:
        container: InputContainer = av.open(source, "r", format=container_format, options=options)
        return container
    except (av.FFmpegError, OSError) as error:
        expected = "expected y4m" if path == STDIN and raw is None else "expected a video"
        reason = getattr(error, "strerror", None) or error
        raise NotAVideo(f"{name}: cannot be read as video ({reason}); {expected}") from error


def _check_readable(path: str) -> None:
    try:
        if os.path.isdir(path):
            raise FileMissing(f"{path}: found a folder, expected a video file")
        with open(path, "rb") as file:
            if os.path.isfile(path) and not file.read(1):
                raise NotAVideo(f"{path}: found an empty file, expected a video")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileMissing(f"{path}: cannot be read: {reason}") from error


def _check_whole_frames(path: str, raw: RawFormat) -> None:
    """A wrong size shows at once: what is left over is no whole frame."""
    pix_fmt = av.VideoFormat(raw.pix_fmt, raw.width, raw.height)
    if not pix_fmt.is_planar or not os.path.isfile(path):
        return
    one_frame = sum(
        component.width * component.height * (1 if component.bits <= 8 else 2)
        for component in pix_fmt.components
    )
    found = os.path.getsize(path)
    if found % one_frame:
        raise NotAVideo(
            f"{path}: found {found} bytes, expected a multiple of {one_frame} "
            f"({raw.width}x{raw.height} {raw.pix_fmt}); check the picture size"
        )


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    for stream in container.streams.video:
        cover = stream.disposition & Disposition.attached_pic
        # Without a decoder there is no codec context.
        codec = stream.codec_context.name if stream.codec_context else None
        if not cover and codec is not None and codec not in _TEXT_CODECS:
            return stream
    found = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    raise NotAVideo(
        f"{name}: found {container.format.name} without a video stream that can be decoded "
        f"(streams: {found}), expected a video"
    )


def _frame_rate(stream: VideoStream) -> Fraction:
    return stream.average_rate or stream.guessed_rate or stream.base_rate or Fraction(25)


def _frame_count(container: InputContainer, stream: VideoStream, rate: Fraction) -> int | None:
    if stream.frames:
        return stream.frames
    if stream.duration and stream.time_base:
        return round(stream.duration * stream.time_base * rate)
    if container.duration:
        return round(Fraction(container.duration, av.time_base) * rate)
    return None


def _described(container: InputContainer, stream: VideoStream) -> list[str]:
    """Lines of FFmpeg's own description of a stream, which says more of it than PyAV hands out.

    In verbose mode it names where chroma samples are: ``yuv420p(tv, bt709, progressive, left)``.
    """
    level = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE)
    av.logging.set_libav_level(av.logging.VERBOSE)
    try:
        described: str = container.dumps_format()  # type: ignore[attr-defined]  # not in the stub
    finally:
        av.logging.set_libav_level(av.logging.INFO)  # FFmpeg's default; PyAV cannot say what it was
        av.logging.set_level(level)
    lines: list[str] = []
    ours = False
    for line in described.splitlines():
        if found := re.match(r"\s*Stream #\d+:(\d+)\b", line):
            ours = int(found[1]) == stream.index
        if ours:
            lines.append(line)
    return lines


def _chroma_location(described: list[str]) -> int:
    """Where the source says its chroma samples are; 0 where it does not."""
    picture = re.search(r" Video: (.*)", described[0]) if described else None
    return chroma_location_named(re.findall(r"\w+", picture[1])) if picture else 0
