from pathlib import Path

import pytest

from dvc_codec.errors import FileMissing, OutOfRange, UsageError
from dvc_codec.evaluation.sequences import Sequence, sequences_in


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two videos by name, and what is none."""
    for name in ("car.mp4", "beach.Y4M", "notes.txt", "raw.yuv"):
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    return tmp_path


def test_videos_come_in_order_with_the_frame_limit(folder: Path) -> None:
    assert sequences_in(folder, frames=7) == [
        Sequence("beach", folder / "beach.Y4M", 7),
        Sequence("car", folder / "car.mp4", 7),
    ]
    assert [s.name for s in sequences_in(folder, ["car"])] == ["car"]


def test_what_is_not_there_is_said(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="named boat; there are beach, car"):
        sequences_in(folder, ["car", "boat"])
    with pytest.raises(FileMissing, match="is no folder"):
        sequences_in(folder / "nowhere")
    (empty := tmp_path / "empty").mkdir()
    with pytest.raises(FileMissing, match="found no video"):
        sequences_in(empty)
    with pytest.raises(OutOfRange):
        sequences_in(folder, frames=0)


def test_two_videos_of_one_name_are_refused(folder: Path) -> None:
    (folder / "car.mkv").touch()
    with pytest.raises(UsageError, match="same name"):
        sequences_in(folder)
