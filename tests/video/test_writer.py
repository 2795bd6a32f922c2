"""A file is whole under its name, or not there."""

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest

from dvc_codec.errors import CannotWrite, UnsupportedVideo, UsageError
from dvc_codec.video import VideoInfo, open_video, open_writer
from tests.moving import moving_square, noise

INFO = VideoInfo(64, 48, Fraction(25), Fraction(1, 25))
SUFFIXES = (".y4m", ".mkv", ".mp4", ".yuv")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_has_the_final_name_before_the_end(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    with open_writer(path, INFO) as writer:
        for pts, picture in enumerate(moving_square()):
            writer.write(picture, pts)
        assert [file.name for file in tmp_path.iterdir()] == [f"v{suffix}.part"]
    assert [file.name for file in tmp_path.iterdir()] == [f"v{suffix}"]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_exception_leaves_what_was_there(
    tmp_path: Path, suffix: str, error: type[BaseException]
) -> None:
    path = tmp_path / f"v{suffix}"
    path.write_bytes(b"the old one")
    with pytest.raises(error), open_writer(path, INFO) as writer:
        writer.write(moving_square()[0], 0)
        raise error
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_link_points_to_is_replaced(tmp_path: Path) -> None:
    real, link = tmp_path / "real.y4m", tmp_path / "link.y4m"
    real.write_bytes(b"the old one")
    link.symlink_to(real)
    with open_writer(link, INFO) as writer:
        writer.write(moving_square()[0], 0)
    assert link.is_symlink()
    with open_video(real) as reader:
        assert len(list(reader)) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "v.y4m"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE) as reader:
        with open_writer(pipe, INFO) as writer:
            writer.write(moving_square()[0], 0)
        written, _ = reader.communicate()
    assert written.startswith(b"YUV4MPEG2 W64 H48")
    assert pipe.is_fifo()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unwritable_targets(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(CannotWrite, match="nowhere"):
        open_writer(tmp_path / "nowhere" / f"v{suffix}", INFO)
    folder = tmp_path / f"folder{suffix}"
    folder.mkdir()
    with pytest.raises(CannotWrite, match="folder"):
        open_writer(folder, INFO)


def test_an_unknown_suffix_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.y4m"):
        open_writer(tmp_path / "v.xyz", INFO)
    assert list(tmp_path.iterdir()) == []


def test_a_lossless_mp4_of_odd_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedVideo, match="33x17"):
        open_writer(
            tmp_path / "v.mp4", VideoInfo(33, 17, Fraction(25), Fraction(1, 25)), lossless=True
        )
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_another_size_is_a_mistake(tmp_path: Path) -> None:
    with open_writer(tmp_path / "v.y4m", INFO) as writer, pytest.raises(ValueError, match="64x48"):
        writer.write(moving_square(size=(33, 17))[0], 0)


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path, suffix: str) -> None:
    """In a second process whose files may not grow beyond 20,000 bytes."""
    program = f"""
import resource, signal
from dvc_codec.errors import CannotWrite
from dvc_codec.video import open_writer
from tests.moving import noise
from tests.video.test_writer import INFO
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
try:
    with open_writer("v{suffix}", INFO) as writer:
        for pts, picture in enumerate(noise(frames=60)):
            writer.write(picture, pts)
except CannotWrite as error:
    print(error)
"""
    root = Path(__file__).resolve().parents[2]
    result = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
    )
    assert result.stdout.startswith(f"v{suffix}: cannot be written: "), result
    assert list(tmp_path.iterdir()) == []


def test_a_closed_pipe_is_reported(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    program = """
import sys
from dvc_codec.errors import CannotWrite
from dvc_codec.video import open_writer
from tests.moving import noise
from tests.video.test_writer import INFO
try:
    with open_writer("-", INFO) as writer:
        for pts, picture in enumerate(noise(frames=60)):
            writer.write(picture, pts)
except CannotWrite as error:
    print(error, file=sys.stderr)
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
    )
    os.close(write_end)
    assert result.stderr.startswith("standard output: cannot be written: "), result


def test_noise_uses_the_whole_range() -> None:
    picture = noise(frames=1)[0]
    assert (picture.y.min(), picture.y.max()) == (0, 255)
