"""Vimeo-90k's tree: what is listed, what is there, what is whole."""

from pathlib import Path
from zipfile import ZipFile

import pytest
import torch

from data_prep.vimeo90k import Report as VimeoReport
from data_prep.vimeo90k import check, check_archive, main, names_in
from dvc_codec.errors import DamagedFile, FileMissing
from dvc_codec.training.clips import load_clips
from tests.training.clips import write_septuplet


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A missing folder, a blank line, a truncated picture, a missing one, a folder in no list."""
    root = tmp_path / "vimeo_septuplet"
    names = ["00001/0001", "00001/0002", "00001/0003", "00001/0004", "00002/0001", "00002/0002"]
    for number, name in enumerate(names):
        write_septuplet(root / "sequences" / name, seed=number)
    cut = root / "sequences/00001/0002/im4.png"
    cut.write_bytes(cut.read_bytes()[:-100])
    (root / "sequences/00001/0003/im7.png").unlink()
    train = ["00001/0001", "00001/0002", "", "00001/0003", "00007/0001", "00002/0001"]
    (root / "sep_trainlist.txt").write_text("\n".join(train) + "\n")
    (root / "sep_testlist.txt").write_text("00002/0002\n")
    return root


def test_a_damaged_tree_is_described_and_the_rest_becomes_shards(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tree), "--shards", str(tmp_path / "out")]) == DamagedFile.exit_code
    said = capsys.readouterr().out
    assert "00001/0002/im4.png" in said and "00001/0003/im7.png: is missing" in said
    assert "00007/0001: is listed and not there" in said
    assert "6 folders, 1 of them in no list; 1 blank lines" in said
    assert "train: 5 listed, 2 whole" in said and "test: 1 listed, 1 whole" in said
    found = load_clips(tmp_path / "out" / "train")
    assert found.pictures.shape == (2, 7, 96, 64)
    assert "00002/0001" in (tmp_path / "out" / "train" / "clips.csv").read_text()


def test_a_whole_tree_is_fine(tree: Path) -> None:
    (tree / "sep_trainlist.txt").write_text("00001/0001\n")
    report = check(tree)
    assert report.unusable == [] and report.used == {"train": 1, "test": 1}
    assert main([str(tree)]) == 0


def test_names_listed_twice_count_once(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("00001/0001\n00001/0001\n\n")
    report = VimeoReport()
    assert names_in(path, report) == ["00001/0001"]
    assert report.blank == 1 and report.twice == ["00001/0001 in list.txt"]


def test_archives_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "vimeo.zip"
    with ZipFile(path, "w") as archive:
        archive.writestr("a/im1.png", bytes(torch.arange(200, dtype=torch.uint8).tolist()))
    assert check_archive(path) == 1
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    with pytest.raises(DamagedFile, match="check sum"):
        check_archive(path)


def test_a_folder_without_sequences_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileMissing, match="sequences"):
        check(tmp_path)


def test_the_real_lists_have_the_numbers_they_should(shared_data: Path) -> None:
    report = VimeoReport()
    lists = shared_data / "vimeo_lists"
    counts = [len(names_in(lists / f"sep_{part}list.txt", report)) for part in ("train", "test")]
    assert counts == [64612, 7824]
