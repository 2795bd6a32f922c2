"""Pictures into .mkv and .mp4, through an encoder of FFmpeg."""

from contextlib import ExitStack, suppress
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from dvc_codec.container import Packet, StreamEntry, StreamKind
from dvc_codec.errors import UnsupportedVideo
from dvc_codec.video.extras import NO_EXTRAS, Extras
from dvc_codec.video.hdr import HDR_TEXT, x264_parameters
from dvc_codec.video.info import CHROMA_LOCATIONS, VideoInfo
from dvc_codec.video.picture import Picture, Plane
from dvc_codec.video.template import PADDING, example_of
from dvc_codec.video.text import NotText, as_plain, is_timed_text

_FFV1 = {"level": "3", "coder": "1", "context": "0", "slicecrc": "1"}
_X264_LOSSLESS = {"qp": "0", "preset": "veryfast"}
_X264_VIEWING = {"preset": "fast"}
DEFAULT_CRF = 16
# Of a companion's tags: what its description says already
_ABOUT_THE_STREAM = ("sample_rate", "channels", "channel_layout", "disposition", PADDING)


class EncodingSink:
    """Encodes pictures into a file with ``info``'s rate, shape, colour tags, rotation and times.

    Matroska counts in milliseconds, so times are rounded to those in .mkv; .mp4 keeps them exactly.

    Args:
        path: where to write; nothing is read from its suffix.
        name: what to call it in messages.
        container_format: "matroska" or "mp4".
        extras: sound, subtitles, tags and chapters that belong to it. What the container cannot
            hold is named in ``left_out``.
        crf: of x264 where it is not lossless.
        lossless: to the bit, or x264. Lossless is FFV1 in matroska and x264 with qp 0
            in mp4, and in matroska where samples are not square (through PyAV, only a codec that
            says so itself can keep that there).

    x264 codes even sizes only: when lossy, an odd size is rounded up by repeating the last row or
    column; lossless, .mp4 refuses it and .mkv keeps to FFV1, losing the shape of the samples.
    """

    def __init__(
        self,
        path: str,
        name: str,
        info: VideoInfo,
        container_format: str,
        lossless: bool,
        crf: int = DEFAULT_CRF,
        extras: Extras = NO_EXTRAS,
    ) -> None:
        self._info = info
        self.left_out: list[str] = []
        self._open_examples = ExitStack()
        self._companions: dict[int, tuple[Stream, StreamEntry]] = {}
        odd = info.width % 2 or info.height % 2
        if lossless and odd and container_format == "mp4":
            raise UnsupportedVideo(
                f"{name}: found a size of {info.width}x{info.height}, expected even numbers for a "
                "lossless .mp4; write .mkv or .y4m"
            )
        square = info.sample_aspect_ratio == 1
        x264 = not (lossless and container_format == "matroska" and (square or odd))
        self._width = info.width + info.width % 2 * x264
        self._height = info.height + info.height % 2 * x264
        flags = {"movflags": "+faststart"} if container_format == "mp4" else {}
        self._container: OutputContainer = av.open(
            f"file:{path}", "w", format=container_format, options=flags
        )
        try:
            options = _options(x264, lossless, crf)
            if x264:
                options = options | x264_parameters(info.hdr)
            elif info.hdr:
                self.left_out.append(HDR_TEXT)
            self._stream = self._add_stream("libx264" if x264 else "ffv1", options)
            self._add_extras(extras, container_format)
            self._container.start_encoding()
        except BaseException:
            self.abort()
            raise

    def write(self, picture: Picture, pts: int) -> None:
        frame = av.VideoFrame(self._width, self._height, "yuv420p")
        for plane, samples in zip(frame.planes, picture.planes, strict=True):
            target = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
            _fill(target[:, : plane.width], samples)
        frame.pts, frame.time_base = pts, self._info.time_base
        colour = self._info.colour
        frame.color_range, frame.colorspace = colour.range, colour.matrix
        frame.color_primaries, frame.color_trc = colour.primaries, colour.transfer
        self._container.mux(self._stream.encode(frame))

    def write_packet(self, packet: Packet) -> None:
        """Add a packet of a companion stream; of one that was left out, nothing happens."""
        if packet.stream not in self._companions:
            return
        stream, entry = self._companions[packet.stream]
        data = packet.data
        if is_timed_text(entry.codec):
            try:
                data = as_plain(data)
            except NotText:
                return
            if not data:
                return  # "nothing is shown now": Matroska says that by durations
        made = av.Packet(data)
        made.stream = stream
        made.time_base = entry.time_base
        made.pts = made.dts = packet.pts
        made.duration = packet.duration
        made.is_keyframe = bool(packet.flags & 1)
        self._container.mux_one(made)

    def close(self) -> None:
        """Write what the encoder still holds, and the file's last bytes."""
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._open_examples.close()

    def abort(self) -> None:
        """Let go of the file without caring for its content."""
        with suppress(av.FFmpegError, OSError):  # the disk may be full: nobody wants the file
            self._container.close()
        self._open_examples.close()

    def _add_extras(self, extras: Extras, container_format: str) -> None:
        self._container.metadata.update(extras.tags)
        if extras.chapters:
            self._container.set_chapters(
                [
                    {
                        "id": number,
                        "start": chapter.start,
                        "end": chapter.end,
                        "time_base": Fraction(1, 10**9),
                        "metadata": {"title": chapter.title},
                    }
                    for number, chapter in enumerate(extras.chapters)
                ]
            )
        for number, entry in enumerate(extras.streams, 1):
            if entry.kind == StreamKind.ATTACHMENT and container_format == "matroska":
                tags = dict(entry.tags)
                name = tags.get("filename", f"attachment-{number}")
                mimetype = tags.get("mimetype", "application/octet-stream")
                self._container.add_attachment(name, mimetype, entry.extradata)
            elif (stream := self._companion(entry, container_format)) is not None:
                self._companions[number] = stream, entry
            else:
                self.left_out.append(f"stream {number} ({entry.codec})")

    def _companion(self, entry: StreamEntry, container_format: str) -> Stream | None:
        """A stream that takes the packets of ``entry``, None where the container has no place."""
        wanted = entry
        if is_timed_text(entry.codec) and container_format == "matroska":
            wanted = StreamEntry(entry.kind, "subrip", entry.time_base, b"", entry.tags)
        found = example_of(wanted)
        if found is None:
            return None
        self._open_examples.callback(found[0].close)
        try:
            stream = self._container.add_stream_from_template(found[1])
        except ValueError:
            return None
        stream.time_base = entry.time_base
        tags = dict(entry.tags)
        for key in _ABOUT_THE_STREAM:
            tags.pop(key, None)
        disposition = dict(entry.tags).get("disposition", "")
        if disposition.isascii() and disposition.isdigit() and int(disposition) < 1 << 20:
            stream.disposition = Disposition(int(disposition))
        stream.metadata.update(tags)
        return stream

    def _add_stream(self, encoder: str, options: dict[str, str]) -> VideoStream:
        info = self._info
        location = CHROMA_LOCATIONS[info.colour.chroma_location]
        stream = cast(
            VideoStream,
            self._container.add_stream(
                encoder,
                rate=info.frame_rate,
                options={**options, "chroma_sample_location": location},
            ),
        )
        stream.width, stream.height, stream.pix_fmt = self._width, self._height, "yuv420p"
        stream.time_base = info.time_base
        context = stream.codec_context
        context.time_base = info.time_base
        context.sample_aspect_ratio = info.sample_aspect_ratio
        context.color_range, context.colorspace = info.colour.range, info.colour.matrix
        context.color_primaries, context.color_trc = info.colour.primaries, info.colour.transfer
        if info.rotation:
            stream.set_display_rotation(info.rotation)
        return stream


def _options(x264: bool, lossless: bool, crf: int) -> dict[str, str]:
    if not x264:
        return _FFV1
    return _X264_LOSSLESS if lossless else {"crf": str(crf), **_X264_VIEWING}


def _fill(target: Plane, samples: Plane) -> None:
    """Copy ``samples``; what ``target`` has more of repeats their last row and column."""
    height, width = samples.shape
    target[:height, :width] = samples
    target[:height, width:] = samples[:, -1:]
    target[height:] = target[height - 1]
