"""The header of a .dvc file: bytes from a ``Header``, and back."""

import os
import zlib
from pathlib import Path

from dvc_codec.container.fields import (
    Cursor,
    check,
    put_bytes,
    put_fraction,
    put_string,
    put_varint,
)
from dvc_codec.container.limits import (
    MAX_EXTENSIONS,
    MAX_EXTRADATA,
    MAX_GOP_LENGTH,
    MAX_HEADER,
    MAX_HEIGHT,
    MAX_LAMBDA_MILLI,
    MAX_STREAMS,
    MAX_TAGS,
    MAX_WIDTH,
)
from dvc_codec.container.records import Colour, Header, StreamEntry
from dvc_codec.errors import DamagedFile, OutOfRange, WrongVersion

MAGIC = b"\x89DVC\r\n\x1a\n"  # as PNG's: shows text conversions and stripped high bits
VERSION = 1
PREFIX = len(MAGIC) + 2 + 4  # magic, version, length of the body
CRC = 4
_HASH = 32
_CRITICAL_FLAGS = 0xFFFF0000


def is_dvc(path: str | Path) -> bool:
    """Whether a file is a .dvc file by its first bytes, or would be one by its name."""
    if str(path).lower().endswith(".dvc"):
        return True
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except (OSError, ValueError):
        return False


def header_bytes(header: Header) -> bytes:
    """The header as it stands at the start of the file, CRC included."""
    body = _body(header)
    check("length of the header", len(body), 0, MAX_HEADER)
    start = MAGIC + VERSION.to_bytes(2, "little") + len(body).to_bytes(4, "little") + body
    return start + zlib.crc32(start).to_bytes(CRC, "little")


def body_length(prefix: bytes, name: str) -> int:
    """Length of the header's body, from the first ``PREFIX`` bytes of file ``name``."""
    magic = prefix[: len(MAGIC)]
    if magic != MAGIC:
        raise DamagedFile(
            f"{name}: not a .dvc file: it starts with {magic.hex(' ') or 'nothing'}, "
            f"expected {MAGIC.hex(' ')}"
        )
    cursor = Cursor(prefix[len(MAGIC) :], f"{name}: start of the header")
    version = cursor.u16("version")
    if version != VERSION:
        raise WrongVersion(
            f"{name}: format version {version}; this program reads version {VERSION}: "
            "use a newer dvc-codec, or the file is damaged"
        )
    length = cursor.u32("length of the header")
    if length > MAX_HEADER:
        raise DamagedFile(f"{name}: header claims {length} bytes, expected at most {MAX_HEADER}")
    return length


def parse_header(data: bytes, name: str) -> Header:
    """The header from all its bytes, CRC included."""
    if body_length(data[:PREFIX], name) != len(data) - PREFIX - CRC:
        raise DamagedFile(f"{name}: the file ends inside the header")
    found, expected = int.from_bytes(data[-CRC:], "little"), zlib.crc32(data[:-CRC])
    if found != expected:
        raise DamagedFile(
            f"{name}: header: CRC-32 is {found:08x}, its bytes give {expected:08x}; it is damaged"
        )
    cursor = Cursor(data[PREFIX:-CRC], f"{name}: header")
    header = Header(
        model_hash=cursor.bytes("model hash", _HASH),
        model_name=cursor.string("model name"),
        width=cursor.varint("width", 1, MAX_WIDTH),
        height=cursor.varint("height", 1, MAX_HEIGHT),
        frame_rate=cursor.fraction("frame rate"),
        time_base=cursor.fraction("time base"),
        sample_aspect_ratio=cursor.fraction("sample aspect ratio"),
        colour=Colour(*cursor.bytes("colour", 5)),
        rotation=cursor.varint("rotation", 0, 359),
        lambda_milli=cursor.u32("lambda"),
        gop_length=cursor.varint("GOP length", 1, MAX_GOP_LENGTH),
        streams=_streams(cursor),
        tags=_tags(cursor),
        flags=_flags(cursor, name),
        extensions=_extensions(cursor, name),
    )
    cursor.end()
    return header


