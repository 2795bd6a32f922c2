"""NAL units, the pieces of H.265 and H.266 streams, and the bits inside them."""

import re

START_CODE = b"\0\0\0\1"


def split_units(stream: bytes) -> list[bytes]:
    """The NAL units of an Annex B stream, headers and all, without start codes."""
    return [unit for unit in re.split(rb"\x00*\x00\x00\x01", stream) if unit]


def holds_start_code(unit: bytes) -> bool:
    """Whether a decoder could see the end of the unit, or another one, inside it."""
    return re.search(rb"\x00\x00[\x00-\x02]", unit) is not None


def escaped(unit: bytes) -> bytes:
    """A NAL unit with emulation prevention bytes."""
    return re.sub(rb"\x00\x00(?=[\x00-\x03])", b"\0\0\3", unit)


def unescaped(unit: bytes) -> bytes:
    """``unit`` without its emulation prevention bytes."""
    return unit.replace(b"\0\0\3", b"\0\0")


def ue(*values: int) -> str:
    """Exp-Golomb codes, as bits in text.

    >>> ue(0, 1, 3)
    '101000100'
    """
    return "".join(f"{value + 1:0{2 * (value + 1).bit_length() - 1}b}" for value in values)


def bits_of(data: bytes) -> str:
    """Bits in text, the highest of each byte first.

    >>> bits_of(b"\\x05")
    '00000101'
    """
    return "".join(f"{byte:08b}" for byte in data)


def bytes_of(bits: str) -> bytes:
    """Bytes of bits in text, zeros behind them.

    >>> bytes_of("1")
    b'\\x80'
    """
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
