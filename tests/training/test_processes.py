"""Two processes that share the work learn what one does."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from dvc_codec.training.checkpoints import read
from tests.training.run import write_data

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = """
trainer: {max_steps: 3, limit_val_batches: 0}
model: {log_every: 1, warm_up: 1, fast: false}
data: {batch: 2, rollout: 1, size: 64, slots: 4, held_out: 0, draw: {longest: 4}}
"""


def losses(folder: Path) -> list[float]:
    with (folder / "train.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_two_processes_have_the_losses_of_one(tmp_path: Path) -> None:
    """The same samples, whose gradients are averaged in another order."""
    data = write_data(tmp_path / "data")
    small = tmp_path / "small.yaml"
    small.write_text(SMALL)
    configs = [f"-c={REPOSITORY / 'configs' / 'train' / 'ddp.yaml'}", f"-c={small}"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    for name, more in (("two", []), ("one", ["--trainer.devices=1", "--trainer.strategy=auto"])):
        folder = tmp_path / name
        words = [
            "fit",
            *configs,
            f"--data.data={data}",
            f"--trainer.default_root_dir={folder}",
            *more,
        ]
        command = [sys.executable, str(REPOSITORY / "train.py"), *words]
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=400
        )
        assert done.returncode == 0, done.stderr
    two, one = losses(tmp_path / "two"), losses(tmp_path / "one")
    assert len(two) == len(one) == 3
    assert two == pytest.approx(one, rel=2e-3)
    weights = [read(tmp_path / name / "last.ckpt")["state_dict"] for name in ("two", "one")]
    name = "codec.network.compensation.leave.weight"
    torch.testing.assert_close(weights[0][name], weights[1][name], atol=2e-4, rtol=0.1)