def _body(header: Header) -> bytes:
    if len(header.model_hash) != _HASH:
        raise OutOfRange(f"model hash has {len(header.model_hash)} bytes, expected {_HASH}")
    check("width", header.width, 1, MAX_WIDTH)
    check("height", header.height, 1, MAX_HEIGHT)
    check("rotation", header.rotation, 0, 359)
    check("lambda_milli", header.lambda_milli, 0, MAX_LAMBDA_MILLI)
    check("gop_length", header.gop_length, 1, MAX_GOP_LENGTH)
    check("number of streams", len(header.streams), 0, MAX_STREAMS)
    check("flags", header.flags, 0, 0xFFFF)
    check("number of extensions", len(header.extensions), 0, MAX_EXTENSIONS)
    colour = header.colour
    numbers = (
        colour.primaries,
        colour.transfer,
        colour.matrix,
        colour.range,
        colour.chroma_location,
    )
    for number in numbers:
        check("colour tag", number, 0, 255)
    out = bytearray(header.model_hash)
    put_string(out, "model name", header.model_name)
    put_varint(out, header.width)
    put_varint(out, header.height)
    put_fraction(out, "frame rate", header.frame_rate)
    put_fraction(out, "time base", header.time_base)
    put_fraction(out, "sample aspect ratio", header.sample_aspect_ratio)
    out += bytes(numbers)
    put_varint(out, header.rotation)
    out += header.lambda_milli.to_bytes(4, "little")
    put_varint(out, header.gop_length)
    put_varint(out, len(header.streams))
    for stream in header.streams:
        _put_stream(out, stream)
    _put_tags(out, header.tags)
    out += header.flags.to_bytes(4, "little")
    put_varint(out, len(header.extensions))
    for tag, data in header.extensions:
        check("extension tag", tag, 0, 2**31 - 1)
        if tag % 2:
            raise OutOfRange(f"extension tag {tag} is odd: version {VERSION} has no critical one")
        put_varint(out, tag)
        put_bytes(out, data)
    return bytes(out)


def _put_stream(out: bytearray, stream: StreamEntry) -> None:
    check("stream kind", stream.kind, 0, 255)
    check("length of extradata", len(stream.extradata), 0, MAX_EXTRADATA)
    out.append(stream.kind)
    put_string(out, "codec name", stream.codec)
    put_fraction(out, "stream time base", stream.time_base)
    put_bytes(out, stream.extradata)
    _put_tags(out, stream.tags)


def _put_tags(out: bytearray, tags: tuple[tuple[str, str], ...]) -> None:
    check("number of tags", len(tags), 0, MAX_TAGS)
    put_varint(out, len(tags))
    for key, value in tags:
        put_string(out, "tag key", key)
        put_string(out, "tag value", value)


def _streams(cursor: Cursor) -> tuple[StreamEntry, ...]:
    return tuple(
        StreamEntry(
            kind=cursor.u8("stream kind"),
            codec=cursor.string("codec name"),
            time_base=cursor.fraction("stream time base"),
            extradata=cursor.bytes(
                "extradata", cursor.varint("length of extradata", 0, MAX_EXTRADATA)
            ),
            tags=_tags(cursor),
        )
        for _ in range(cursor.varint("number of streams", 0, MAX_STREAMS))
    )


def _tags(cursor: Cursor) -> tuple[tuple[str, str], ...]:
    count = cursor.varint("number of tags", 0, MAX_TAGS)
    return tuple((cursor.string("tag key"), cursor.string("tag value")) for _ in range(count))


def _flags(cursor: Cursor, name: str) -> int:
    flags = cursor.u32("flags")
    if flags & _CRITICAL_FLAGS:
        raise WrongVersion(
            f"{name}: header flags {flags:08x} ask for something this program does not know; "
            "use a newer dvc-codec"
        )
    return flags


def _extensions(cursor: Cursor, name: str) -> tuple[tuple[int, bytes], ...]:
    extensions = []
    for _ in range(cursor.varint("number of extensions", 0, MAX_EXTENSIONS)):
        tag = cursor.varint("extension tag", 0, 2**31 - 1)
        if tag % 2:
            raise WrongVersion(
                f"{name}: header extension {tag} cannot be ignored and this program does not "
                "know it; use a newer dvc-codec"
            )
        length = cursor.varint("length of an extension", 0, MAX_HEADER)
        extensions.append((tag, cursor.bytes("extension", length)))
    return tuple(extensions)
