"""The minimal trainer: replay pool, AdamW, EMA, checkpoints that resume.

A whole training on one machine, one readable loop.
"""

import argparse
import copy
import csv
import math
import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from dvc_codec.codec.model import has_fast_bfloat16
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build
from dvc_codec.networks.blocks import use_channels_last
from dvc_codec.training.clips import load_shards
from dvc_codec.training.intra_frames import hevc_intra
from dvc_codec.training.loss import rollout_loss
from dvc_codec.training.replay import ReplayPool

# Behind the gradient of the warp, or left where theory put them
FROZEN = ("flow.", "motion.steps", "motion.transform", "luma_steps", "chroma_steps")
SLOW = (
    "luma.analysis",
    "luma.synthesis",
    "chroma.analysis",
    "chroma.synthesis",
)  # transforms: they are nearly right
CHECKPOINT_SECONDS = 240


@dataclass(frozen=True)
class Plan:
    """A stretch of training, as given on the command line."""

    data: Path
    out: Path
    network: str = "dvc"
    steps: int = 20000
    batch: int = 8
    rollout: int = 2
    size: int = 192
    slots: int = 96
    longest: int = 31
    learning_rate: float = 4e-4
    last_learning_rate: float = 1e-5
    prediction_weight: float = 0.1
    ema: float = 0.999
    seed: int = 1
    hours: float = 100.0
    clips: int | None = None
    threads: int = 2


def parameter_groups(codec: PFrameCodec, learning_rate: float) -> list[dict[str, object]]:
    """Trained parameters with their rates.

    Steps and everything behind the warp's gradient are left where theory put them.
    """
    normal: list[nn.Parameter] = []
    slow: list[nn.Parameter] = []
    for name, parameter in codec.named_parameters():
        if not codec.network.warp_gradients and any(part in name for part in FROZEN):
            parameter.requires_grad_(False)
        else:
            (slow if any(part in name for part in SLOW) else normal).append(parameter)
    return [{"params": normal, "scale": 1.0}, {"params": slow, "scale": 0.1}]


def average(ema: PFrameCodec, codec: PFrameCodec, decay: float) -> None:
    """ema <- decay * ema + (1 - decay) * codec; buffers are copied."""
    with torch.no_grad():
        torch._foreach_lerp_(list(ema.parameters()), list(codec.parameters()), 1 - decay)
        for kept, new in zip(ema.buffers(), codec.buffers(), strict=True):
            kept.copy_(new)


def learning_rate_at(plan: Plan, step: int) -> float:
    """Linear over 200 steps, then a cosine to the last."""
    warm = min(1.0, (step + 1) / 200)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1.0, step / plan.steps)))
    return warm * (
        plan.last_learning_rate + (plan.learning_rate - plan.last_learning_rate) * cosine
    )


def fit(plan: Plan) -> None:
    """Train, going on from ``plan.out / last.ckpt`` if it is there.

    Writes log.csv and last.ckpt.
    """
    torch.manual_seed(plan.seed)
    torch.set_num_threads(plan.threads)
    plan.out.mkdir(parents=True, exist_ok=True)
    codec = build(plan.network, {})
    codec.network.fast = has_fast_bfloat16()
    use_channels_last(codec)
    ema = copy.deepcopy(codec)
    groups = parameter_groups(codec, plan.learning_rate)
    optimiser = torch.optim.AdamW(
        groups, lr=plan.learning_rate, weight_decay=0.0, betas=(0.9, 0.99)
    )
    step, skipped = 0, 0
    checkpoint = plan.out / "last.ckpt"
    if checkpoint.is_file():
        kept = torch.load(checkpoint, weights_only=True)
        codec.load_state_dict(kept["codec"])
        ema.load_state_dict(kept["ema"])
        optimiser.load_state_dict(kept["optimiser"])
        step, skipped = kept["step"], kept["skipped"]
    pool = ReplayPool(
        load_shards(plan.data, plan.clips),
        slots=plan.slots,
        size=plan.size,
        start=codec.start,
        code_intra=hevc_intra,
        longest=plan.longest,
        rollout=plan.rollout,
        seed=plan.seed + step,
    )
    trained = [p for g in groups for p in g["params"]]  # type: ignore[attr-defined]
    begun = saved = time.monotonic()
    with (plan.out / "log.csv").open("a", newline="") as file:
        log = csv.writer(file)
        rows: list[list[float]] = []
        stop = _told_to_stop()
        in_time = plan.hours * 3600
        while step < plan.steps and time.monotonic() - begun < in_time and not stop.is_set():
            rate = learning_rate_at(plan, step)
            for group in optimiser.param_groups:
                group["lr"] = rate * group["scale"]
            chosen, pictures, state, rates = pool.take(plan.batch)
            measured, state = rollout_loss(codec, pictures, state, rates, plan.prediction_weight)
            optimiser.zero_grad(set_to_none=True)
            measured.loss.backward()
            norm = float(nn.utils.clip_grad_norm_(trained, 1.0))
            if math.isfinite(norm):
                optimiser.step()
                average(ema, codec, min(plan.ema, (step + 1) / (step + 10)))
                pool.put(chosen, state.detach())
            else:
                skipped += 1
            step += 1
            rows.append([*measured.numbers(), norm])
            if step % 50 == 0:
                means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
                seconds = time.monotonic() - begun
                log.writerow(
                    [step, f"{seconds:.0f}", *(f"{m:.5f}" for m in means), f"{rate:.2e}", skipped]
                )
                file.flush()
                rows = []
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                _save(checkpoint, codec, ema, optimiser, step, skipped)
                saved = time.monotonic()
    _save(checkpoint, codec, ema, optimiser, step, skipped)


def _told_to_stop() -> threading.Event:
    """Set by SIGTERM or Ctrl-C: the step that runs is finished and a checkpoint written."""
    stop = threading.Event()
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    return stop


def _save(
    path: Path,
    codec: PFrameCodec,
    ema: PFrameCodec,
    optimiser: torch.optim.Optimizer,
    step: int,
    skipped: int,
) -> None:
    part = path.with_suffix(".part")
    kept: dict[str, object] = {
        "codec": codec.state_dict(),
        "ema": ema.state_dict(),
        "step": step,
        "skipped": skipped,
    }
    torch.save({**kept, "optimiser": optimiser.state_dict()}, part)
    os.replace(part, path)


def main(arguments: list[str] | None = None) -> None:
    """The command line: every field of :class:`Plan` is an option."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, field in Plan.__dataclass_fields__.items():
        option = f"--{name.replace('_', '-')}"
        if name in ("data", "out"):
            parser.add_argument(option, type=Path, required=True)
        else:
            kind = int if name == "clips" else type(field.default)
            parser.add_argument(option, type=kind, default=field.default)
    fit(Plan(**vars(parser.parse_args(arguments))))


if __name__ == "__main__":
    main()
