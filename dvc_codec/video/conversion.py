"""From a frame as FFmpeg decoded it to a picture of 8-bit 4:2:0 samples.

8-bit 4:2:0 is copied as it is. Anything else is resampled once, by libswscale, and nothing more is
done to it than that takes:

- YUV keeps its matrix and its range; 10 bits and more are rounded to 8.
- RGB becomes BT.709, limited range.
- Grey keeps its samples and gets chroma 128.
- Chroma stays where it was where 4:2:0 was kept, and else sits left, as H.264 has it by default.
- An alpha channel is dropped where it is opaque everywhere. Transparency is refused.
"""

from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
from av.filter import Graph

from dvc_codec.errors import UnsupportedVideo
from dvc_codec.video.info import (
    CHROMA_CENTRE,
    CHROMA_LEFT,
    CHROMA_LOCATIONS,
    FULL_RANGE,
    LIMITED_RANGE,
    ColourTags,
)
from dvc_codec.video.picture import Picture, Plane

AS_IT_IS = ("yuv420p", "yuvj420p")
SAME_SAMPLES = (*AS_IT_IS, "nv12", "nv21")
_RGB_MATRIX = 1  # BT.709


def colour_of(frame: av.VideoFrame, chroma_location: int) -> ColourTags:
    """The tags that ``to_picture``'s result has, given where the source says its chroma is."""
    format_ = frame.format
    tags = ColourTags(
        range=frame.color_range,
        primaries=frame.color_primaries,
        transfer=frame.color_trc,
        matrix=frame.colorspace,
        chroma_location=chroma_location,
    )
    if format_.name.startswith("yuvj"):
        tags = replace(
            tags, range=FULL_RANGE, chroma_location=tags.chroma_location or CHROMA_CENTRE
        )
    if _is_rgb(format_):
        tags = replace(tags, range=LIMITED_RANGE, matrix=_RGB_MATRIX)
    elif _is_grey(format_):
        tags = replace(tags, range=tags.range or FULL_RANGE)
    if not _is_420(format_):
        tags = replace(tags, chroma_location=CHROMA_LEFT)
    return tags


def chroma_location_named(words: list[str]) -> int:
    """The chroma location (as in ``ColourTags``) that one of FFmpeg's ``words`` names, else 0."""
    for word in words:
        if word in CHROMA_LOCATIONS:
            return CHROMA_LOCATIONS.index(word)
    return 0


class PictureMaker:
    """Turns decoded frames of one video into pictures.

    Args:
        name: what to call the video in messages.
        chroma_location: of the source, as in ``ColourTags``.
        convert: whether other pixel formats are converted; else they raise ``UnsupportedVideo``.
    """

    def __init__(self, name: str, chroma_location: int, convert: bool) -> None:
        self.converted_from: str | None = None
        self._name = name
        self._chroma_location = chroma_location
        self._convert = convert
        self._size: tuple[int, int] | None = None
        self._resampler: tuple[str, Graph] | None = None

    def __call__(self, frame: av.VideoFrame) -> Picture:
        size = (frame.width, frame.height)
        if self._size not in (None, size):
            raise UnsupportedVideo(
                f"{self._name}: the picture size changes from {self._size} to {size} on the way; "
                "cut the video there and code the parts"
            )
        self._size = size
        if frame.interlaced_frame and not self._convert:
            raise UnsupportedVideo(
                f"{self._name}: found interlaced pictures, expected progressive ones; "
                "give --convert to have them deinterlaced"
            )
        if frame.format.name not in AS_IT_IS:
            frame = self._resampled(frame)
        width, height = frame.width, frame.height
        chroma = (width + 1) // 2, (height + 1) // 2
        return Picture(
            _plane(frame, 0, width, height), _plane(frame, 1, *chroma), _plane(frame, 2, *chroma)
        )

    def _resampled(self, frame: av.VideoFrame) -> av.VideoFrame:
        format_ = frame.format
        if format_.name not in SAME_SAMPLES:
            if not self._convert:
                raise UnsupportedVideo(
                    f"{self._name}: found {format_.name}, expected 8-bit 4:2:0 (yuv420p); "
                    "give --convert to have it converted"
                )
            self.converted_from = format_.name
        if _has_alpha(format_) and not _is_opaque(frame):
            raise UnsupportedVideo(
                f"{self._name}: found transparent pixels ({format_.name}), which have no place in "
                "a .dvc file; put the video on a background first"
            )
        if self._resampler is None or self._resampler[0] != format_.name:
            self._resampler = format_.name, _resampler(frame, self._chroma_location)
        graph = self._resampler[1]
        # The graph was told what to do with colour; tags on the frame would be a second opinion.
        frame.colorspace, frame.color_range = 2, 0
        graph.vpush(frame)
        return graph.vpull()


def _resampler(frame: av.VideoFrame, chroma_location: int) -> Graph:
    colour = colour_of(frame, chroma_location)
    full_in = _is_rgb(frame.format) or colour.range == FULL_RANGE or _is_grey(frame.format)
    full_out = full_in and not _is_rgb(frame.format)
    location = CHROMA_LOCATIONS[colour.chroma_location or CHROMA_LEFT]
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width,
        height=frame.height,
        format=frame.format,
        time_base=frame.time_base or Fraction(1, 1000),
    )
    scale = graph.add(
        "scale",
        ":".join(
            (
                "flags=bicubic+accurate_rnd+full_chroma_int+full_chroma_inp+bitexact",
                # From YUV to YUV both matrices are the same, so which one does not matter.
                "in_color_matrix=bt709:out_color_matrix=bt709",
                f"in_range={'full' if full_in else 'limited'}",
                f"out_range={'full' if full_out else 'limited'}",
                f"in_chroma_loc={location}:out_chroma_loc={location}",
            )
        ),
    )
    to_420 = graph.add("format", "yuv420p")
    sink = graph.add("buffersink")
    graph.link_nodes(source, scale, to_420, sink).configure()
    return graph


def _plane(frame: av.VideoFrame, index: int, width: int, height: int) -> Plane:
    plane = frame.planes[index]
    stride = plane.line_size
    samples: Plane = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, abs(stride))
    if stride < 0:  # stored bottom up
        samples = samples[::-1]
    return np.array(samples[:height, :width], order="C")


def _is_rgb(format_: av.VideoFormat) -> bool:
    return format_.is_rgb or format_.has_palette or format_.is_bayer


def _is_grey(format_: av.VideoFormat) -> bool:
    colours = [component for component in format_.components if not component.is_alpha]
    return len(colours) == 1 and not _is_rgb(format_)


def _is_420(format_: av.VideoFormat) -> bool:
    colours = [component for component in format_.components if not component.is_alpha]
    halves = (format_.chroma_width(64), format_.chroma_height(64)) == (32, 32)
    return len(colours) == 3 and halves and not _is_rgb(format_)


def _has_alpha(format_: av.VideoFormat) -> bool:
    return format_.has_palette or any(component.is_alpha for component in format_.components)


def _is_opaque(frame: av.VideoFrame) -> bool:
    alpha = frame.to_ndarray(format="rgba")[..., 3]
    return bool(alpha.min() == 255)
