"""The hash that a decoder checks each picture with."""

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer as Buffer


def picture_hash(y: "Buffer", u: "Buffer", v: "Buffer") -> int:
    """CRC-32 of the luma samples, then U, then V, row by row, one byte each.

    Args:
        y: width x height bytes, cropped to the true size.
        u: ceil(width / 2) x ceil(height / 2) bytes.
        v: as ``u``.

    Returns:
        0 to 2**32 - 1.

    >>> f"{picture_hash(bytes(4), b'a', b'b'):08x}"
    '6e98fb31'
    """
    value = 0
    for plane in (y, u, v):
        view = memoryview(plane)
        value = zlib.crc32(view if view.c_contiguous else view.tobytes(), value)
    return value
