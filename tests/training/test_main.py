"""train.py: its commands, through real processes and files."""

import subprocess
import sys
from pathlib import Path

import pytest

from dvc_codec.codec.model import load_model
from dvc_codec.errors import DamagedFile, FileMissing, UsageError
from dvc_codec.training.main import main, seconds, with_max_time
from dvc_codec.training.stages import command, stages_in
from tests.training.run import write_data

REPOSITORY = Path(__file__).resolve().parents[2]
STAGES = REPOSITORY / "configs" / "train"
SMALL = """
trainer: {max_steps: 2, val_check_interval: 2, accelerator: cpu}
model: {log_every: 1, warm_up: 1, pictures_every: 0}
data: {batch: 1, rollout: 1, size: 64, slots: 2, held_out: 1, validation_frames: 2,
  validation_rates: [30], draw: {longest: 4}}
"""


def test_help_and_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "run-stages" in capsys.readouterr().out
    assert main(["dance"]) == UsageError.exit_code
    assert capsys.readouterr().err.count("\n") == 1


def test_spans_of_time() -> None:
    assert [seconds(s) for s in ("90", "90s", "50m", "1.5h", "01:00:00:01")] == [
        90,
        90,
        3000,
        5400,
        86401,
    ]
    with pytest.raises(UsageError, match="soon"):
        seconds("soon")
    assert with_max_time(["fit", "--max-time", "2m", "-c", "a"]) == [
        "fit",
        "--keeper.max_time=120.0",
        "-c",
        "a",
    ]


def test_data_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_data(tmp_path / "data")
    assert main(["check-data", str(data)]) == 0
    assert "3 clips of 5 frames, 96x80" in capsys.readouterr().out
    (data / "shard-1.mp4").write_bytes(b"")
    assert main(["check-data", str(data)]) == DamagedFile.exit_code
    assert "shard-1.mp4" in capsys.readouterr().err
    assert main(["check-data", str(tmp_path)]) == FileMissing.exit_code


def test_the_stages_are_six_and_in_order() -> None:
    stages = stages_in(STAGES)
    assert [s.name[:3] for s in stages] == ["00_", "01_", "02_", "03_", "04_", "05_"]
    words = command(stages[1], [], Path("out"), Path("out") / stages[0].stem, ["--data.data=x"])
    assert f"--model.init_from=out/{stages[0].stem}/last.ckpt" in words
    assert words[-1] == "--data.data=x" and "--ckpt_path=last" in words


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), *words],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=300,
    )


def test_stages_run_go_on_and_export(tmp_path: Path) -> None:
    """Two stages; run again nothing is done twice; what is exported can be loaded."""
    data = write_data(tmp_path / "data")
    stages = tmp_path / "stages"
    stages.mkdir()
    for name in ("00_first", "01_second"):
        (stages / f"{name}.yaml").write_text(SMALL)
    out, model = tmp_path / "out", tmp_path / "model.safetensors"
    words = ["run-stages", str(stages), "--out", str(out), f"--data.data={data}"]
    first = run(*words)
    assert first.returncode == 0, first.stderr
    assert (out / "00_first" / "finished").exists() and (out / "01_second" / "finished").exists()
    again = run(*words, "--export", str(model))
    assert again.returncode == 0, again.stderr
    assert "step 1" not in again.stdout
    assert load_model(model).sha256.hex() in again.stdout
    card = model.with_suffix(".md").read_text()
    assert "2 steps" in card and "SHA-256 of its index" in card
    assert "measured | not by this export" in card
    assert (out / "00_first" / "config.yaml").exists()
