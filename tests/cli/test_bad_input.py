"""Whatever is wrong: one line that says so, its exit code, and nothing under the final name."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dvc_codec.cli.main import main
from dvc_codec.codec.model import save_model, untrained_model
from tests.files import write_sound, write_video
from tests.moving import moving_square

USAGE, MISSING, NOT_A_VIDEO, DAMAGED, VERSION, MODEL, RANGE, WRITE = range(2, 10)


def no_video(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("this is no video\n" * 100)
    return path


def empty(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def no_frames(folder: Path) -> Path:
    path = folder / "none.y4m"
    path.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")
    return path


def damaged(change: Callable[[bytes], bytes]) -> Callable[[Path], Path]:
    """A .dvc file with something done to its bytes."""

    def make(folder: Path) -> Path:
        path = folder / "changed.dvc"
        path.write_bytes(change((folder / "good.dvc").read_bytes()))
        return path

    return make


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """A folder with a video good.y4m and a .dvc file good.dvc."""
    folder = tmp_path_factory.mktemp("good")
    source = write_video(folder / "good.y4m", moving_square(frames=3))
    words = ["--model", str(weights), "--quiet", "--gop", "1"]
    assert main(["encode", str(source), str(folder / "good.dvc"), *words]) == 0
    return folder


@pytest.fixture
def place(good: Path, tmp_path: Path) -> Path:
    """A folder of its own for every test, with good.y4m and good.dvc."""
    for path in good.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def fails(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str], words: list[object]
) -> tuple[int, str]:
    """Run ``words`` -> (exit code, the line); nothing new may be left in ``place``."""
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    common = [] if "--model" in words or "info" in words else ["--model", str(weights)]
    code = main([str(word) for word in (*words, *common)])
    out, err = capfd.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("dvc-codec: ")
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before
    return code, err


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: folder / "nowhere.mp4", MISSING),
        (lambda folder: folder, MISSING),
        (no_video, NOT_A_VIDEO),
        (empty, NOT_A_VIDEO),
        (no_frames, NOT_A_VIDEO),
        (lambda folder: write_sound(folder / "sound.wav"), NOT_A_VIDEO),
    ],
    ids=["no file", "a folder", "no video", "empty", "zero frames", "no video stream"],
)
def test_sources_that_cannot_be_encoded(
    place: Path,
    weights: Path,
    capfd: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    code: int,
) -> None:
    source = make(place)
    found, line = fails(place, weights, capfd, ["encode", source, place / "out.dvc"])
    assert found == code
    assert str(source) in line


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda folder: folder / "nowhere.dvc", MISSING),
        (lambda folder: folder / "good.y4m", DAMAGED),
        (empty, DAMAGED),
        (damaged(lambda data: data[:20]), DAMAGED),
        (damaged(lambda data: data[: len(data) // 2]), DAMAGED),
        (damaged(lambda data: data[:-1]), DAMAGED),
        (damaged(lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:]), DAMAGED),
        (damaged(lambda data: data[:8] + b"\2\0" + data[10:]), VERSION),
    ],
    ids=["no file", "a video", "empty", "header cut", "cut", "end cut", "flipped", "version 2"],
)
def test_files_that_cannot_be_decoded(
    place: Path,
    weights: Path,
    capfd: pytest.CaptureFixture[str],
    make: Callable[[Path], Path],
    code: int,
) -> None:
    source = make(place)
    words = ["decode", source, place / "out.y4m", "--strict"]
    found, line = fails(place, weights, capfd, words)
    assert found == code
    assert str(source) in line


def test_info_of_what_is_no_dvc_file(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert fails(place, weights, capfd, ["info", place / "good.y4m"])[0] == DAMAGED
    assert fails(place, weights, capfd, ["info", place / "nowhere.dvc"])[0] == MISSING


def test_weights_that_are_not_the_files(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = place / "other.safetensors"
    save_model(untrained_model().codec, other, "others")
    decode = ["decode", place / "good.dvc", place / "out.y4m", "--model"]
    found, line = fails(place, weights, capfd, [*decode, other])
    assert found == MODEL
    assert "others" in line
    assert fails(place, weights, capfd, [*decode, place / "good.y4m"])[0] == MODEL
    assert fails(place, weights, capfd, [*decode, place / "nowhere"])[0] == MISSING


@pytest.mark.parametrize(
    "words",
    [
        ["--lambda", "63"],
        ["--lambda", "4097"],
        ["--lambda", "-1"],
        ["--gop", "0"],
        ["--gop", "5000"],
        ["--frames", "0"],
        ["--start", "-1"],
        ["--start", "9"],
        ["--raw-size", "0x48"],
    ],
    ids=" ".join,
)
def test_numbers_out_of_range(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    encode = ["encode", place / "good.y4m", place / "out.dvc", *words]
    assert fails(place, weights, capfd, encode)[0] == RANGE


@pytest.mark.parametrize("words", [["--frames", "0"], ["--start", "-1"], ["--start", "9"]])
def test_parts_that_are_not_there(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str], words: list[str]
) -> None:
    decode = ["decode", place / "good.dvc", place / "out.y4m", *words]
    assert fails(place, weights, capfd, decode)[0] == RANGE


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["encode"],
        ["transcode", "a", "b"],
        ["encode", "a", "b", "--lambda", "fine"],
        ["encode", "a", "b", "--lambda", "nan"],
        ["encode", "a", "b", "--threads", "0"],
        ["encode", "a", "b", "--intra", "jpeg"],
        ["encode", "a", "b", "--raw-size", "64"],
        ["encode", "a", "b", "--raw-rate", "25"],
        ["encode", "a", "-"],
        ["encode", "a.mp4", "a.mp4"],
        ["encode", "a", "b", "--recon", "b"],
        ["encode", "a", "b", "--csv", "a"],
        ["decode", "a", "a"],
        ["decode", "a", "-", "--json"],
        ["encode", "a", "b", "--metric", "psnr"],
        ["encode", "a", "b", "--metric", "ms-ssim"],  # and other weights, given below
    ],
    ids=" ".join,
)
def test_words_that_make_no_sense(
    weights: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[object]
) -> None:
    more = [*words, "--model", weights] if words else words
    assert fails(tmp_path, weights, capfd, more or ["--model"])[0] == USAGE


def test_an_unknown_kind_of_video_to_write(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["decode", place / "good.dvc", place / "out.avi"]
    assert fails(place, weights, capfd, words)[0] == USAGE
    words = ["encode", place / "good.y4m", place / "out.dvc", "--recon", place / "out.gif"]
    assert fails(place, weights, capfd, words)[0] == USAGE


@pytest.mark.parametrize("target", ["folder", "nowhere/out"])
def test_targets_that_cannot_be_written(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str], target: str
) -> None:
    for name in ("folder.dvc", "folder.y4m", "folder.csv"):
        (place / name).mkdir()
    source, out = place / "good.y4m", place / "out.dvc"
    encode = ["encode", source, place / f"{target}.dvc"]
    assert fails(place, weights, capfd, encode)[0] == WRITE
    recon = ["encode", source, out, "--recon", place / f"{target}.y4m"]
    assert fails(place, weights, capfd, recon)[0] == WRITE
    table = ["encode", source, out, "--csv", place / f"{target}.csv"]
    assert fails(place, weights, capfd, table)[0] == WRITE
    decode = ["decode", place / "good.dvc", place / f"{target}.y4m"]
    assert fails(place, weights, capfd, decode)[0] == WRITE


def test_what_was_there_before_stays(
    place: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    old = place / "out.dvc"
    old.write_bytes(b"the old one")
    words = ["encode", place / "good.y4m", old, "--recon", place / "nowhere" / "r.y4m"]
    assert fails(place, weights, capfd, words)[0] == WRITE
    assert old.read_bytes() == b"the old one"


def test_a_full_disk(place: Path, weights: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    (place / "full.y4m").symlink_to("/dev/full")
    words = ["decode", place / "good.dvc", place / "full.y4m"]
    assert fails(place, weights, capfd, words)[0] == WRITE
