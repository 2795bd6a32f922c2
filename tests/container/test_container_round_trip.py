import hashlib
import zlib
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvc_codec.container import (
    FrameRecord,
    Gop,
    Header,
    Packet,
    Reader,
    Writer,
    picture_hash,
)
from dvc_codec.container.chunks import packets_body, parse_packets
from dvc_codec.container.frames import gop_body, parse_gop
from dvc_codec.container.header import header_bytes, parse_header
from dvc_codec.errors import CannotWrite, FileMissing, OutOfRange
from tests.container.examples import (
    GOPS,
    HEADER,
    PACKETS,
    frame_i,
    frame_p,
    gops,
    headers,
    opened,
    packets,
    write_example,
)

quick = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@quick
@given(headers)
def test_any_header_comes_back(header: Header) -> None:
    assert parse_header(header_bytes(header), "x") == header


@quick
@given(gops())
def test_any_gop_comes_back(gop: Gop) -> None:
    assert parse_gop(gop_body(gop, HEADER), HEADER, "x") == gop


@quick
@given(st.lists(packets, max_size=6))
def test_any_packets_come_back(some: list[Packet]) -> None:
    assert parse_packets(packets_body(some), "x") == some


def test_a_file_comes_back_whole(tmp_path: Path) -> None:
    write_example(tmp_path / "a.dvc")
    with Reader(tmp_path / "a.dvc") as reader:
        assert reader.header == HEADER
        assert not reader.index_rebuilt
        assert reader.frame_count == 9
        assert tuple(reader.read_gop(i) for i in range(3)) == GOPS
        assert [entry.first_pts for entry in reader.index] == [0, 3003, 6006]
        assert list(reader.chunks()) == [*PACKETS[:2], GOPS[0], PACKETS[2], *GOPS[1:]]
        assert tuple(reader.packets()) == PACKETS
        assert reader.read_cut_gop() is None


def test_a_file_without_frames_is_whole(tmp_path: Path) -> None:
    with Writer(tmp_path / "a.dvc", HEADER):
        pass
    with Reader(tmp_path / "a.dvc") as reader:
        assert (reader.frame_count, reader.index, reader.index_rebuilt) == (0, (), False)


def test_the_bytes_of_version_1_do_not_change(tmp_path: Path) -> None:
    """A change here is a change of the format: a new version, and the old one still read."""
    data = write_example(tmp_path / "a.dvc")
    assert hashlib.sha256(data).hexdigest() == (
        "8944be54e14462883f7263f711b1c0edb9e167dccf1f3e246ebd676c6c5c4e35"
    )


def test_the_bytes_of_groups_without_b_frames_are_those_of_the_first_release(
    tmp_path: Path,
) -> None:
    with Writer(tmp_path / "a.dvc", HEADER) as writer:
        for gop in GOPS[:2]:
            writer.write_gop(gop)
    data = (tmp_path / "a.dvc").read_bytes()
    assert hashlib.sha256(data).hexdigest() == (
        "cf2bb37da04f009d44da3ec4684a1ec59585ff2cd673e9ce8eb54ba9b56d555f"
    )


def test_a_usual_p_frame_costs_8_bytes_beside_its_payloads() -> None:
    usual = frame_p(1001, (b"m" * 100, b"r" * 500))
    both = gop_body(Gop(0, (frame_i(), usual)), HEADER)
    alone = gop_body(Gop(0, (frame_i(),)), HEADER)
    assert len(both) - len(alone) - 600 == 8


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001)])
def test_rounded_times_need_no_bytes(rate: Fraction) -> None:
    """Milliseconds, as Matroska has them: 33, 67, 100."""
    header = replace(HEADER, frame_rate=rate, time_base=Fraction(1, 1000))
    gop = Gop(0, (frame_i(), *(frame_p(header.ticks(i)) for i in range(1, 30))))
    assert (len(gop_body(gop, header)) - len(gop_body(Gop(0, gop.frames[:1]), header))) % 29 == 0


def test_byte_counts_add_up_to_the_file(tmp_path: Path) -> None:
    with Writer(tmp_path / "a.dvc", HEADER) as writer:
        for packet in PACKETS:
            writer.write_packet(packet)
        for gop in GOPS:
            writer.write_gop(gop)
        assert not (tmp_path / "a.dvc").exists()
    counts = writer.byte_counts
    assert counts.total == writer.bytes_written == (tmp_path / "a.dvc").stat().st_size
    assert counts.intra == 3 * 40
    assert counts.inter == 5 * 60 + 3


def test_an_exception_leaves_the_old_file_and_no_part(tmp_path: Path) -> None:
    target = tmp_path / "a.dvc"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), Writer(target, HEADER) as writer:
        writer.write_gop(GOPS[0])
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_kept_part_can_be_read(tmp_path: Path) -> None:
    with (
        pytest.raises(KeyboardInterrupt),
        Writer(tmp_path / "a.dvc", HEADER, keep_partial=True) as writer,
    ):
        writer.write_gop(GOPS[0])
        raise KeyboardInterrupt
    with Reader(tmp_path / "a.dvc.part") as reader:
        assert reader.index_rebuilt
        assert reader.read_gop(0) == GOPS[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    with (
        pytest.raises(CannotWrite, match=r"a\.dvc.*No space left") as caught,
        Writer(tmp_path / "a.dvc", HEADER) as writer,
    ):
        writer._file.close()
        writer._file = Path("/dev/full").open("wb")  # noqa: SIM115
        writer.write_gop(GOPS[0])
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("place", ["missing/a.dvc", "."])
def test_a_place_that_cannot_be_written_is_said(tmp_path: Path, place: str) -> None:
    with pytest.raises(CannotWrite):
        Writer(tmp_path / place, HEADER)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="No such file"):
        Reader(tmp_path / "none.dvc")


@pytest.mark.parametrize(
    "frame",
    [
        replace(frame_i(), intra_codec=None),
        replace(frame_p(0), intra_codec=1),
        replace(frame_p(0), rate_index=256),
        replace(frame_p(0), scale=17),
        replace(frame_p(0), picture_hash=2**32),
        replace(frame_p(0), payloads=(b"",) * 17),
        replace(frame_p(0), references=(0,)),
    ],
)
def test_what_the_format_cannot_hold_is_refused(tmp_path: Path, frame: FrameRecord) -> None:
    with Writer(tmp_path / "a.dvc", HEADER) as writer:
        with pytest.raises(OutOfRange):
            writer.write_gop(Gop(0, (frame,)))
        writer.write_gop(GOPS[0])
    with Reader(tmp_path / "a.dvc") as reader:
        assert reader.read_gop(0) == GOPS[0]


def test_gops_are_written_in_order(tmp_path: Path) -> None:
    with (
        Writer(tmp_path / "a.dvc", HEADER) as writer,
        pytest.raises(ValueError, match="expected 0"),
    ):
        writer.write_gop(GOPS[1])


def test_picture_hash_is_the_crc_of_the_planes_in_order() -> None:
    y = np.arange(60, dtype=np.uint8).reshape(6, 10)
    u = v = y[:3, :5]  # not contiguous
    expected = zlib.crc32(y.tobytes() + u.tobytes() + v.tobytes())
    assert picture_hash(y, u, v) == expected


def test_an_open_file_stays_open(tmp_path: Path) -> None:
    source = opened(write_example(tmp_path / "a.dvc"))
    with Reader(source) as reader:
        assert reader.frame_count == 9
    assert not source.closed
