"""``vvc``: one intra picture by VVenC, decoded by FFmpeg's own VVC decoder.

It is coded in 10 bits, as VVenC does anyway, and rounded to 8 when it is decoded. As with ``hevc``
the parameter sets are the same for all our pictures, but for the size and what the effort switches
on; a payload is a byte that says which, the adaptation parameter sets (the picture's own loop
filters) and the slice. docs/format.md has the bits.
"""

import math
import struct
from dataclasses import dataclass
from typing import ClassVar

from dvc_codec.errors import DamagedFile, OutOfRange
from dvc_codec.intra import nal, vvenc
from dvc_codec.intra.still import check_qp, decode_still, padded_size
from dvc_codec.video import Picture

# First byte of a payload: this, or a key of _FORMS
OWN_SETS = 0  # sequence and picture parameter set follow

# (VVenC's preset, its parameters) by effort. Against SVT-AV1 preset 1 at the same PSNR, nine first
# frames: -5.1, -7.6, -9 % of the bits; the second for half the time of the third.
_PRESETS = (("fast", ""), ("medium", "MaxMTTDepthI=1"), ("medium", ""))

# For lambda_intra of 1, and how much lower an octave of lambda_intra makes it
_QP, _QP_STRUCTURAL = (65.4, 2.94), (63.0, 2.78)

# NAL unit headers: layer 0, type, temporal layer 0
_SLICE_HEADER = b"\x00\x41"  # IDR_N_LP
_APS_HEADERS = (b"\x00\x89", b"\x00\x91")  # before and after the slice it is for
_DELIMITER_HEADER = b"\x00\xa1"  # says where a picture starts; nobody needs it

# Parameter sets as bits, before and behind the picture's width and height. Behind are all up to the
# stop bit, the last that is 1.
_SPS_HEAD = nal.bits_of(bytes.fromhex("0079000902668000")) + "10"
_TREE = slice(29, 31)  # of the SPS: log2 of the size of coding trees, less 5; 0 in _SPS_HEAD
_PPS_HEAD = nal.bits_of(bytes.fromhex("00810000"))[:27]
_SPS_TAILS = {  # with the bits of _TREE before them
    1: ("10", "1a80fa4dd22348a4de709b2b182041382affd2ecbfce48000000080000000988"),  # MaxMTTDepthI=1
    2: ("10", "1a80fa6dd32348a4de709b2b182041382affd2ecbfce48000000080000000988"),  # medium
    3: ("01", "1a80fd109a293de709b2b182041382afbd2ec567240000000400000004c4"),  # fast
}
_PPS_TAILS = ("130fd810", "130fdc10")  # one QP; blocks' own QPs
# By form: the two tails
_FORMS = {
    form + len(_SPS_TAILS) * own_qps: (_SPS_TAILS[form], _PPS_TAILS[own_qps])
    for own_qps in (False, True)
    for form in _SPS_TAILS
}


@dataclass(frozen=True)
class Vvc:
    """The codec of the registry. See ``IntraCodec``."""

    name: ClassVar[str] = "vvc"
    id: ClassVar[int] = 4
    qp_range: ClassVar[range] = range(64)

    def qp_for(self, lambda_intra: float, structural: bool = False) -> int:
        at_one, octave = _QP_STRUCTURAL if structural else _QP
        return min(max(round(at_one - octave * math.log2(lambda_intra)), 0), 63)

    def encode(self, picture: Picture, qp: int, effort: int = 0, structural: bool = False) -> bytes:
        check_qp(self.name, qp, self.qp_range)
        stream = vvenc.encode(picture, qp, *_PRESETS[effort], perceptual=structural)
        return _payload(stream, *padded_size(picture.width, picture.height))

    def decode(self, data: bytes, width: int, height: int) -> Picture:
        units = _units(data, *padded_size(width, height))
        # Else a payload of a few bytes might hold any number of pictures
        if any(nal.holds_start_code(unit) for unit in units):
            raise DamagedFile("I frame: found a start code inside a VVC unit")
        stream = b"".join(nal.START_CODE + unit for unit in units)
        return decode_still(stream, "vvc", width, height, "yuv420p10le")


