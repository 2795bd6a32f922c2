"""Arrays as pictures in a page: WebP data URIs, and numbers as colours."""

import base64
import io
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from dvc_codec.evaluation.rgb import RGB
from dvc_codec.video.colours import flow_wheel

QUALITY = 90  # of WebP, 0 to 100; 832x464 takes about 80 KB

Values = npt.NDArray[np.float32]

# Dark to light, even in brightness: black, purple, red, orange, pale yellow.
_HEAT = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)],
    np.float32,
)


def as_uri(picture: RGB, quality: int = QUALITY) -> str:
    """A data URI of (H, W, 3) uint8."""
    file = io.BytesIO()
    height, width = picture.shape[:2]
    with av.open(file, "w", format="webp") as container:
        stream = container.add_stream("libwebp", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "bgra"
        stream.options = {"quality": str(quality), "compression_level": "4"}
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
        container.mux(stream.encode(frame.reformat(format="bgra")))
        container.mux(stream.encode(None))
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def flow_colours(flow: Values, longest: float) -> RGB:
    """(2, H, W) in pixels, x first -> direction as hue, length as saturation; zero is white."""
    return flow_wheel(flow * np.array([[[1]], [[-1]]], np.float32), longest)


def heat(values: Values, highest: float) -> RGB:
    """(H, W) from 0 to ``highest`` -> dark to light."""
    places = np.clip(values / max(highest, 1e-9), 0, 1) * (len(_HEAT) - 1)
    channels = [np.interp(places, np.arange(len(_HEAT)), _HEAT[:, c]) for c in range(3)]
    colours: RGB = np.rint(np.stack(channels, -1)).astype(np.uint8)
    return colours
