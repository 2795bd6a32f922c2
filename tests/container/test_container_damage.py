import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_codec.container import Gop, Packet, Reader
from dvc_codec.container.chunks import CHUNK_HEAD, SYNC, chunk, footer
from dvc_codec.container.header import PREFIX
from dvc_codec.errors import DamagedFile, DvcError, WrongVersion
from tests.container.examples import GOPS, PACKETS, opened, write_example


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return write_example(tmp_path_factory.mktemp("damage") / "a.dvc")


def everything(data: bytes) -> tuple[list[Gop | None], list[Packet]]:
    """GOPs that can be read (None where damaged) and packets, by all ways of reading."""
    with Reader(opened(data)) as reader:
        gops: list[Gop | None] = []
        for number in range(len(reader.index)):
            try:
                gops.append(reader.read_gop(number))
            except DvcError:
                gops.append(None)
        list(reader.chunks(tolerant=True))
        cut = reader.read_cut_gop()
        assert cut is None or cut.frames
        return gops, list(reader.packets())


def gop_ends(whole: bytes) -> list[int]:
    with Reader(opened(whole)) as reader:
        starts = [entry.offset for entry in reader.index]
    return [
        start + CHUNK_HEAD + int.from_bytes(whole[start + 8 : start + 12], "little")
        for start in starts
    ]


def test_every_cut_keeps_every_whole_gop(whole: bytes) -> None:
    ends = gop_ends(whole)
    header = PREFIX + int.from_bytes(whole[10:14], "little") + 4
    for length in range(len(whole)):
        if length < header:
            with pytest.raises(DamagedFile):
                Reader(opened(whole[:length]))
            continue
        gops, _ = everything(whole[:length])
        assert gops == list(GOPS[: sum(end <= length for end in ends)])


def test_whole_frames_of_a_cut_gop_are_salvaged(whole: bytes) -> None:
    with Reader(opened(whole)) as reader:
        start = reader.index[1].offset
    end = gop_ends(whole)[1]
    most = 0
    for length in range(start, end):
        with Reader(opened(whole[:length])) as reader:
            cut = reader.read_cut_gop()
        if cut is not None:
            assert cut.first_frame == 3
            assert cut.frames == GOPS[1].frames[: len(cut.frames)]
            assert len(cut.frames) >= most
            most = len(cut.frames)
    assert most == 2


def test_every_flipped_bit_is_detected_or_harmless(whole: bytes) -> None:
    """Harmless by the specification: in index and footer (rebuilt) and in packet chunks (sound)."""
    with Reader(opened(whole)) as reader:
        offsets = [entry.offset for entry in reader.index]
    spans = list(zip(offsets, gop_ends(whole), strict=True))
    header = PREFIX + int.from_bytes(whole[10:14], "little") + 4
    for place in range(len(whole)):
        for bit in range(8):
            data = bytearray(whole)
            data[place] ^= 1 << bit
            if place < header:
                with pytest.raises((DamagedFile, WrongVersion)):
                    Reader(opened(bytes(data)))
                continue
            gops, packets = everything(bytes(data))
            hit = [start <= place < end for start, end in spans]
            assert gops == [None if one else gop for one, gop in zip(hit, GOPS, strict=True)]
            assert all(packet in PACKETS for packet in packets)


def test_gops_after_damage_are_found_without_an_index(whole: bytes) -> None:
    with Reader(opened(whole)) as reader:
        place = reader.index[1].offset + 9
    data = bytearray(whole[:-1])
    data[place] ^= 0x40  # the length
    gops, _ = everything(bytes(data))
    assert gops == [GOPS[0], GOPS[2]]


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_many_changes_never_raise_anything_else(whole: bytes, data: st.DataObject) -> None:
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.integers(0, len(damaged) - 1))
        damaged[place : place + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        everything(bytes(damaged))
    except DvcError as error:
        assert "\n" not in str(error)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.binary(max_size=80), st.sampled_from(b"GpiXz"))
