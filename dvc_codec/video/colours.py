"""Pictures for people to look at: RGB, colour wheels, heat maps, and their files."""

import base64
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from numpy.typing import NDArray

from dvc_codec.video.info import FULL_RANGE, ColourTags
from dvc_codec.video.picture import Picture

Rgb = NDArray[np.uint8]  # (H, W, 3)
Map = NDArray[np.float32]
# Luma weights of red and blue by H.273's number of the matrix; BT.709 where it says nothing
_WEIGHTS = {5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}
# Dark to light, even in brightness: black, purple, red, orange, pale yellow.
_HEAT = np.array(
    [(0, 0, 4), (66, 10, 104), (147, 38, 103), (221, 81, 58), (252, 165, 10), (252, 255, 164)],
    np.float32,
)


def to_rgb(picture: Picture, colour: ColourTags) -> Rgb:
    """A picture as a screen shows it, 8-bit; chroma is repeated, not interpolated.

    The matrix and range are those of ``colour``: BT.709 and limited where it does not say.
    """
    red, blue = _WEIGHTS.get(colour.matrix, (0.2126, 0.0722))
    height, width = picture.y.shape
    y, u, v = (plane.astype(np.float32) for plane in picture.planes)
    u, v = (np.repeat(np.repeat(c, 2, 0), 2, 1)[:height, :width] - 128 for c in (u, v))
    if colour.range != FULL_RANGE:
        y, u, v = (y - 16) * (255 / 219), u * (255 / 224), v * (255 / 224)
    r = y + 2 * (1 - red) * v
    b = y + 2 * (1 - blue) * u
    g = (y - red * r - blue * b) / (1 - red - blue)
    shown: Rgb = np.clip(np.round(np.stack([r, g, b], -1)), 0, 255).astype(np.uint8)
    return shown


def flow_wheel(flow: Map, largest: float) -> Rgb:
    """(2, h, w), x first: direction as hue (right is red), length as saturation; zero is white,
    ``largest`` and more is full.
    """
    angle = np.arctan2(-flow[1], flow[0]) / (2 * np.pi) % 1
    length = np.clip(np.hypot(flow[0], flow[1]) / max(largest, 1e-6), 0, 1)
    phase = angle[..., None] * 6 + np.array([0, 4, 2])
    hue = np.clip(np.abs(phase % 6 - 3) - 1, 0, 1)
    shown: Rgb = np.round(255 * (1 - length[..., None] * (1 - hue))).astype(np.uint8)
    return shown


def heat(plane: Map, largest: float) -> Rgb:
    """(h, w): 0 is black, ``largest`` and more is pale yellow."""
    place = np.clip(plane / max(largest, 1e-6), 0, 1) * (len(_HEAT) - 1)
    low = np.minimum(place.astype(int), len(_HEAT) - 2)
    share = (place - low)[..., None]
    shown: Rgb = np.round(_HEAT[low] * (1 - share) + _HEAT[low + 1] * share).astype(np.uint8)
    return shown


def around_grey(plane: Map, gain: float) -> Rgb:
    """(h, w), signed: 0 is grey."""
    grey = np.clip(np.round(128 + gain * plane), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


def as_data_url(picture: Rgb, *, photo: bool, most: int) -> str:
    """A picture inside a page: JPEG for photos, PNG for maps, at most ``most`` pixels wide."""
    height, width = picture.shape[:2]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), "rgb24")
    if width > most:
        height, width = max(1, round(height * most / width)), most
    codec = "mjpeg" if photo else "png"
    pix_fmt = "yuvj444p" if photo else "rgb24"
    frame = frame.reformat(width, height, pix_fmt, dst_colorspace="ITU601" if photo else None)
    context = cast(VideoCodecContext, av.CodecContext.create(codec, "w"))
    context.width, context.height, context.pix_fmt = width, height, pix_fmt
    context.time_base = Fraction(1, 25)
    if photo:
        context.options = {"q": "3", "qmin": "3", "qmax": "3"}
    data = b"".join(bytes(p) for f in (frame, None) for p in context.encode(f))
    kind = "jpeg" if photo else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
