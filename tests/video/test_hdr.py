"""HDR10's static metadata, from a generated HDR10 file through a .dvc file and back."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from dvc_codec.cli.main import main
from dvc_codec.container import Hdr, Reader, hdr_extension, hdr_of
from dvc_codec.errors import DamagedFile, OutOfRange
from dvc_codec.video import VideoInfo, open_video, open_writer
from tests.container.examples import HEADER
from tests.moving import panned_texture

# P3 primaries in BT.2020, 1000 cd/m² at most, 0.005 at least
DISPLAY = (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 10_000_000, 50)
LEVELS = (1000, 400)
X265 = (
    "log-level=none:master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)"
    "L(10000000,50):max-cll=1000,400"
)


def hdr10(path: Path, options: str = X265, transfer: int = 16) -> Path:
    """Three grey frames of 10 bits, BT.2020, PQ."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx265", rate=25, options={"x265-params": options})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p10le"
        context = stream.codec_context
        context.color_range, context.colorspace = 1, 9
        context.color_primaries, context.color_trc = 9, transfer
        for number in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p10le")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_hdr10_comes_back(
    suffix: str, tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source, coded = hdr10(tmp_path / f"in{suffix}"), tmp_path / "v.dvc"
    model = ["--model", str(weights)]
    assert main(["encode", str(source), str(coded), "--convert", *model]) == 0
    error = capfd.readouterr().err
    assert "note: " in error and "HDR (PQ) is kept as it is, in 8 bits" in error
    with Reader(coded) as reader:
        assert hdr_of(reader.header, "v") == Hdr(DISPLAY, LEVELS)
    assert main(["info", str(coded), "--json"]) == 0
    said = json.loads(capfd.readouterr().out)["hdr"]
    assert (said["red"], said["most_luminance"], said["max_cll"]) == ([0.68, 0.32], 1000, 1000)

    target = tmp_path / f"out{suffix}"
    assert main(["decode", str(coded), str(target), "--video", "x264", *model]) == 0
    with open_video(target) as reader:
        assert reader.info.hdr == Hdr(DISPLAY, LEVELS)
        assert (reader.info.colour.transfer, reader.info.colour.primaries) == (16, 9)


@pytest.mark.parametrize("name", ["out.mkv", "out.y4m"])
def test_a_file_without_a_place_for_it_says_so(name: str, tmp_path: Path) -> None:
    info = VideoInfo(64, 48, Fraction(25), Fraction(1, 25), hdr=Hdr(DISPLAY))
    with open_writer(tmp_path / name, info) as writer:
        writer.write(panned_texture(frames=1)[0], 0)
        assert writer.left_out == ["HDR metadata"]


def test_half_of_it_is_half_of_it(tmp_path: Path) -> None:
    path = hdr10(tmp_path / "in.mkv", "log-level=none:max-cll=1000,400", transfer=18)
    with open_video(path) as reader:
        assert reader.info.hdr == Hdr(light=LEVELS)
    info = VideoInfo(64, 48, Fraction(25), Fraction(1, 25), hdr=Hdr(light=LEVELS))
    with open_writer(tmp_path / "out.mp4", info) as writer:
        for pts, picture in enumerate(panned_texture(frames=2)):
            writer.write(picture, pts)
    with open_video(tmp_path / "out.mp4") as reader:
        assert reader.info.hdr == Hdr(light=LEVELS)


def test_an_ordinary_video_has_none(ordinary: Path) -> None:
    with open_video(ordinary) as reader:
        assert reader.info.hdr is None


@pytest.fixture
def ordinary(tmp_path: Path) -> Path:
    """Any video that is not HDR."""
    info = VideoInfo(64, 48, Fraction(25), Fraction(1, 25))
    with open_writer(tmp_path / "in.mp4", info) as writer:
        writer.write(panned_texture(frames=1)[0], 0)
    return tmp_path / "in.mp4"


@pytest.mark.parametrize("hdr", [Hdr(DISPLAY, LEVELS), Hdr(DISPLAY), Hdr(light=LEVELS), None])
def test_the_extension_says_what_it_was_told(hdr: Hdr | None) -> None:
    assert hdr_of(replace(HEADER, extensions=hdr_extension(hdr)), "v") == hdr


@pytest.mark.parametrize("data", [b"", b"\0", b"\4", b"\1" + bytes(23), b"\2" + bytes(5)])
def test_a_damaged_extension_is_refused(data: bytes) -> None:
    with pytest.raises(DamagedFile):
        hdr_of(replace(HEADER, extensions=((6, data),)), "v")


def test_numbers_that_do_not_fit_are_refused() -> None:
    with pytest.raises(OutOfRange):
        hdr_extension(Hdr(light=(70000, 1)))
