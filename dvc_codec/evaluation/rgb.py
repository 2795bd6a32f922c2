"""Pictures as red, green and blue for PSNR as learned codecs report it, whatever their tags say.

Convention: BT.709; limited range (16..235) unless told otherwise; the rest is
:func:`dvc_codec.video.colours.to_rgb`'s.
"""

from dvc_codec.video import ColourTags, Picture
from dvc_codec.video.colours import Rgb, to_rgb

_BT709 = 1  # H.273's number of the matrix


def bt709_rgb(picture: Picture, colour_range: int = 0) -> Rgb:
    """(H, W, 3) uint8.

    Args:
        picture: 8-bit 4:2:0.
        colour_range: as in :class:`dvc_codec.video.ColourTags`; anything but FULL_RANGE is limited.
    """
    return to_rgb(picture, ColourTags(range=colour_range, matrix=_BT709))
