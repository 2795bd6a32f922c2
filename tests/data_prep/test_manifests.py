"""Evaluation sets: sizes against frame counts, names, damage, the manifest."""

import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest

from data_prep import hevc, kodak, mcl_jcv, uvg
from data_prep.manifest import MANIFEST
from dvc_codec.errors import DamagedFile, FileMissing
from dvc_codec.training.sheet import png


def sparse(path: Path, size: int) -> None:
    """A file of this size that takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


def said(folder: Path) -> dict[str, dict[str, object]]:
    content = json.loads((folder / MANIFEST).read_text())
    assert content["licence"]
    return {sequence["name"]: sequence for sequence in content["sequences"]}


def test_hevc_sequences_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = 416 * 240 * 3 // 2
    sparse(tmp_path / "RaceHorses_416x240_30.yuv", 300 * one)
    sparse(tmp_path / "BQSquare_416x240_60.yuv", 599 * one)
    sparse(tmp_path / "BlowingBubbles_416x240_50.yuv", 500 * one + 1)
    assert hevc.main([str(tmp_path)]) == DamagedFile.exit_code
    captured = capsys.readouterr()
    assert "are 599 frames, expected 600" in captured.err
    assert "are 500 frames and 1 bytes more" in captured.err
    assert "missing: BQMall" in captured.out
    found = said(tmp_path)
    assert list(found) == ["RaceHorses"]
    assert (found["RaceHorses"]["width"], found["RaceHorses"]["frames"]) == (416, 300)
    assert len(str(found["RaceHorses"]["sha256"])) == 64


def test_uvg_s_short_one_has_300_frames() -> None:
    assert uvg.FRAMES["ShakeNDry"] == 300 and uvg.FRAMES["Beauty"] == 600
    assert len(uvg.FRAMES) == 7


def test_uvg_refuses_what_is_not_its_own(tmp_path: Path) -> None:
    sparse(tmp_path / "ShakeNDry_1920x1080_120fps_420_8bit_YUV.yuv", 1920 * 1080 * 3 // 2 * 2)
    with pytest.raises(DamagedFile, match="are 2 frames, expected 300"):
        uvg.read(tmp_path / "ShakeNDry_1920x1080_120fps_420_8bit_YUV.yuv")
    sparse(tmp_path / "Other_1920x1080_120fps_420_8bit_YUV.yuv", 1)
    with pytest.raises(DamagedFile, match="is none of Beauty"):
        uvg.read(tmp_path / "Other_1920x1080_120fps_420_8bit_YUV.yuv")


def test_archives_are_unpacked_or_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("deep/videoSRC31_1920x1080_30.yuv", b"x")
    assert mcl_jcv.main([str(tmp_path)]) == DamagedFile.exit_code
    assert "expected a name like videoSRC01" in capsys.readouterr().err
    (tmp_path / "Beauty.7z").write_bytes(b"7z")
    assert uvg.main([str(tmp_path)]) == FileMissing.exit_code
    assert "7z x Beauty.7z" in capsys.readouterr().err


def test_kodak_pictures(tmp_path: Path) -> None:
    (tmp_path / "kodim01.png").write_bytes(png(np.zeros((512, 768, 3), np.uint8)))
    (tmp_path / "kodim04.png").write_bytes(png(np.zeros((768, 512, 3), np.uint8)))
    assert kodak.main([str(tmp_path)]) == 0
    assert list(said(tmp_path)) == ["kodim01", "kodim04"]
    (tmp_path / "kodim05.png").write_bytes(png(np.zeros((64, 64, 3), np.uint8))[:-20])
    assert kodak.main([str(tmp_path)]) == DamagedFile.exit_code


def test_the_real_kodak_set_is_whole(shared_data: Path, tmp_path: Path) -> None:
    for path in (shared_data / "kodak").glob("*.png"):
        (tmp_path / path.name).symlink_to(path)
    assert kodak.main([str(tmp_path)]) == 0
    assert len(said(tmp_path)) == 24
