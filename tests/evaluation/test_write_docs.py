"""docs/benchmarks.md is made of a results.json and nothing else."""

import subprocess
import sys
from pathlib import Path

from dvc_codec.errors import FileMissing
from dvc_codec.evaluation.task import OURS
from tests.evaluation.test_evaluate import line, results

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "benchmarks" / "write_docs.py"


def written(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), str(source), str(target)]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True,
                          env={"PYTHONPATH": str(REPOSITORY)}, check=False)  # fmt: skip


def test_the_page_has_the_numbers_and_the_command(tmp_path: Path) -> None:
    made = results(tmp_path / "r.json", *line("x264-veryfast"), *line(OURS, 0.8))
    words = ["--data", "my videos", "--out", "x"]
    made.runs[0] |= {"arguments": words, "begun": "2026-01-01", "versions": {"torch": "2"}}
    made.save()
    done = written(tmp_path / "r.json", tmp_path / "b.md")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "b.md").read_text()
    assert "python evaluate.py --data 'my videos' --out x" in text
    assert "| mean of 1" in text and "-20.0 %" in text
    assert "pan (100x80, 10 frames)" in text
    assert "commit " + "0" * 40 in text


def test_no_results_no_page(tmp_path: Path) -> None:
    done = written(tmp_path / "none.json", tmp_path / "b.md")
    assert done.returncode == FileMissing.exit_code
    assert done.stderr.startswith("write_docs: ") and done.stderr.count("\n") == 1
    assert not (tmp_path / "b.md").exists()
