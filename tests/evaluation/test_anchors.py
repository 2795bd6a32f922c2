import re
import subprocess
from pathlib import Path

import pytest

from dvc_codec.errors import UsageError
from dvc_codec.evaluation.anchors import ANCHORS, anchor_named
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
}


def test_every_anchor_has_its_command_here() -> None:
    assert set(ANCHORS) == set(COMMANDS)


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
        assert quality.weighted_psnr > 25
        assert not re.search(rb"x26[45]|options:", coded.read_bytes())
        sizes.append(coded.stat().st_size)
    assert sizes[0] > 2 * sizes[1]
