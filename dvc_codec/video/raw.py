"""Pictures as plain bytes: y4m, and raw planes without a header."""

from contextlib import suppress
from typing import BinaryIO

from dvc_codec.video.info import (
    CHROMA_CENTRE,
    CHROMA_TOP_LEFT,
    FULL_RANGE,
    LIMITED_RANGE,
    VideoInfo,
)
from dvc_codec.video.picture import Picture

_Y4M_CHROMA = {CHROMA_CENTRE: "420jpeg", CHROMA_TOP_LEFT: "420paldv"}
_Y4M_RANGE = {LIMITED_RANGE: " XCOLORRANGE=LIMITED", FULL_RANGE: " XCOLORRANGE=FULL"}


class PlanesSink:
    """Writes pictures one after the other into an open file, with y4m's headers or without.

    The file becomes the sink's: closing the sink closes it.

    Both formats have one frame rate for all: the frames' times are not kept. y4m keeps rate, sample
    aspect ratio, range and chroma location (left where the source does not say, as in H.264).
    """

    def __init__(self, file: BinaryIO, info: VideoInfo, *, y4m: bool) -> None:
        self._file = file
        self._before_each = b"FRAME\n" if y4m else b""
        if y4m:
            file.write(y4m_header(info))

    def write(self, picture: Picture, pts: int) -> None:
        self._file.write(self._before_each + picture.to_bytes())

    def close(self) -> None:
        """Write what is still buffered."""
        self._file.close()

    def abort(self) -> None:
        """Let go of the file without caring for its content."""
        with suppress(OSError):  # the disk may be full, the pipe closed: nobody wants the file
            self._file.close()


def y4m_header(info: VideoInfo) -> bytes:
    """The first line of a y4m file."""
    rate, ratio, colour = info.frame_rate, info.sample_aspect_ratio, info.colour
    return (
        f"YUV4MPEG2 W{info.width} H{info.height} F{rate.numerator}:{rate.denominator} Ip"
        f" A{ratio.numerator}:{ratio.denominator}"
        f" C{_Y4M_CHROMA.get(colour.chroma_location, '420mpeg2')}"
        f"{_Y4M_RANGE.get(colour.range, '')}\n"
    ).encode()
