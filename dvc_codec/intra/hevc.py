"""``hevc``: one intra picture by libx265, without anything that a decoder can know by itself.

x265 wraps the slice of a picture in 83 bytes of parameter sets and start codes (and 2 kB more of
settings in text, unless told not to). All our pictures have the same ones but for the size, so a
payload is one byte that says so, and the slice. docs/format.md has the bits.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

from dvc_codec.errors import DamagedFile
from dvc_codec.intra import nal
from dvc_codec.intra.still import check_qp, decode_still, encode_still, padded_size
from dvc_codec.video import Picture

# First byte of a payload.
KNOWN_SETS = 0  # then the slice's NAL unit without its header; parameter sets as written here
OWN_SETS = 1  # then a whole Annex B stream

# ipratio=1 makes qp mean qp. Psycho-visual tools cost 1.2 % of lambda D + R; rdoq-level=2 would
# gain 1.7 % for 1.7 times the time, preset slow nothing beyond that (docs/format.md#i-payloads).
_PRESET, _TUNE = "medium", "psnr"
_OPTIONS = (
    "ipratio=1:keyint=1:log-level=none:info=0:aud=0:pools=none:frame-threads=1:ctu=64:"
    "min-cu-size=8:max-tu-size=32:tu-intra-depth=1:sao=1:strong-intra-smoothing=1:signhide=1"
)

_SPS_TYPE, _PPS_TYPE, _SLICE_TYPE = 33, 34, 20  # the last is IDR_N_LP
_SLICE_HEADER = b"\x28\x01"
# Level 6.2, which allows any size of ours; decoders do not depend on it.
_PROFILE_TIER_LEVEL = bytes.fromhex("04080000009fa800000000ba")
_VPS = bytes.fromhex("40010c01ffff0408000003009fa80000030000baba0240")
_PPS = bytes.fromhex("4401c1718112")
_SPS_HEAD = 3 + len(_PROFILE_TIER_LEVEL)  # bytes of an SPS before its first field of interest


@dataclass(frozen=True)
class Hevc:
    """The codec of the registry. See ``IntraCodec``."""

    name: ClassVar[str] = "hevc"
    id: ClassVar[int] = 1
    qp_range: ClassVar[range] = range(52)

    def qp_for(self, lambda_intra: float, structural: bool = False) -> int:
        return min(max(round(63.9 - 3.05 * math.log2(lambda_intra)), 0), 51)

    def encode(self, picture: Picture, qp: int, effort: int = 0, structural: bool = False) -> bytes:
        check_qp(self.name, qp, self.qp_range)
        stream = encode_still(picture, "libx265", encoder_options(qp, effort))
        slice_ = _lone_slice(stream, *padded_size(picture.width, picture.height))
        if slice_ is None:
            return bytes([OWN_SETS]) + stream
        return bytes([KNOWN_SETS]) + slice_

    def decode(self, data: bytes, width: int, height: int) -> Picture:
        form, coded = data[:1], data[1:]
        if form == bytes([KNOWN_SETS]):
            if nal.holds_start_code(coded):
                raise DamagedFile("I frame: found a start code inside an HEVC slice")
            sps = nal.escaped(_sps(*padded_size(width, height)))
            units = (_VPS, sps, _PPS, _SLICE_HEADER + coded)
            stream = b"".join(nal.START_CODE + unit for unit in units)
        elif form == bytes([OWN_SETS]):
            stream = coded
        else:
            raise DamagedFile(
                f"I frame: HEVC payload of form {form.hex() or 'nothing'}, not 0 or 1"
            )
        return decode_still(stream, "hevc", width, height)


def encoder_options(qp: int, effort: int = 0) -> dict[str, str]:
    """What libx265 is told."""
    options = f"qp={qp}:{_OPTIONS}" + ":rdoq-level=2" * (effort > 0)
    return {"preset": _PRESET, "tune": _TUNE, "x265-params": options}


def _lone_slice(stream: bytes, width: int, height: int) -> bytes | None:
    """The slice after its NAL header, if all else in ``stream`` is what ``decode`` puts there."""
    units = {unit[0] >> 1: unit for unit in nal.split_units(stream)}
    slice_ = units.get(_SLICE_TYPE, b"")
    if units.get(_PPS_TYPE) != _PPS or not slice_.startswith(_SLICE_HEADER):
        return None
    theirs = nal.unescaped(units.get(_SPS_TYPE, b""))
    ours = _sps_fields(width, height)
    # What follows in theirs are colour and times, which change no sample.
    if not nal.bits_of(theirs[_SPS_HEAD:]).startswith(ours):
        return None
    return slice_[len(_SLICE_HEADER) :]


def _sps(width: int, height: int) -> bytes:
    """The sequence parameter set of every picture of this size, before escaping."""
    bits = _sps_fields(width, height) + "001"  # no VUI, no extension, stop bit
    return b"\x42\x01\x01" + _PROFILE_TIER_LEVEL + nal.bytes_of(bits)


def _sps_fields(width: int, height: int) -> str:
    """H.265 section 7.3.2.2 after profile_tier_level() up to vui_parameters_present_flag."""
    return "".join(
        (
            nal.ue(0, 1, width, height),  # id, 4:2:0, size
            "0",  # no conformance window: sizes are multiples of 8
            nal.ue(0, 0, 4),  # 8 bits luma and chroma, 8 bits of picture order count
            "1" + nal.ue(2, 0, 1),  # decoded picture buffer
            nal.ue(0, 3, 0, 3),  # coding blocks 8 to 64, transforms 4 to 32
            nal.ue(0, 0),  # transform depth
            "0010",  # no scaling lists, no AMP, SAO, no PCM
            nal.ue(0),  # no reference picture sets
            "011",  # no long-term references, temporal motion prediction, intra smoothing
        )
    )
