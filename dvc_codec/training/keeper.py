"""Keeps a run safe: checkpoints by the clock, when told to stop, when time is up, at the end."""

import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback

from dvc_codec.training.checkpoints import LAST, read, write
from dvc_codec.training.module import CodecTraining

SIGNALS = (signal.SIGTERM, signal.SIGINT)
ASK_EVERY = 10  # steps between the questions whether another process was told to stop


class Keeper(Callback):
    """Writes ``last.ckpt`` and the pools beside it into the trainer's root folder.

    Args:
        every: seconds between checkpoints.
        max_time: seconds after which training ends with a checkpoint, counted from the start of
            this run of the program; None: no limit.
        keep_pool: also write what an exact resume needs: about 1 MB per slot of 192x192.
    """

    def __init__(
        self, every: float = 240.0, max_time: float | None = None, keep_pool: bool = True
    ) -> None:
        self.every, self.max_time, self.keep_pool = every, max_time, keep_pool
        self.signal = 0  # the number of the one that came
        self.resumed = ""  # how the pool was found at the start, for the log
        self._begun = time.monotonic()
        self._saved, self._saved_step = 0.0, -1
        self._before: dict[int, Any] = {}

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, CodecTraining)
        self._before = {n: signal.signal(n, self._told) for n in SIGNALS}
        self._saved = time.monotonic()
        if module.steps_done:
            self.resumed = self._resume_pool(trainer, module)
            print(f"resumed at step {module.steps_done}; {self.resumed}", file=sys.stderr)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        assert isinstance(module, CodecTraining)
        now = time.monotonic()
        late = self.max_time is not None and now - self._begun > self.max_time
        due = now - self._saved > self.every
        if trainer.world_size > 1:
            if module.steps_done % ASK_EVERY:
                return
            late, due = self._agreed(trainer, late, due)
        if late or self.signal:
            trainer.should_stop = True
            trainer.limit_val_batches = 0  # Lightning would validate first: no time for that
        if late or self.signal or due:
            self.save(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, CodecTraining)
        if self._saved_step != module.steps_done:
            self.save(trainer, module)
        self._put_back()

    def on_exception(
        self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException
    ) -> None:
        self._put_back()

    def save(self, trainer: pl.Trainer, module: CodecTraining) -> None:
        """Pools first, then the checkpoint that they belong to, then away with the older pools."""
        folder, step = Path(trainer.default_root_dir), module.steps_done
        mine = _pool_file(folder, trainer.global_rank, step)
        if self.keep_pool:
            kept = {"step": step, "processes": trainer.world_size, "torch": torch.get_rng_state()}
            if torch.cuda.is_available():
                kept["cuda"] = torch.cuda.get_rng_state()
            write(mine, kept | module.data.pool.state_dict())
        trainer.strategy.barrier()
        trainer.save_checkpoint(folder / LAST)
        for old in folder.glob(f"pool-{trainer.global_rank}-*.pt"):
            if old != mine:
                old.unlink(missing_ok=True)
        self._saved, self._saved_step = time.monotonic(), step

    def _resume_pool(self, trainer: pl.Trainer, module: CodecTraining) -> str:
        path = trainer.ckpt_path
        folder = Path(path).parent if path else Path(trainer.default_root_dir)
        file = _pool_file(folder, trainer.global_rank, module.steps_done)
        if not file.is_file():
            return "without its pool: other crops follow, and references start as I frames"
        kept = read(file)
        if kept["processes"] != trainer.world_size or not module.data.pool.load_state_dict(kept):
            return "its pool is of another shape: other crops follow"
        torch.set_rng_state(kept["torch"])
        if "cuda" in kept and torch.cuda.is_available():
            torch.cuda.set_rng_state(kept["cuda"])
        return "with its pool and its state of chance"

    def _agreed(self, trainer: pl.Trainer, late: bool, due: bool) -> tuple[bool, bool]:
        """What any process wants, all do: they must take the same step."""
        wishes = torch.tensor([late, due, self.signal], device=trainer.strategy.root_device)
        torch.distributed.all_reduce(wishes, torch.distributed.ReduceOp.MAX)
        self.signal = int(wishes[2])
        return bool(wishes[0]), bool(wishes[1])

    def _told(self, number: int, frame: FrameType | None) -> None:
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt  # a second Ctrl-C means it
        self.signal = number
        os.write(2, b"told to stop: ends with a checkpoint after this step\n")

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}


def _pool_file(folder: Path, rank: int, step: int) -> Path:
    return folder / f"pool-{rank}-{step}.pt"
