"""What pictures carry that no .dvc file has a place for is named, not dropped in silence."""

import json
import struct
from pathlib import Path

import av
import pytest

from dvc_codec.cli.main import main
from dvc_codec.video import open_video
from tests.video.test_hdr import hdr10

T35 = 4  # SEI payload type: user_data_registered_itu_t_t35
# Country, provider, ...: SMPTE 2094-40, one window, everything else 0; two captions, ATSC A/53
HDR10_PLUS = bytes.fromhex("b5003c00010401 40") + bytes(15)
CAPTIONS = bytes.fromhex("b50031 47413934 03 42ff fc9420 fc9420 ff")


def with_message(source: Path, target: Path, message: bytes) -> Path:
    """Raw HEVC of ``source``'s pictures, each with an SEI message of T.35 before it."""
    sei = bytes([T35, len(message)]) + message + b"\x80"
    escaped = bytearray()
    for byte in sei:  # two zeros in a row are followed by a 3 where a start code could begin
        if byte <= 3 and escaped.endswith(b"\0\0"):
            escaped.append(3)
        escaped.append(byte)
    unit = b"\0\0\0\1" + bytes([39 << 1, 1]) + bytes(escaped)
    with av.open(str(source)) as container:
        packets = [bytes(p) for p in container.demux(video=0) if p.size]
        head = container.streams.video[0].codec_context.extradata or b""
    assert b"\0\0\1" in head[:4]
    target.write_bytes(head + b"".join(unit + packet for packet in packets))
    return target


def with_dolby_vision(source: Path, target: Path) -> Path:
    """``source``, an .mp4 whose index is at its end, with a Dolby Vision configuration."""
    data = bytearray(source.read_bytes())
    assert data.find(b"mdat") < data.find(b"moov")
    config = bytes([1, 0, 8 << 1, 4 << 3 | 0b101, 1 << 4]) + bytes(19)  # profile 8, level 4
    box = struct.pack(">I4s", 8 + len(config), b"dvvC") + config
    entry = data.find(b"hev1") - 4
    (size,) = struct.unpack_from(">I", data, entry)
    for name in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"hev1"):
        at = data.find(name) - 4
        struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(box))
    data[entry + size : entry + size] = box
    target.write_bytes(data)
    return target


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hdr10(tmp_path_factory.mktemp("plain") / "in.mp4")


@pytest.fixture(scope="module")
def annex_b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hdr10(tmp_path_factory.mktemp("raw") / "in.hevc")


def test_an_ordinary_file_loses_nothing(plain: Path) -> None:
    with open_video(plain) as reader:
        assert reader.info.uncarried == ()


@pytest.mark.parametrize(
    ("message", "name"), [(HDR10_PLUS, "HDR10+ metadata"), (CAPTIONS, "closed captions")]
)
def test_what_is_in_a_message_is_named(
    message: bytes, name: str, annex_b: Path, tmp_path: Path
) -> None:
    with open_video(with_message(annex_b, tmp_path / "in.hevc", message)) as reader:
        assert reader.info.uncarried == (name,)
        assert reader.info.hdr is not None


def test_encode_says_so_in_one_line_and_in_json(
    plain: Path, tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = with_dolby_vision(plain, tmp_path / "in.mp4")
    words = [str(source), str(tmp_path / "v.dvc"), "--convert", "--json", "--model", str(weights)]
    assert main(["encode", *words]) == 0
    out, error = capfd.readouterr()
    assert f"note: {source}: left out: Dolby Vision metadata\n" in error
    assert json.loads(out)["left_out"] == ["Dolby Vision metadata"]


def test_transcode_says_so_too(
    plain: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = with_dolby_vision(plain, tmp_path / "in.mp4")
    assert main(["transcode", str(source), str(tmp_path / "out.mp4"), "--convert"]) == 0
    assert capfd.readouterr().err.count("left out: Dolby Vision metadata") == 1
