"""Static HDR metadata out of FFmpeg's frames, and into x264."""

import struct

import av
from av.sidedata.sidedata import SideData, Type

from dvc_codec.container import Hdr

HDR_TEXT = "HDR metadata"  # what it is called where it is left out
# struct AVMasteringDisplayMetadata: 10 fractions (x, y of red, green, blue, white; least and most
# luminance), then whether there are primaries, and luminances. AVContentLightMetadata: two numbers
_MASTERING, _LIGHT = struct.Struct("=22i"), struct.Struct("=2I")
_PER_CHROMATICITY, _PER_LUMINANCE = 50_000, 10_000
_U16, _U32 = 2**16 - 1, 2**32 - 1


def hdr_of_frame(frame: av.VideoFrame) -> Hdr | None:
    """What a decoded frame carries; None where it carries nothing."""
    mastering: tuple[int, ...] | None = None
    light: tuple[int, int] | None = None
    for data in frame.side_data:
        if not isinstance(data, SideData):
            continue
        if data.type == Type.MASTERING_DISPLAY_METADATA and len(bytes(data)) >= _MASTERING.size:
            mastering = _mastering(_MASTERING.unpack_from(bytes(data)))
        if data.type == Type.CONTENT_LIGHT_LEVEL and len(bytes(data)) >= _LIGHT.size:
            brightest, mean = _LIGHT.unpack_from(bytes(data))
            light = min(brightest, _U16), min(mean, _U16)
    return Hdr(mastering, light) if mastering or light else None


def x264_parameters(hdr: Hdr | None) -> dict[str, str]:
    """Options of libx264 that write it."""
    said = []
    if hdr is not None and hdr.mastering:
        rx, ry, gx, gy, bx, by, wx, wy, most, least = hdr.mastering
        said.append(
            f"mastering-display=G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})"
        )
    if hdr is not None and hdr.light:
        said.append(f"cll={hdr.light[0]},{hdr.light[1]}")
    return {"x264-params": ":".join(said)} if said else {}


def _mastering(raw: tuple[int, ...]) -> tuple[int, ...]:
    """-> ``Hdr.mastering``; what is not said is 0."""
    values = [
        (numerator, denominator)
        for numerator, denominator in zip(raw[0:20:2], raw[1:20:2], strict=True)
    ]

    def scaled(place: int, unit: int, most: int) -> int:
        numerator, denominator = values[place]
        if denominator <= 0 or numerator < 0:
            return 0
        return min((2 * numerator * unit + denominator) // (2 * denominator), most)

    primaries = [scaled(n, _PER_CHROMATICITY, _U16) * bool(raw[20]) for n in range(8)]
    luminances = [scaled(n, _PER_LUMINANCE, _U32) * bool(raw[21]) for n in (9, 8)]
    return (*primaries, *luminances)
