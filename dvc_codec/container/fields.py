"""The primitives of the format: varints, strings and a cursor that cannot run past the end."""

import struct
from fractions import Fraction

from dvc_codec.container.limits import MAX_RATIONAL, MAX_STRING
from dvc_codec.errors import DamagedFile, OutOfRange

_VARINT_BYTES = 10


def check(name: str, value: int, low: int, high: int) -> None:
    """Refuse to write ``value``."""
    if not low <= value <= high:
        raise OutOfRange(f"{name} is {value}; a .dvc file holds {low} to {high}")


def put_varint(out: bytearray, value: int) -> None:
    """Append an unsigned integer, seven bits a byte, lowest first (LEB128).

    >>> out = bytearray()
    >>> put_varint(out, 300)
    >>> out.hex()
    'ac02'
    """
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def put_signed(out: bytearray, value: int) -> None:
    """Append a signed integer as varint: 0, -1, 1, -2, ... become 0, 1, 2, 3, ..."""
    put_varint(out, 2 * value if value >= 0 else -2 * value - 1)


def put_bytes(out: bytearray, data: bytes) -> None:
    """Append a length and that many bytes."""
    put_varint(out, len(data))
    out += data


def put_string(out: bytearray, name: str, text: str) -> None:
    """Append UTF-8 with its length in bytes; lone surrogates become question marks."""
    data = text.encode(errors="replace")
    check(f"length of {name}", len(data), 0, MAX_STRING)
    put_bytes(out, data)


def put_fraction(out: bytearray, name: str, value: Fraction) -> None:
    """Append numerator and denominator, both at least 1."""
    check(f"numerator of {name}", value.numerator, 1, MAX_RATIONAL)
    check(f"denominator of {name}", value.denominator, 1, MAX_RATIONAL)
    put_varint(out, value.numerator)
    put_varint(out, value.denominator)


class Cursor:
    """Reads fields from bytes, and raises ``DamagedFile`` where they do not hold what they claim.

    Args:
        data: all that may be read.
        where: file and part, for messages ("clip.dvc: header").
    """

    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = where
        self.position = 0

    @property
    def left(self) -> int:
        return len(self._data) - self.position

    def damaged(self, what: str) -> DamagedFile:
        """An error that says where reading stands."""
        return DamagedFile(f"{self._where}: {what} (at byte {self.position} of {len(self._data)})")

    def bytes(self, name: str, length: int) -> bytes:
        if length > self.left:
            raise self.damaged(f"{name} needs {length} bytes, found {self.left}; it is cut short")
        self.position += length
        return self._data[self.position - length : self.position]

    def u8(self, name: str) -> int:
        return self.bytes(name, 1)[0]

    def u16(self, name: str) -> int:
        return int.from_bytes(self.bytes(name, 2), "little")

    def u32(self, name: str) -> int:
        value: int = struct.unpack("<I", self.bytes(name, 4))[0]
        return value

    def varint(self, name: str, low: int, high: int) -> int:
        """An unsigned integer that must lie in ``low`` to ``high``."""
        value = 0
        for place in range(_VARINT_BYTES):
            byte = self.u8(name)
            value |= (byte & 0x7F) << 7 * place
            if byte < 0x80:
                return self._inside(name, value, low, high)
        raise self.damaged(f"{name} is longer than {_VARINT_BYTES} bytes")

    def signed(self, name: str, low: int, high: int) -> int:
        """A signed integer that must lie in ``low`` to ``high``."""
        folded = self.varint(name, 0, 2**70)
        return self._inside(name, folded // 2 if folded % 2 == 0 else -(folded + 1) // 2, low, high)

    def string(self, name: str) -> str:
        data = self.bytes(name, self.varint(f"length of {name}", 0, MAX_STRING))
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self.damaged(f"{name} is not UTF-8") from error

    def fraction(self, name: str) -> Fraction:
        numerator = self.varint(f"numerator of {name}", 1, MAX_RATIONAL)
        return Fraction(numerator, self.varint(f"denominator of {name}", 1, MAX_RATIONAL))

    def end(self) -> None:
        """Nothing may be left."""
        if self.left:
            raise self.damaged(f"found {self.left} bytes more than expected")

    def _inside(self, name: str, value: int, low: int, high: int) -> int:
        if not low <= value <= high:
            raise self.damaged(f"{name} is {value}, expected {low} to {high}")
        return value
