"""Training without PyAV, numba and kornia, as on a machine that has none of them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from data_prep.intra_bank import make_bank
from data_prep.pack import pack
from tests.training.clips import moving_clips, write_shards

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = """
import importlib.abc, sys

class Block(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("av", "numba", "kornia"):
            raise ImportError(f"No module named {name!r}: blocked for this test")

sys.meta_path.insert(0, Block())
"""
SMALL = """
trainer: {accelerator: cpu, max_steps: 2, val_check_interval: 2}
model: {log_every: 1}
data: {batch: 2, rollout: 2, size: 64, slots: 4, held_out: 1, draw: {longest: 4}}
"""


def test_training_needs_none_of_them(tmp_path: Path) -> None:
    pytest.importorskip("cv2")
    write_shards(moving_clips(4, size=(128, 64)), tmp_path / "data", per_shard=4)
    pack(tmp_path / "data", tmp_path / "clips")
    assert make_bank(tmp_path / "clips", tmp_path / "bank", each=2, rates=(20, 40)) == 8
    (tmp_path / "block").mkdir()
    (tmp_path / "block" / "sitecustomize.py").write_text(BLOCK)
    (tmp_path / "small.yaml").write_text(SMALL)
    configs = ["02_roll_out.yaml", "accelerator.yaml"]
    words = [
        "fit",
        *(f"-c={REPOSITORY / 'configs' / 'train' / name}" for name in configs),
        f"-c={tmp_path / 'small.yaml'}",
        f"--data.data={tmp_path / 'clips'}",
        f"--data.bank={tmp_path / 'bank'}",
        f"--trainer.default_root_dir={tmp_path / 'run'}",
    ]
    done = subprocess.run(
        [sys.executable, str(REPOSITORY / "train.py"), *words],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": f"{tmp_path / 'block'}{os.pathsep}{REPOSITORY}"},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    assert "step 2 " in done.stdout
    assert (tmp_path / "run" / "last.ckpt").is_file()
    rows = (tmp_path / "run" / "validation.csv").read_text().splitlines()
    assert len(rows) == 2  # the loss on the clip held out, from its I frame in the bank
