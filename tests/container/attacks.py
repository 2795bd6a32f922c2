"""Files that mean harm: what each of them claims, and why that could hurt.

Made here, not stored: bytes that are right in every respect but the one.
"""

from collections.abc import Callable
from dataclasses import replace

from dvc_codec.container.chunks import CHUNK_HEAD, FOOTER, SYNC, checksum, chunk, footer
from dvc_codec.container.fields import put_signed, put_varint
from dvc_codec.container.frames import gop_body
from dvc_codec.container.header import MAGIC, VERSION, header_bytes
from dvc_codec.container.records import Gop
from tests.container.examples import GOPS, HEADER, frame_i

GOOD = header_bytes(HEADER)
GROUP = chunk(ord("G"), gop_body(GOPS[0], HEADER))


def _index(*numbers: int) -> bytes:
    """A file with an index of these varints after one group."""
    body = bytearray()
    for number in numbers:
        put_varint(body, number)
    front = GOOD + GROUP
    return front + chunk(ord("i"), bytes(body)) + footer(len(front))


def _group(*fields: int, rest: bytes = b"") -> bytes:
    """A file with a group whose first numbers are these."""
    body = bytearray()
    for number in fields:
        put_varint(body, number)
    return GOOD + chunk(ord("G"), bytes(body) + rest)


def _packets(count: int) -> bytes:
    body = bytearray()
    put_varint(body, count)
    return GOOD + chunk(ord("p"), bytes(body) + bytes(20))


def billions_of_frames() -> bytes:
    """A group of 2^32 frames in 20 bytes: memory for a list of them."""
    return _group(0, 2**32, 0, rest=bytes(20))


def most_frames_a_group_may_have() -> bytes:
    """65,535 frames in 20 bytes."""
    return _group(0, 65535, 0, rest=bytes(20))


def billions_of_groups() -> bytes:
    """An index of 2^24 groups in a few bytes."""
    return _index(2**24, 3, 1, 1, 1)


def a_film_of_ages() -> bytes:
    """An index that says 2^40 frames: a decoder that conceals would show the last one for ever."""
    return _index(1, 2**40, len(GOOD), 0, 0)


def an_index_that_points_at_itself() -> bytes:
    """Reading the group there would read the index as a group."""
    return _index(1, 3, len(GOOD) + len(GROUP), 0, 0)


def an_index_of_one_place() -> bytes:
    """The same group again and again: a little file that plays for years."""
    return _index(3, 9, len(GOOD), 0, 0, 1, 3, 0, 1, 3, 0)


def a_gap_of_ages() -> bytes:
    """Two groups without an index, the second numbered 2^39: as many frames seem lost between."""
    far = replace(GOPS[0], first_frame=2**39)
    return GOOD + GROUP + chunk(ord("G"), gop_body(far, HEADER))


def a_chunk_of_four_gigabytes() -> bytes:
    """Its length is refused before it is read."""
    head = b"G" + (2**32 - 1).to_bytes(4, "little")
    return GOOD + SYNC + head + checksum(head, b"").to_bytes(4, "little")


def markers_and_nothing_else() -> bytes:
    """Every eight bytes a chunk that claims all the rest: reading each would take its square."""
    left = 200_000
    out = bytearray(GOOD)
    while left > CHUNK_HEAD:
        out += SYNC + b"G" + (left - CHUNK_HEAD).to_bytes(4, "little") + bytes(4)
        left -= CHUNK_HEAD
    return bytes(out)


def a_header_of_four_gigabytes() -> bytes:
    """Only its first bytes are there."""
    return MAGIC + VERSION.to_bytes(2, "little") + b"\xff" * 4 + bytes(50)


def a_payload_of_gigabytes() -> bytes:
    """A frame whose one payload has 2^28 bytes, in a group of 40."""
    body = bytearray()
    put_varint(body, 0)
    put_varint(body, 1)
    put_signed(body, 0)
    body += bytes([0 | 1 << 3 | 1 << 6, 30, 1])
    put_varint(body, 2**28)
    return GOOD + chunk(ord("G"), bytes(body) + bytes(30))


def packets_without_end() -> bytes:
    """65,535 packets in 20 bytes."""
    return _packets(65535)


def times_at_the_edge() -> bytes:
    """Sums of times beyond 64 bits."""
    frames = (frame_i(2**62), replace(frame_i(-(2**62)), intra_codec=1))
    return GOOD + chunk(ord("G"), gop_body(Gop(0, frames), HEADER))


def a_number_without_end() -> bytes:
    """A varint that goes on."""
    return GOOD + chunk(ord("G"), b"\xff" * 60)


def a_footer_that_points_outside() -> bytes:
    """Beyond the end of the file."""
    return GOOD + GROUP + footer(2**63)[:FOOTER]


ATTACKS: dict[str, Callable[[], bytes]] = {
    made.__name__: made
    for made in (
        billions_of_frames,
        most_frames_a_group_may_have,
        billions_of_groups,
        a_film_of_ages,
        an_index_that_points_at_itself,
        an_index_of_one_place,
        a_gap_of_ages,
        a_chunk_of_four_gigabytes,
        markers_and_nothing_else,
        a_header_of_four_gigabytes,
        a_payload_of_gigabytes,
        packets_without_end,
        times_at_the_edge,
        a_number_without_end,
        a_footer_that_points_outside,
    )
}
