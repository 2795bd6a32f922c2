import re
import subprocess
from pathlib import Path

import pytest

from dvc_codec.errors import UsageError
from dvc_codec.evaluation.anchors import ANCHORS, anchor_named, check_anchors
from dvc_codec.evaluation.frame_bits import packet_bits
from dvc_codec.evaluation.metrics import compare_files
from tests.files import write_video
from tests.moving import panned_texture

# As in the project's design, section 9.
COMMANDS = {
    "x264-veryfast": "-c:v libx264 -preset veryfast -tune zerolatency -crf 27 "
    "-g 12 -keyint_min 12 -sc_threshold 0",
    "x265-veryfast": "-c:v libx265 -preset veryfast -tune zerolatency "
    "-x265-params aq-mode=1:crf=27:keyint=12:min-keyint=12:scenecut=0",
    "x265-medium": "-c:v libx265 -preset medium "
    "-x265-params aq-mode=1:crf=27:keyint=12:min-keyint=12",
    "svtav1-6": "-c:v libsvtav1 -preset 6 -crf 27 -g 12",
    "vvenc-faster": "-c:v libvvenc -preset faster -qp 27 -g 12",
    "libaom-6": "-c:v libaom-av1 -cpu-used 6 -crf 27 -b:v 0 -g 12",
}
PICTURES = [anchor.name for anchor in ANCHORS.values() if anchor.pictures]


def test_every_anchor_has_its_command_here() -> None:
    assert set(ANCHORS) == {*COMMANDS, *PICTURES}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_is_the_designs(name: str) -> None:
    anchor = anchor_named(name)
    target = Path(f"out{anchor.suffix}")
    words = anchor.encode_command(Path("in.y4m"), target, 27, 12)[1:]
    ours = "-threads 1" + (f" -bsf:v {anchor.strip}" if anchor.strip else "")
    expected = f"-v error -y -i in.y4m -an {COMMANDS[name]} {ours} {target}"
    assert " ".join(words) == expected


def test_points_fall_in_quality() -> None:
    for anchor in ANCHORS.values():
        assert list(anchor.points) == sorted(set(anchor.points))
        assert len(anchor.points) >= 4


def test_a_point_between_whole_numbers_reaches_the_encoder() -> None:
    command = anchor_named("x265-veryfast").encode_command(Path("a"), Path("b"), 27.25, 12)
    assert "crf=27.25:keyint=12" in " ".join(command)


def test_image_codecs_are_for_images_and_encoders_must_be_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_anchors(["x264-veryfast", "jpeg"], pictures=True)
    with pytest.raises(UsageError, match="jpeg codes single pictures"):
        check_anchors(["jpeg"], pictures=False)
    monkeypatch.setattr("dvc_codec.evaluation.anchors._encoders", lambda: frozenset({"libx264"}))
    check_anchors(["x264-veryfast"], pictures=False)
    with pytest.raises(UsageError, match="libaom-6: this FFmpeg has no libaom-av1"):
        check_anchors(["libaom-6"], pictures=False)


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_comes_back_better_at_the_better_end(tmp_path: Path, name: str) -> None:
    source = write_video(tmp_path / "in.y4m", panned_texture(size=(128, 96), frames=1))
    anchor = anchor_named(name)
    found = []
    for point in (anchor.points[0], anchor.points[-1]):
        coded, decoded = tmp_path / f"c{anchor.suffix}", tmp_path / "d.y4m"
        subprocess.run(anchor.encode_command(source, coded, point, 32), check=True)
        subprocess.run(anchor.decode_command(coded, decoded), check=True)
        quality = compare_files(source, decoded)
        found.append((coded.stat().st_size, quality.weighted_psnr))
        (frame,) = packet_bits(coded)
        assert frame["all"] <= 8 * found[-1][0] < frame["all"] + 8 * 200
    found.sort()
    assert found[0][0] < found[1][0]
    assert 20 < found[0][1] < found[1][1] - 3


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UsageError, match="x264-slow; there are x264-veryfast"):
        anchor_named("x264-slow")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_video_comes_back_with_every_frame_and_no_text_in_its_stream(
    tmp_path: Path, name: str
) -> None:
    source = write_video(tmp_path / "in.y4m", panned_texture(size=(128, 96), frames=5))
    anchor = anchor_named(name)
    sizes = []
    for point in (anchor.points[0], anchor.points[-1]):
        coded, decoded = tmp_path / f"c{anchor.suffix}", tmp_path / "d.y4m"
        subprocess.run(anchor.encode_command(source, coded, point, 4), check=True)
        subprocess.run(anchor.decode_command(coded, decoded), check=True)
        quality = compare_files(source, decoded)
        assert quality.frames == 5
        bits = [frame["all"] for frame in packet_bits(coded)]
        assert len(bits) == 5
        assert sum(bits) <= 8 * coded.stat().st_size <= sum(bits) + 8 * 20
        assert quality.weighted_psnr > 25
        assert not re.search(rb"x26[45]|options:", coded.read_bytes())
        sizes.append(coded.stat().st_size)
    assert sizes[0] > 2 * sizes[1]
