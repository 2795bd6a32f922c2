"""Pictures as red, green and blue: for looking at, and for PSNR as learned codecs report it.

Convention: BT.709; every chroma sample stands for the (up to) four luma samples it covers; rounded
to 8 bits. Limited range (16..235) unless told otherwise.
"""

import numpy as np
import numpy.typing as npt

from dvc_codec.video import Picture
from dvc_codec.video.info import FULL_RANGE

RGB = npt.NDArray[np.uint8]

_RED, _BLUE = 0.2126, 0.0722
_GREEN = 1 - _RED - _BLUE


def to_rgb(picture: Picture, colour_range: int = 0) -> RGB:
    """(H, W, 3) uint8.

    Args:
        picture: 8-bit 4:2:0.
        colour_range: as in :class:`dvc_codec.video.ColourTags`; anything but FULL_RANGE is limited.
    """
    full = colour_range == FULL_RANGE
    y = picture.y.astype(np.float32) if full else (picture.y.astype(np.float32) - 16) * (255 / 219)
    span = 255 if full else 224
    blue, red = (_enlarged(plane, y.shape) * (255 / span) for plane in (picture.u, picture.v))
    r = y + 2 * (1 - _RED) * red
    b = y + 2 * (1 - _BLUE) * blue
    g = (y - _RED * r - _BLUE * b) / _GREEN
    colours: RGB = np.clip(np.rint(np.stack((r, g, b), -1)), 0, 255).astype(np.uint8)
    return colours


def _enlarged(plane: npt.NDArray[np.uint8], shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Chroma around zero, every sample twice in each direction, cut to ``shape``."""
    around = plane.astype(np.float32) - 128
    return around.repeat(2, 0).repeat(2, 1)[: shape[0], : shape[1]]
