"""``av1``: one still picture by SVT-AV1, decoded by dav1d.

SVT-AV1 makes a reduced still picture, as in AVIF: a temporal delimiter, a sequence header of about
seven bytes and one frame. A payload is the length of the sequence header, the sequence header, and
the frame, without the wrapping of any of them.
"""

import math
import os
from dataclasses import dataclass
from typing import ClassVar

from dvc_codec.errors import DamagedFile
from dvc_codec.intra.still import check_qp, decode_still, encode_still
from dvc_codec.video import Picture

# Preset 4 against 5: 1.3 % less lambda D + R of the picture, 1.7 times the time; 3 gains 1.1 % more
# for twice that (docs/experiments.md#i-presets). avif=1 costs 0.6 % and saves a third of the time.
# Chroma offsets, quantiser matrices, sharpness and the filters' switches gain nothing.
# Against 4, 1 saves 1.8 to 5.3 % for 3.7 times the time, 0 saves 2.1 to 6.3 % for 6.8 times.
_PRESETS = ("4", "1", "0")  # by effort
_OPTIONS = "avif=1:lp=1:aq-mode=0"
# For MS-SSIM: 4 to 17 % fewer bits at the same MS-SSIM (docs/experiments.md#ms-ssim)
_STRUCTURAL = ":tune=4"
_QP_AT_ONE, _QP_AT_ONE_STRUCTURAL = 91.4, 97.4  # for lambda_intra of 1

_DELIMITER = b"\x12\0"
_SEQUENCE_HEADER = 0x0A  # OBU header bytes: type 1 and type 6, each with a size
_FRAME = 0x32
_FRAME_TYPES = (3, 6)  # OBU types of a frame's header, and of a frame whole


@dataclass(frozen=True)
class Av1:
    """The codec of the registry. See ``IntraCodec``. Its QP is SVT-AV1's."""

    name: ClassVar[str] = "av1"
    id: ClassVar[int] = 2
    qp_range: ClassVar[range] = range(1, 64)

    def qp_for(self, lambda_intra: float, structural: bool = False) -> int:
        at_one = _QP_AT_ONE_STRUCTURAL if structural else _QP_AT_ONE
        return min(max(round(at_one - 5.58 * math.log2(lambda_intra)), 1), 63)

    def encode(self, picture: Picture, qp: int, effort: int = 0, structural: bool = False) -> bytes:
        check_qp(self.name, qp, self.qp_range)
        # SVT-AV1 writes to stderr by itself and listens to nothing else than this.
        os.environ.setdefault("SVT_LOG", "0")
        options = {
            "preset": _PRESETS[effort],
            "crf": str(qp),
            "svtav1-params": _OPTIONS + _STRUCTURAL * structural,
        }
        return _unwrapped(encode_still(picture, "libsvtav1", options))

    def decode(self, data: bytes, width: int, height: int) -> Picture:
        length = data[0] if data else 0
        if length == 0:
            stream = data[1:]
            # Before anything is decoded: a few kilobytes may hold thousands of large pictures
            frames = _frames_in(stream)
            if frames != 1:
                raise DamagedFile(f"I frame: an AV1 stream of {frames} frames, expected 1")
        elif length > len(data) - 1:
            raise DamagedFile(f"I frame: AV1 sequence header of {length} bytes in {len(data)}")
        else:
            sequence, frame = data[1 : 1 + length], data[1 + length :]
            stream = bytes([_SEQUENCE_HEADER, length]) + sequence
            stream += bytes([_FRAME]) + _leb128(len(frame)) + frame
        return decode_still(stream, "libdav1d", width, height)


def _unwrapped(stream: bytes) -> bytes:
    """The payload; a stream of other OBUs than expected goes in whole, after a zero."""
    stream = stream.removeprefix(_DELIMITER)
    length = stream[1]
    sequence, rest = stream[2 : 2 + length], stream[2 + length :]
    for size in (1, 2, 3, 4):
        frame = rest[1 + size :]
        if (
            stream[0] == _SEQUENCE_HEADER
            and 0 < length < 0x80
            and rest[: 1 + size] == bytes([_FRAME]) + _leb128(len(frame))
        ):
            return bytes([length]) + sequence + frame
    return b"\0" + stream


def _frames_in(stream: bytes) -> int:
    """How many frames the OBUs of a stream have, up to where it is none."""
    frames = at = 0
    while at < len(stream):
        kind, extended, sized = stream[at] >> 3 & 15, stream[at] & 4, stream[at] & 2
        at += 2 if extended else 1
        frames += kind in _FRAME_TYPES
        if not sized:  # the rest
            break
        length = shift = 0
        for byte in stream[at : at + 8]:
            at += 1
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        at += length
    return frames


def _leb128(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
