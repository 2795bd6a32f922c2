"""verify, strict and forgiving decoding, resuming: as users meet them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from dvc_codec.cli.main import main
from dvc_codec.container import Reader
from dvc_codec.container.header import PREFIX, body_length, header_bytes
from tests.codec.test_damage import flipped
from tests.codec.test_sound import film
from tests.files import pictures_of, write_video
from tests.moving import panned_texture

Run = Callable[..., int]


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory, weights: Path) -> Path:
    """in.y4m, nine frames, and v.dvc of it in three groups."""
    folder = tmp_path_factory.mktemp("coded")
    source = write_video(folder / "in.y4m", panned_texture(frames=9))
    words = ["encode", str(source), str(folder / "v.dvc"), "--gop", "3", "--quiet"]
    assert main([*words, "--model", str(weights)]) == 0
    return folder


@pytest.fixture
def run(weights: Path) -> Run:
    def call(*words: object) -> int:
        return main([*map(str, words), "--model", str(weights)])

    return call


def test_a_concealed_decode_has_a_code_of_its_own(
    coded: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = flipped(coded / "v.dvc", tmp_path / "v.dvc", 1)
    assert run("decode", damaged, tmp_path / "out.y4m") == 11
    out, err = capfd.readouterr()
    assert "6 bit-exact, 0 differing, 3 lost" in out
    assert "3 of 9 frames are lost and were concealed (3-5)" in err
    assert len(pictures_of(tmp_path / "out.y4m")) == 9
    assert run("decode", damaged, tmp_path / "no.y4m", "--strict") == 5
    assert not list(tmp_path.glob("no.y4m*"))


def test_a_file_without_its_end_decodes(
    coded: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    data = (coded / "v.dvc").read_bytes()
    (tmp_path / "v.dvc").write_bytes(data[:-30])
    assert run("decode", tmp_path / "v.dvc", tmp_path / "out.y4m", "--json") == 11
    out, err = capfd.readouterr()
    said = json.loads(out)
    assert (said["frames"], said["complete"], said["lost"]) == (9, False, [])
    assert "has no end" in err


def test_verify(coded: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("verify", coded / "v.dvc") == 0
    assert "9 frames in 3 GOPs whole, every picture bit-exact" in capfd.readouterr().out
    assert run("verify", coded / "v.dvc", "--bytes-only") == 0
    assert "pictures were not decoded" in capfd.readouterr().out
    damaged = flipped(coded / "v.dvc", tmp_path / "v.dvc", 2)
    for words in ([], ["--bytes-only"]):
        assert run("verify", damaged, *words) == 5
        line = capfd.readouterr().err
        assert "CRC" in line and "6 frames in 2 GOPs whole" in line
    assert run("verify", damaged, "--json") == 5
    said = json.loads(capfd.readouterr().out)
    assert (said["sound"], said["lost"], said["differing"]) == (False, [[6, 8]], 0)
    assert [path.name for path in tmp_path.iterdir()] == ["v.dvc"]
    assert run("verify", coded / "in.y4m") == 5


def test_limits_can_be_named(coded: Path, tmp_path: Path, run: Run) -> None:
    words = ["decode", coded / "v.dvc", tmp_path / "out.y4m"]
    assert run(*words, "--max-pixels", 64 * 48 - 1) == 8
    assert run(*words, "--max-memory", 1) == 8
    assert run(*words, "--max-pixels", 64 * 48, "--max-memory", 1000) == 0


def test_ends_are_seconds(
    coded: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["--start", "0.12", "--end", "0.28", "--json"]
    assert run("decode", coded / "v.dvc", tmp_path / "out.y4m", *words) == 0
    assert json.loads(capfd.readouterr().out)["frames"] == 4
    assert run("encode", coded / "in.y4m", tmp_path / "v.dvc", *words) == 0
    assert json.loads(capfd.readouterr().out)["frames"] == 4


def test_resume_from_the_command_line(coded: Path, tmp_path: Path, run: Run) -> None:
    data = (coded / "v.dvc").read_bytes()
    with Reader(coded / "v.dvc") as reader:
        second = reader.index[1].offset
    (tmp_path / "v.dvc.part").write_bytes(data[: second + 50])
    words = ["encode", coded / "in.y4m", tmp_path / "v.dvc", "--resume"]
    assert run(*words, "--gop", "4") == 2
    assert run(*words, "--gop", "3", "--csv", tmp_path / "t.csv") == 2
    assert run(*words, "--gop", "3") == 0
    assert (tmp_path / "v.dvc").read_bytes() == data
    assert [path.name for path in tmp_path.iterdir()] == ["v.dvc"]


def test_info_tells_of_sound_and_where_the_bytes_went(
    tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("encode", film(tmp_path / "in.mkv"), tmp_path / "v.dvc", "--quiet") == 0
    capfd.readouterr()
    assert main(["info", str(tmp_path / "v.dvc"), "--json", "--scan"]) == 0
    said = json.loads(capfd.readouterr().out)
    assert said["streams"][0]["codec"] == "aac"
    assert said["tags"]["title"] == "Größe"
    assert [chapter["title"] for chapter in said["chapters"]] == ["part 0", "part 1"]
    assert sum(said["bytes_by_part"].values()) == said["bytes"]
    assert min(said["bytes_by_part"].values()) > 0
    assert said["frames_by_kind"]["I"] == said["gops"]
    assert sum(said["frames_by_kind"].values()) == said["frames"]
    assert main(["info", str(tmp_path / "v.dvc"), "--scan"]) == 0
    out = capfd.readouterr().out
    assert "companions" in out and " B\n" in out


def test_tags_cannot_steer_the_terminal(
    coded: Path, tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str]
) -> None:
    from dataclasses import replace

    data = (coded / "v.dvc").read_bytes()
    with Reader(coded / "v.dvc") as reader:
        header = reader.header
    bad = replace(header, tags=(("title", "\x1b[2J\x07"),), model_name="\x1b]0;x",
                  model_hash=bytes(32))  # fmt: skip
    end = PREFIX + body_length(data[:PREFIX], "") + 4
    (tmp_path / "v.dvc").write_bytes(header_bytes(bad) + data[end:])
    assert main(["info", str(tmp_path / "v.dvc")]) == 0
    assert run("decode", tmp_path / "v.dvc", tmp_path / "o.y4m") == 7
    out, err = capfd.readouterr()
    assert "\x1b" not in out + err and "\x07" not in out
