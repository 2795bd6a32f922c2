"""Pictures into .mkv and .mp4, through an encoder of FFmpeg."""

from contextlib import suppress
from typing import cast

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream

from dvc_codec.errors import UnsupportedVideo
from dvc_codec.video.info import CHROMA_LOCATIONS, VideoInfo
from dvc_codec.video.picture import Picture, Plane

_FFV1 = {"level": "3", "coder": "1", "context": "0", "slicecrc": "1"}
_X264_LOSSLESS = {"qp": "0", "preset": "veryfast"}
_X264_VIEWING = {"crf": "16", "preset": "fast"}


class EncodingSink:
    """Encodes pictures into a file with ``info``'s rate, shape, colour tags, rotation and times.

    Matroska counts in milliseconds, so times are rounded to those in .mkv; .mp4 keeps them exactly.

    Args:
        path: where to write; nothing is read from its suffix.
        name: what to call it in messages.
        container_format: "matroska" or "mp4".
        lossless: to the bit, or x264 with crf 16. Lossless is FFV1 in matroska and x264 with qp 0
            in mp4, and in matroska where samples are not square (through PyAV, only a codec that
            says so itself can keep that there).

    x264 codes even sizes only: when lossy, an odd size is rounded up by repeating the last row or
    column; lossless, .mp4 refuses it and .mkv keeps to FFV1, losing the shape of the samples.
    """

    def __init__(
        self, path: str, name: str, info: VideoInfo, container_format: str, lossless: bool
    ) -> None:
        self._info = info
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
            options = (_X264_LOSSLESS if lossless else _X264_VIEWING) if x264 else _FFV1
            self._stream = self._add_stream("libx264" if x264 else "ffv1", options)
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

    def close(self) -> None:
        """Write what the encoder still holds, and the file's last bytes."""
        self._container.mux(self._stream.encode(None))
        self._container.close()

    def abort(self) -> None:
        """Let go of the file without caring for its content."""
        with suppress(av.FFmpegError, OSError):  # the disk may be full: nobody wants the file
            self._container.close()

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


def _fill(target: Plane, samples: Plane) -> None:
    """Copy ``samples``; what ``target`` has more of repeats their last row and column."""
    height, width = samples.shape
    target[:height, :width] = samples
    target[:height, width:] = samples[:, -1:]
    target[height:] = target[height - 1]
