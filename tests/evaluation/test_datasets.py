"""Trees as the real ones are named and as long as they are: sparse files with some first frames."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dvc_codec.cli.main import main
from dvc_codec.errors import FileMissing, NotAVideo, UsageError
from dvc_codec.evaluation.datasets import SETS, Known, sequences_of, split_data
from dvc_codec.evaluation.results import Results
from dvc_codec.evaluation.sequences import Sequence
from dvc_codec.evaluation.task import Task
from dvc_codec.video import open_video
from tests.files import write_video
from tests.moving import panned_texture


def known(kind: str, name: str) -> Known:
    return next(one for one in SETS[kind] if one.name == name)


def write_raw(path: Path, one: Known, frames: int = 1, more: int = 0) -> Path:
    """A .yuv with content in its first frames, and as many bytes as the real one (and ``more``)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = panned_texture(size=(64, 48), frames=frames)
    with path.open("wb") as file:
        for picture in pictures:
            for plane, shape in zip(picture.planes, shapes(one), strict=True):
                rows = -(-shape[0] // plane.shape[0]), -(-shape[1] // plane.shape[1])
                file.write(np.tile(plane, rows)[: shape[0], : shape[1]].tobytes())
        file.truncate(one.frame_bytes * one.frames + more)
    return path


def shapes(one: Known) -> tuple[tuple[int, int], ...]:
    half = one.height // 2, one.width // 2
    return (one.height, one.width), half, half


def test_the_sets_are_complete() -> None:
    assert {kind: len(items) for kind, items in SETS.items()} == {
        "uvg": 7,
        "hevc": 16,
        "mcl-jcv": 30,
    }
    groups = [one.group for one in SETS["hevc"]]
    assert [groups.count(f"HEVC {c}") for c in "BCDE"] == [5, 4, 4, 3]
    assert known("uvg", "ShakeNDry").frames == 300
    assert sum(one.frames for one in SETS["mcl-jcv"]) == 5 * (7 * 24 + 7 * 25 + 16 * 30)
    for items in SETS.values():
        assert len({one.name for one in items}) == len(items)


def test_a_tree_of_real_names_is_found_by_class(tmp_path: Path) -> None:
    d, c = known("hevc", "RaceHorsesD"), known("hevc", "RaceHorsesC")
    first = write_raw(tmp_path / "ClassD" / "RaceHorses_416x240_30.yuv", d, frames=2)
    write_raw(tmp_path / "ClassC" / "RaceHorses_832x480_30.yuv", c)
    one_more = known("hevc", "BasketballPass")
    write_raw(tmp_path / "BasketballPass_416x240_50.yuv", one_more, more=one_more.frame_bytes)
    (tmp_path / "md5.txt").touch()
    found = sequences_of(f"hevc:{tmp_path}")
    assert [(one.name, one.group, one.frames) for one in found] == [
        ("RaceHorsesC", "HEVC C", 300),
        ("BasketballPass", "HEVC D", 500),
        ("RaceHorsesD", "HEVC D", 300),
    ]
    (shortened,) = sequences_of(f"hevc:{tmp_path}", ["RaceHorsesD"], 2)
    assert shortened == Sequence("RaceHorsesD", first, 2, "HEVC D", d.raw)
    with open_video(shortened.path, frames=2, raw=shortened.raw) as reader:
        pictures = [frame.picture for frame in reader]
    wanted = panned_texture(size=(64, 48), frames=2)
    assert [p.y.shape for p in pictures] == [(240, 416)] * 2
    assert all((p.y[:48, :64] == w.y).all() for p, w in zip(pictures, wanted, strict=True))
    task = Task(shortened, "x264-veryfast", 30, 32)
    assert Task.from_json(task.to_json()) == task
    assert task.sequence.raw is not None and task.sequence.raw.frame_rate == Fraction(30)


def test_uvg_and_mcl_jcv_go_by_their_publishers_names(tmp_path: Path) -> None:
    uvg, jcv = tmp_path / "uvg", tmp_path / "jcv"
    write_raw(uvg / "ReadySteadyGo_1920x1080_120fps_420_8bit_YUV.yuv", known("uvg", "ReadySetGo"))
    write_raw(jcv / "videoSRC17_1920x1080_24.yuv", known("mcl-jcv", "videoSRC17"))
    assert [one.name for one in sequences_of(f"UVG:{uvg}")] == ["ReadySetGo"]
    (found,) = sequences_of(f"mcl-jcv:{jcv}")
    assert (found.name, found.frames, found.group) == ("videoSRC17", 120, "MCL-JCV")


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    one = known("hevc", "BQSquare")
    path = write_raw(tmp_path / "a" / "BQSquare_416x240_60.yuv", one, more=-one.frame_bytes // 2)
    with pytest.raises(NotAVideo, match=r"599\.50 frames\), expected 89856000: 600 frames of 416x"):
        sequences_of(f"hevc:{path.parent}")
    write_raw(tmp_path / "b" / "BQSquare_832x480_60.yuv", one)
    with pytest.raises(UsageError, match=r"BQSquare_832x480_60.yuv: is no name of hevc; there are"):
        sequences_of(f"hevc:{tmp_path / 'b'}")
    write_raw(tmp_path / "c" / "RaceHorses.yuv", one)
    with pytest.raises(UsageError, match="put the size into its name"):
        sequences_of(f"hevc:{tmp_path / 'c'}")
    write_video(tmp_path / "BQSquare.y4m", panned_texture(frames=1))
    with pytest.raises(UsageError, match="is BQSquare too; keep one"):
        (tmp_path / "d").mkdir()
        (tmp_path / "BQSquare.y4m").rename(tmp_path / "d" / "BQSquare_1.y4m")
        write_video(tmp_path / "d" / "BQSquare.y4m", panned_texture(size=(416, 240), frames=1))
        (tmp_path / "d" / "BQSquare_1.y4m").unlink()
        write_raw(tmp_path / "d" / "BQSquare_416x240.yuv", one)
        sequences_of(f"hevc:{tmp_path / 'd'}")
    write_video(tmp_path / "e.y4m", panned_texture(frames=1))
    (tmp_path / "e").mkdir()
    (tmp_path / "e.y4m").rename(tmp_path / "e" / "Johnny.y4m")
    with pytest.raises(NotAVideo, match=r"pictures of \(64, 48\), expected \(1280, 720\)"):
        sequences_of(f"hevc:{tmp_path / 'e'}")
    with pytest.raises(FileMissing, match="found no file of uvg"):
        (tmp_path / "f").mkdir()
        sequences_of(f"uvg:{tmp_path / 'f'}")
    with pytest.raises(UsageError, match="no test set is called vtl; there are uvg:DIR"):
        split_data("vtl:/data")
    with pytest.raises(FileMissing, match="has no Cactus"):
        sequences_of(f"hevc:{tmp_path / 'g'}" if write_raw(
            tmp_path / "g" / "BQSquare_416x240_60.yuv", one) else "", ["Cactus"])  # fmt: skip


def test_a_raw_tree_and_an_image_are_evaluated(
    tmp_path: Path, weights: Path, shared_data: Path
) -> None:
    tree = tmp_path / "tree"
    write_raw(tree / "D" / "BQSquare_416x240_60.yuv", known("hevc", "BQSquare"), frames=2)
    common = ["--model", str(weights), "--lambdas", "256", "--metrics", "rgb", "--no-report"]
    words = ["evaluate", "--data", f"hevc:{tree}", "--out", str(tmp_path / "v"), "--frames", "2"]
    assert main([*words, "--anchors", "", *common]) == 0
    (point,) = Results.load(tmp_path / "v" / "results.json").points
    assert (point.frames, point.width, point.group) == (2, 416, "HEVC D")
    assert point.rgb is not None and point.psnr > 25

    words = ["evaluate", "--data", f"kodak:{shared_data / 'kodak'}", "--out", str(tmp_path / "k")]
    words += ["--sequences", "kodim04", "--anchors", "jpeg", *common]
    assert main(words) == 0
    results = Results.load(tmp_path / "k" / "results.json")
    assert results.groups == {"Kodak": ["kodim04"]}
    assert [len(results.of("kodim04", codec)) for codec in results.codecs] == [1, 7]
    assert (results.points[0].width, results.points[0].height) == (512, 768)
