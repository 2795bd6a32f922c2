"""Chunks, and the bodies of those that are not GOPs: companion packets, the index, the footer."""

import zlib

from dvc_codec.container.fields import Cursor, check, put_bytes, put_signed, put_varint
from dvc_codec.container.limits import (
    MAX_CHUNK,
    MAX_FRAMES,
    MAX_GOPS,
    MAX_PACKET,
    MAX_PACKETS_PER_CHUNK,
    MAX_PTS,
    MAX_STREAMS,
)
from dvc_codec.container.records import IndexEntry, Packet

SYNC = b"\xf5\xa9dvC\r\n"  # then one byte of kind, four of length, four of CRC
CHUNK_HEAD = len(SYNC) + 1 + 4 + 4

# Upper case: a reader that does not know it must refuse. Lower case: it skips the chunk.
GOP = ord("G")
PACKETS = ord("p")
INDEX = ord("i")

FOOTER_MAGIC = b"\x1aDVCEND\n"
FOOTER = 8 + 4 + len(FOOTER_MAGIC)

# Of a packet. Bits 0-4 are the packet's own flags.
_PACKET_FLAGS = 0x1F
_SAME_DURATION = 1 << 5
_ON_TIME = 1 << 6
_UNKNOWN_FLAG = 1 << 7

_SHORTEST_PACKET = 3
_SHORTEST_ENTRY = 3


def chunk(kind: int, body: bytes) -> bytes:
    """A whole chunk."""
    check("length of a chunk", len(body), 0, MAX_CHUNK)
    checked = bytes([kind]) + len(body).to_bytes(4, "little")
    return SYNC + checked + checksum(checked, body).to_bytes(4, "little") + body


def checksum(kind_and_length: bytes, body: bytes) -> int:
    """CRC-32 of the chunk's kind, length and body: all of it but the sync and the CRC."""
    return zlib.crc32(body, zlib.crc32(kind_and_length))


def is_critical(kind: int) -> bool:
    """Whether a chunk may not be skipped: bit 5 is clear, as in upper case ASCII."""
    return not kind & 0x20


def packets_body(packets: list[Packet]) -> bytes:
    """The body of the chunk that holds ``packets``, in this order."""
    out = bytearray()
    put_varint(out, len(packets))
    last: dict[int, Packet] = {}
    for packet in packets:
        check_packet(packet)
        before = last.get(packet.stream, Packet(packet.stream, 0, 0, b""))
        expected = before.pts + before.duration
        same = packet.duration == before.duration
        out.append(
            packet.flags
            | (_SAME_DURATION if same else 0)
            | (_ON_TIME if packet.pts == expected else 0)
        )
        put_varint(out, packet.stream)
        if packet.pts != expected:
            put_signed(out, packet.pts - expected)
        if not same:
            put_varint(out, packet.duration)
        put_bytes(out, packet.data)
        last[packet.stream] = packet
    return bytes(out)


def check_packet(packet: Packet) -> None:
    """Refuse to write a packet beyond a limit."""
    check("packet stream", packet.stream, 1, MAX_STREAMS)
    check("packet pts", packet.pts, -MAX_PTS, MAX_PTS)
    check("packet duration", packet.duration, 0, MAX_PTS)
    check("packet flags", packet.flags, 0, _PACKET_FLAGS)
    check("length of a packet", len(packet.data), 0, MAX_PACKET)


def parse_packets(data: bytes, where: str) -> list[Packet]:
    """The packets of a chunk body."""
    cursor = Cursor(data, where)
    count = cursor.varint("number of packets", 0, MAX_PACKETS_PER_CHUNK)
    if count * _SHORTEST_PACKET > cursor.left:
        raise cursor.damaged(f"number of packets is {count}, more than the chunk can hold")
    packets = []
    last: dict[int, Packet] = {}
    for _ in range(count):
        flags = cursor.u8("packet flags")
        if flags & _UNKNOWN_FLAG:
            raise cursor.damaged(f"packet flags are {flags:02x}, expected bit 7 to be clear")
        stream = cursor.varint("packet stream", 1, MAX_STREAMS)
        before = last.get(stream, Packet(stream, 0, 0, b""))
        pts = before.pts + before.duration
        if not flags & _ON_TIME:
            pts += cursor.signed("packet pts", -3 * MAX_PTS, 3 * MAX_PTS)
        if not -MAX_PTS <= pts <= MAX_PTS:
            raise cursor.damaged(f"packet pts is {pts}, expected {-MAX_PTS} to {MAX_PTS}")
        duration = before.duration
        if not flags & _SAME_DURATION:
            duration = cursor.varint("packet duration", 0, MAX_PTS)
        length = cursor.varint("length of a packet", 0, MAX_PACKET)
        packet = Packet(
            stream, pts, duration, cursor.bytes("packet", length), flags & _PACKET_FLAGS
        )
        packets.append(packet)
        last[stream] = packet
    cursor.end()
    return packets


def index_body(entries: list[IndexEntry], frame_count: int) -> bytes:
    """The body of the index chunk."""
    check("number of GOPs", len(entries), 0, MAX_GOPS)
    out = bytearray()
    put_varint(out, len(entries))
    put_varint(out, frame_count)
    last = IndexEntry(0, 0, 0)
    for entry in entries:
        put_varint(out, entry.offset - last.offset)
        put_varint(out, entry.first_frame - last.first_frame)
        put_signed(out, entry.first_pts - last.first_pts)
        last = entry
    return bytes(out)


def parse_index(data: bytes, where: str) -> tuple[tuple[IndexEntry, ...], int]:
    """(entries, number of frames in the file) of an index chunk's body."""
    cursor = Cursor(data, where)
    count = cursor.varint("number of GOPs", 0, MAX_GOPS)
    frame_count = cursor.varint("number of frames", 0, MAX_FRAMES)
    if count * _SHORTEST_ENTRY > cursor.left:
        raise cursor.damaged(f"number of GOPs is {count}, more than the index can hold")
    entries = []
    last = IndexEntry(0, 0, 0)
    for _ in range(count):
        last = IndexEntry(
            last.offset + cursor.varint("offset", 1, 2**62),
            last.first_frame + cursor.varint("first frame number", 0, MAX_FRAMES),
            last.first_pts + cursor.signed("first pts", -2 * MAX_PTS, 2 * MAX_PTS),
        )
        entries.append(last)
    cursor.end()
    return tuple(entries), frame_count


def footer(index_offset: int) -> bytes:
    """The last bytes of a whole file."""
    offset = index_offset.to_bytes(8, "little")
    return offset + zlib.crc32(offset).to_bytes(4, "little") + FOOTER_MAGIC


def parse_footer(data: bytes) -> int | None:
    """Offset of the index, or None where ``data`` is no footer."""
    offset = data[:8]
    if len(data) != FOOTER or data != footer(int.from_bytes(offset, "little")):
        return None
    return int.from_bytes(offset, "little")