def test_chunks_of_anything_never_raise_anything_else(whole: bytes, body: bytes, kind: int) -> None:
    """With a right CRC: parsers alone stand between these bytes and the caller."""
    header = PREFIX + int.from_bytes(whole[10:14], "little") + 4
    data = whole[:header] + chunk(kind, body)
    for end in (b"", footer(header)):
        with Reader(opened(data + end)) as reader:
            try:
                list(reader.chunks())
            except DvcError as error:
                assert "\n" not in str(error)
            for number in range(len(reader.index)):
                with pytest.raises(DvcError):
                    reader.read_gop(number)


def huge(whole: bytes, place: str) -> bytes:
    """The file with a length of nearly 4 GB at ``place``."""
    claim = (2**32 - 1).to_bytes(4, "little")
    header = PREFIX + int.from_bytes(whole[10:14], "little") + 4
    if place == "header":
        return whole[:10] + claim + whole[14:]
    if place == "chunk":
        return whole[:header] + SYNC + b"G" + claim + bytes(4) + b"x" * 50
    # Varints: first frame 0, then a count; or one frame and a payload length.
    large = b"\xff\xff\xff\xff\x0f"
    body = {
        "frames": b"\0" + large + b"\0",
        "many frames": b"\0\xff\xff\x03\0" + bytes(20),
        "payload": b"\0\x01\0" + b"\x48\x10\x01" + large + bytes(20),
    }[place]
    return whole[:header] + chunk(ord("G"), body)


@pytest.mark.parametrize("place", ["header", "chunk", "frames", "many frames", "payload"])
def test_a_claim_of_4_gb_is_refused_at_once(whole: bytes, place: str) -> None:
    data = huge(whole, place)
    began = time.monotonic()
    with pytest.raises(DamagedFile):
        list(Reader(opened(data)).chunks())
    assert time.monotonic() - began < 0.5


def test_a_newer_version_is_said(whole: bytes) -> None:
    with pytest.raises(WrongVersion, match="version 2"):
        Reader(opened(whole[:8] + b"\2\0" + whole[10:]))


@pytest.mark.parametrize("data", [b"", b"\x89DVC", b"RIFF....AVI LIST" * 4, bytes(100)])
def test_other_files_are_said_to_be_no_dvc_file(data: bytes) -> None:
    with pytest.raises(DamagedFile, match=r"not a \.dvc file"):
        Reader(opened(data))


def test_unknown_chunks_are_skipped_in_lower_case_and_refused_in_upper(whole: bytes) -> None:
    header = PREFIX + int.from_bytes(whole[10:14], "little") + 4
    for kind, refused in ((b"x", False), (b"X", True)):
        data = whole[:header] + chunk(kind[0], b"later") + whole[header:-1]
        with Reader(opened(data)) as reader:
            if refused:
                with pytest.raises(WrongVersion):
                    list(reader.chunks())
            else:
                assert [one for one in reader.chunks() if isinstance(one, Gop)] == list(GOPS)


def test_critical_header_flags_are_refused(whole: bytes) -> None:
    header = PREFIX + int.from_bytes(whole[10:14], "little") + 4
    start = bytearray(whole[: header - 4])
    start[-2] |= 1  # the highest byte of the flags; one byte of extensions follows
    data = bytes(start) + zlib.crc32(start).to_bytes(4, "little") + whole[header:]
    with pytest.raises(WrongVersion, match="flags"):
        Reader(opened(data))


def test_a_message_says_what_where_and_what_was_expected(tmp_path: Path, whole: bytes) -> None:
    path = tmp_path / "clip.dvc"
    data = bytearray(whole)
    with Reader(opened(whole)) as reader:
        offset = reader.index[1].offset
    data[offset + 30] ^= 1
    path.write_bytes(data)
    with Reader(path) as reader, pytest.raises(DamagedFile) as caught:
        reader.read_gop(1)
    message = str(caught.value)
    assert "clip.dvc" in message
    assert f"byte {offset}" in message
    assert "CRC-32" in message