def _payload(stream: bytes, width: int, height: int) -> bytes:
    """What of VVenC's ``stream`` a decoder cannot know; ``OutOfRange`` if a payload has no place
    for it.
    """
    units = [unit for unit in nal.split_units(stream) if unit[:2] != _DELIMITER_HEADER]
    sps, pps, *filters, slice_ = units if len(units) >= 3 else [b""] * 3
    fits = (
        _fits(sps, pps, width, height)
        and all(unit[:2] in _APS_HEADERS for unit in filters)
        and slice_[:2] == _SLICE_HEADER
        and len(filters) <= 0xFF
        and max(map(len, units[:-1])) <= 0xFFFF
    )
    if not fits:
        kinds = ", ".join(unit[:2].hex() for unit in units)
        raise OutOfRange(f"VVenC wrote units that a vvc payload has no place for: {kinds}")
    form = next((form for form in _FORMS if _sets(form, width, height) == [sps, pps]), OWN_SETS)
    own = b"" if form else _sized(sps) + _sized(pps)
    coded = b"".join(map(_sized, filters)) + slice_[len(_SLICE_HEADER) :]
    return bytes([form]) + own + bytes([len(filters)]) + coded


def _units(data: bytes, width: int, height: int) -> list[bytes]:
    """The NAL units of a payload: SPS, PPS, adaptation parameter sets, and one slice."""
    form, rest = data[0] if data else None, data[1:]
    if form == OWN_SETS:
        sps, rest = _taken(rest)
        pps, rest = _taken(rest)
        # FFmpeg takes its tables' memory, 60 MB for 8192 x 8192, before it looks at what we allow
        if not _fits(sps, pps, width, height):
            raise DamagedFile("I frame: VVC parameter sets of another kind or size")
        sets = [sps, pps]
    elif form in _FORMS:
        sets = _sets(form, width, height)
    else:
        found = data[:1].hex() or "nothing"
        raise DamagedFile(f"I frame: VVC payload of form {found}, not 0 to {max(_FORMS)}")
    count, rest = rest[:1], rest[1:]
    if not count:
        raise DamagedFile(f"I frame: VVC payload of {len(data)} bytes ends before its slice")
    filters = []
    for _ in range(count[0]):
        unit, rest = _taken(rest)
        if unit[:2] not in _APS_HEADERS:
            raise DamagedFile(f"I frame: VVC unit {unit[:2].hex()} among adaptation parameter sets")
        filters.append(unit)
    return [*sets, *filters, _SLICE_HEADER + rest]


def _sets(form: int, width: int, height: int) -> list[bytes]:
    """The sequence and the picture parameter set of every picture of this form and size."""
    (tree, sps_tail), pps_tail = _FORMS[form]
    size = nal.ue(width, height)
    sps = _sps_head(tree) + size + _tail(sps_tail)
    return [nal.escaped(nal.bytes_of(bits)) for bits in (sps, _PPS_HEAD + size + _tail(pps_tail))]


def _tail(digits: str) -> str:
    return nal.bits_of(bytes.fromhex(digits)).rstrip("0")


def _fits(sps: bytes, pps: bytes, width: int, height: int) -> bool:
    """Whether parameter sets are like ours up to the size, whatever the size of coding trees."""
    size = nal.ue(width, height)
    sps_bits, pps_bits = nal.bits_of(nal.unescaped(sps)), nal.bits_of(nal.unescaped(pps))
    head = _sps_head(sps_bits[_TREE])
    return sps_bits.startswith(head + size) and pps_bits.startswith(_PPS_HEAD + size)


def _sps_head(tree: str) -> str:
    return _SPS_HEAD[: _TREE.start] + tree + _SPS_HEAD[_TREE.stop :]


def _sized(unit: bytes) -> bytes:
    return struct.pack("<H", len(unit)) + unit


def _taken(data: bytes) -> tuple[bytes, bytes]:
    """A unit from the front of ``data``, and what follows it."""
    length = int.from_bytes(data[:2], "little")
    if len(data) < 2 + length:
        raise DamagedFile(f"I frame: a VVC unit of {length} bytes in {len(data)}")
    return data[2 : 2 + length], data[2 + length :]
