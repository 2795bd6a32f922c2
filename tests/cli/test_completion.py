"""Completion in bash, and progress for programs."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from dvc_codec.cli.main import main
from dvc_codec.cli.progress import ProgressLine
from tests.files import write_video
from tests.moving import panned_texture


def test_bash_completes_commands_and_options(capfd: pytest.CaptureFixture[str]) -> None:
    if shutil.which("bash") is None:
        pytest.skip("needs bash")
    assert main(["completion"]) == 0
    script = capfd.readouterr().out

    def completed(*words: str) -> list[str]:
        line = " ".join(f"'{word}'" for word in words)
        ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}\n_dvc_codec x '{words[-1]}' y\n"
        done = subprocess.run(
            ["bash", "-c", script + ask + 'echo "${COMPREPLY[@]}"'],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.split()

    assert completed("dvc-codec", "ver") == ["verify"]
    assert completed("dvc-codec", "encode", "--target-b") == ["--target-bitrate"]
    assert completed("dvc-codec", "decode", "a.dvc", "--str") == ["--strict"]
    assert completed("dvc-codec", "decode", "a") == []


def test_events_are_lines_of_json(
    tmp_path: Path, weights: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    source = write_video(tmp_path / "in.y4m", panned_texture(frames=3))
    words = ["encode", str(source), str(tmp_path / "v.dvc"), "--model", str(weights), "--events"]
    assert main(words) == 0
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines() if line[0] == "{"]
    assert lines[-1]["event"] == "progress"
    assert (lines[-1]["frame"], lines[-1]["frames"], lines[-1]["seconds_left"]) == (3, 3, 0)
    assert (
        0 < lines[-1]["bytes"] == lines[-1]["expected_bytes"] < (tmp_path / "v.dvc").stat().st_size
    )
    assert lines[-1]["psnr"] > 25


def test_no_terminal_no_line(capfd: pytest.CaptureFixture[str]) -> None:
    with ProgressLine() as line:
        line.show(1, 2)
    assert capfd.readouterr().err == ""
