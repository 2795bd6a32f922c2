"""A small training: generated clips, few steps, everything else as in use."""

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from dvc_codec.training.checkpoints import AtomicIO, read
from dvc_codec.training.command_line import DEFAULTS
from dvc_codec.training.data import ReplayData
from dvc_codec.training.keeper import Keeper
from dvc_codec.training.logs import CsvLog
from dvc_codec.training.module import CodecTraining
from dvc_codec.training.replay import Draw
from tests.training.clips import moving_clips, write_shards


def write_data(folder: Path, clips: int = 3) -> Path:
    write_shards(moving_clips(clips), folder)
    return folder


def small_data(folder: Path, **other: Any) -> ReplayData:
    settings: dict[str, Any] = {
        "batch": 1,
        "rollout": 1,
        "size": 64,
        "slots": 2,
        "draw": Draw(longest=5),
        "held_out": 1,
        "validation_frames": 3,
        "validation_rates": (30,),
    }
    return ReplayData(folder, **{**settings, **other})


def train(
    data: ReplayData,
    folder: Path,
    steps: int,
    *,
    resume: bool = False,
    keeper: Keeper | None = None,
    callbacks: tuple[pl.Callback, ...] = (),
    **module: Any,
) -> CodecTraining:
    """Train from the start, or on from the folder's checkpoint."""
    torch.manual_seed(1)
    trained = CodecTraining(**{"log_every": 2, "warm_up": 2, **module})
    options = {**DEFAULTS, "max_steps": steps, "default_root_dir": folder, "accelerator": "cpu"}
    trainer = pl.Trainer(
        **options, logger=CsvLog(folder), callbacks=[keeper or Keeper(), *callbacks]
    )
    trainer.strategy.checkpoint_io = AtomicIO()
    last = str(folder / "last.ckpt") if resume else None
    trainer.fit(trained, data, ckpt_path=last)
    return trained


def checkpoint(folder: Path) -> dict[str, Any]:
    return read(folder / "last.ckpt")
