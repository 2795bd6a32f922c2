"""transcode: what the names of the files say is done, and what would be without effect is said."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from dvc_codec.cli.main import main
from dvc_codec.codec.model import load_model
from dvc_codec.codec.source import open_companions, open_source
from dvc_codec.container import Reader
from dvc_codec.video import open_video
from tests.codec.test_sound import film, same, sound_of
from tests.files import pictures_of, write_video
from tests.moving import panned_texture


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film with sound, a subtitle, a chapter and tags, in .mkv."""
    return film(tmp_path_factory.mktemp("film") / "in.mkv", text="subrip")


@pytest.fixture(scope="module")
def coded(source: Path, weights: Path) -> Path:
    """The same as a .dvc file in groups of 10."""
    target = source.with_suffix(".dvc")
    words = ["--gop", "10", "--model", str(weights), "--lambda", "64", "--quiet"]
    assert main(["transcode", str(source), str(target), *words]) == 0
    return target


def run(*words: object) -> int:
    return main(["transcode", *map(str, words), "--quiet"])


def test_a_video_becomes_another_with_all_that_is_beside_it(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    assert run(source, target) == 0
    before, after = pictures_of(source), pictures_of(target)
    assert all(a.equals(b) for a, b in zip(before, after, strict=True))
    for kind in ("audio", "subtitle"):
        same(sound_of(target, kind), sound_of(source, kind))
    with av.open(str(source)) as a, av.open(str(target)) as b:
        assert [c["metadata"] for c in a.chapters()] == [c["metadata"] for c in b.chapters()]
        assert a.metadata["title"] == b.metadata["title"]


def test_a_part_keeps_its_times(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "part.mkv"
    assert run(source, target, "--start", "0.4", "--end", "0.6") == 0
    with open_video(target) as reader:
        times = [round(float(f.pts * reader.info.time_base), 3) for f in reader]
    assert times == [0.4, 0.5]
    assert 0 < len(sound_of(target)) < len(sound_of(source)) / 2


def test_a_smaller_crf_makes_a_larger_file(source: Path, tmp_path: Path) -> None:
    sizes = []
    for crf in (40, 20):
        assert run(source, tmp_path / f"{crf}.mkv", "--crf", crf, "--no-audio") == 0
        sizes.append((tmp_path / f"{crf}.mkv").stat().st_size)
        with av.open(str(tmp_path / f"{crf}.mkv")) as container:
            assert container.streams.video[0].codec_context.name == "h264"
    assert sizes[0] < sizes[1]


def test_a_dvc_file_decodes_as_decode_does(coded: Path, weights: Path, tmp_path: Path) -> None:
    model = ("--model", weights)
    assert run(coded, tmp_path / "a.y4m", *model) == 0
    words = ["decode", str(coded), str(tmp_path / "b.y4m"), "--model", str(weights), "--quiet"]
    assert main(words) == 0
    assert (tmp_path / "a.y4m").read_bytes() == (tmp_path / "b.y4m").read_bytes()


def test_a_dvc_file_is_a_source_like_any_other(coded: Path, weights: Path, tmp_path: Path) -> None:
    target = tmp_path / "again.dvc"
    assert run(coded, target, "--model", weights, "--lambda", "256", "--start", "0.2") == 0
    with Reader(coded) as a, Reader(target) as b:
        assert (b.frame_count, b.header.lambda_milli) == (a.frame_count - 2, 256_000)
        assert b.read_gop(0).frames[0].pts * b.header.time_base == Fraction(1, 5)
        assert a.header.streams == b.header.streams
        assert a.header.tags == b.header.tags
        assert a.header.extensions[0] == b.header.extensions[0]  # chapters
    model = load_model(weights)
    with open_source(coded, start=0.2, frames=1, model=model) as reader, reader:
        assert reader.info.frame_count == 20
    with open_companions(coded) as all_of_it, open_companions(target) as rest:
        before, after = list(all_of_it.until(None)), list(rest.until(None))
    assert 0 < len(after) < len(before)
    assert after == before[-len(after) :]


def test_two_passes_over_a_dvc_file(coded: Path, weights: Path, tmp_path: Path) -> None:
    words = ("--model", weights, "--target-bitrate", "40k", "--end", "0.4", "--no-audio")
    assert run(coded, tmp_path / "v.dvc", *words) == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("in.mp4", "out.mkv", "--lambda", "64"), 2, "--lambda: is for making a .dvc file"),
        (("in.mp4", "out.mkv", "--gop", "8"), 2, "--gop: is for making a .dvc file"),
        (("in.mp4", "out.mkv", "--b-frames", "0"), 2, "--b-frames: is for making a .dvc file"),
        (("in.mp4", "out.dvc", "--crf", "20"), 2, "--crf: is for .mkv and .mp4"),
        (("in.dvc", "out.mkv", "--convert"), 2, "--convert: is for videos"),
        (("in.mp4", "out.mkv", "--strict"), 2, "--strict: is for decoding"),
        (("in.mp4", "out.mp4", "--video", "ffv1"), 2, "an .mp4 holds no FFV1"),
        (("in.mp4", "out.y4m", "--video", "x264"), 2, "holds plain samples"),
        (("in.mp4", "out.mkv", "--crf", "60"), 8, "must be in [0, 51]"),
        (("in.mp4", "out.mkv", "--video", "ffv1", "--crf", "9"), 2, "ffv1 is lossless"),
        (("in.mp4", "out.txt"), 2, "found the suffix '.txt'"),
        (("nothing.mp4", "out.mkv"), 3, "nothing.mp4"),
        (("nothing.dvc", "out.dvc"), 3, "nothing.dvc"),
    ],
)
def test_what_cannot_be_is_one_line(
    words: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_video(tmp_path / "in.mp4", panned_texture(frames=2))
    assert run(*words) == code
    error = capfd.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
