"""What the display was like on which a video was made, and how bright it gets: a header extension.

The numbers are those of the two SEI messages of H.264 and H.265, and of HDR10.
"""

import struct
from dataclasses import dataclass

from dvc_codec.container.fields import Cursor, check
from dvc_codec.container.records import Header

HDR = 6  # tag of the extension
_MASTERING, _LIGHT = 1, 2
_U16, _U32 = 2**16 - 1, 2**32 - 1


@dataclass(frozen=True)
class Hdr:
    """Static HDR metadata.

    Args:
        mastering: of the mastering display: x and y of red, green, blue and white in 1/50,000;
            then its most and its least luminance in 1/10,000 cd/m². None where it is not said.
        light: brightest pixel, and brightest mean of a picture (MaxCLL, MaxFALL) in cd/m²; or None.
    """

    mastering: tuple[int, ...] | None = None
    light: tuple[int, int] | None = None


def hdr_extension(hdr: Hdr | None) -> tuple[tuple[int, bytes], ...]:
    """The header extension that says it; none where there is nothing to say."""
    if hdr is None or (hdr.mastering is None and hdr.light is None):
        return ()
    out = bytearray([_MASTERING * bool(hdr.mastering) | _LIGHT * bool(hdr.light)])
    if hdr.mastering:
        check("number of values of a display", len(hdr.mastering), 10, 10)
        for value in hdr.mastering[:8]:
            check("chromaticity of a display", value, 0, _U16)
        for value in hdr.mastering[8:]:
            check("luminance of a display", value, 0, _U32)
        out += struct.pack("<8H2I", *hdr.mastering)
    if hdr.light:
        for value in hdr.light:
            check("light level", value, 0, _U16)
        out += struct.pack("<2H", *hdr.light)
    return ((HDR, bytes(out)),)


def hdr_of(header: Header, name: str) -> Hdr | None:
    """What a header says of HDR; ``name`` is for messages. Raises DamagedFile."""
    for tag, data in header.extensions:
        if tag != HDR:
            continue
        cursor = Cursor(data, f"{name}: HDR metadata")
        what = cursor.u8("flags")
        if what not in (1, 2, 3):
            raise cursor.damaged(f"flags are {what}, expected 1 to 3")
        mastering = light = None
        if what & _MASTERING:
            mastering = struct.unpack("<8H2I", cursor.bytes("mastering display", 24))
        if what & _LIGHT:
            light = cursor.u16("MaxCLL"), cursor.u16("MaxFALL")
        cursor.end()
        return Hdr(mastering, light)
    return None
