"""The corpus does no harm, and the harness finds what does."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from dvc_codec.codec.decoder import Decoder
from tests.fuzz import harness, target

REPOSITORY = Path(__file__).resolve().parents[2]
INPUTS = sorted(target.CORPUS.iterdir())


def test_there_is_a_corpus() -> None:
    assert len(INPUTS) >= 8


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: path.name)
def test_an_input_does_no_harm(path: Path) -> None:
    target.one_input(path.read_bytes())


def test_the_corpus_reaches_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the weights others than it names, the fuzzer would stop at the header."""

    class Reached(Exception):
        pass

    def reached(self: Decoder) -> None:
        raise Reached

    monkeypatch.setattr(Decoder, "shown", reached)
    with pytest.raises(Reached):
        target.one_input((target.CORPUS / "p-groups").read_bytes())


def test_a_mistake_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise IndexError

    monkeypatch.setattr(target, "check_bytes", mistaken)
    with pytest.raises(IndexError):
        target.one_input(b"\0")


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="needs atheris: pip install -e '.[fuzz]'"
)
def test_the_harness_runs(tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    words = [sys.executable, "-m", "tests.fuzz.harness", str(found), str(target.CORPUS)]
    done = subprocess.run(
        [*words, "-runs=40", "-timeout=60", f"-artifact_prefix={tmp_path}/"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "INITED cov:" in done.stderr


def test_without_atheris_the_harness_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "atheris", None)
    assert harness.main(["harness"]) == harness.MISSING
    assert "needs atheris" in capsys.readouterr().err
