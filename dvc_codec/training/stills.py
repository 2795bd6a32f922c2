"""The filter of I frames, trained alone on pictures that a still codec has coded, and put beside
the weights it is to ship with.

    python -m data_prep.intra_bank DATA BANK --codec vvc --each 2
    python train.py stills --data DATA --bank BANK --weights OLD.safetensors --out NEW.safetensors

What is minimised is D after the filter over D before it, so that every picture and rate counts
alike; D is that of the weights' metric.
"""

import argparse
import copy
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from dvc_codec.codec.model import has_fast_bfloat16, load_model, write_weights
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import build_from
from dvc_codec.errors import CannotWrite, OutOfRange, WrongModel
from dvc_codec.networks.blocks import use_channels_last
from dvc_codec.networks.config import Metric
from dvc_codec.networks.distortion import distortion, structural_distortion
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes, round_to_bytes
from dvc_codec.networks.still_filter import CHANNELS, StillFilter
from dvc_codec.training.checkpoints import LAST, AtomicIO
from dvc_codec.training.clips import load_clips
from dvc_codec.training.crops import Window, crops
from dvc_codec.training.intra_frames import IntraBank, load_bank, strength_of
from dvc_codec.training.logs import CsvLog
from dvc_codec.training.optimisation import average, learning_rate_at

LEAST = 1e-7  # D of a picture that needs no filter
HELD_OUT = 32  # entries of the bank that are validated with, if that is no more than a quarter
EVERY = 500  # steps from validation to validation
WARM_UP = 100
DECAY = 0.998
GRADIENT_CLIP = 0.5
SAVED_EVERY = 240.0  # seconds

Sample = tuple[Planes, Planes, Tensor]  # as decoded, as it was, strengths (B,)


class StillPairs(IterableDataset[Sample]):
    """Crops of coded stills and of their sources, drawn for ever.

    Args:
        bank: coded stills. clips: uint8 (clips, frames, 3 H / 2, W), that they are of.
        metric: that they were coded for.
        batch: crops of a sample, ``size`` wide and high.
    """

    def __init__(
        self, bank: IntraBank, clips: Tensor, metric: Metric, batch: int, size: int, seed: int
    ) -> None:
        self.bank, self.clips, self.batch, self.size = bank, clips, batch, size
        self.strengths = torch.tensor([strength_of(int(rate), metric) for rate in bank.rates])
        self.random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Sample]:
        while True:
            entries = self.random.integers(len(self.bank.rates), size=self.batch)
            yield self.at(entries, [self._window() for _ in entries], self.size)

    def at(self, entries: np.ndarray, windows: list[Window], size: int) -> Sample:
        """These entries of the bank, there."""
        frames = self.clips.shape[1]
        sources = self.bank.clips[entries] * frames + self.bank.frames[entries]
        return (
            crops(self.bank.pictures, entries.tolist(), windows, size),
            crops(self.clips.flatten(0, 1), sources.tolist(), windows, size),
            self.strengths[entries],
        )

    def _window(self) -> Window:
        rows, width = self.clips.shape[2:]
        r, height = self.random, rows * 2 // 3
        return Window(
            2 * int(r.integers((height - self.size) // 2 + 1)),
            2 * int(r.integers((width - self.size) // 2 + 1)),
            *(bool(r.integers(2)) for _ in range(3)),
        )


class StillTraining(pl.LightningModule):
    """Trains a filter, and keeps the running average of it, which is what ships.

    Args:
        filter: to begin with.
        metric: of D.
        steps, learning_rate, last_learning_rate: of the cosine.
        validation: pairs never trained on.
    """

    def __init__(
        self,
        filter: StillFilter,
        metric: Metric,
        *,
        steps: int,
        learning_rate: float = 8e-4,
        last_learning_rate: float = 1.6e-5,
        validation: list[Sample] | None = None,
    ) -> None:
        super().__init__()
        self.filter, self.ema = filter, copy.deepcopy(filter).requires_grad_(False)
        self.distortion = distortion if metric == "mse" else structural_distortion
        self.steps, self.rates = steps, (learning_rate, last_learning_rate)
        self.validation = validation or []
        self._sum, self._saved = 0.0, time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.filter.parameters(), lr=self.rates[0], betas=(0.9, 0.98), weight_decay=0.0
        )

    def on_train_batch_start(self, batch: Sample, batch_idx: int) -> None:
        rate = learning_rate_at(self.global_step, self.steps, *self.rates, WARM_UP)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        decoded, source, strengths = batch
        loss = self.relative(self.filter, decoded, source, strengths).mean()
        self._sum += loss.item()
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Sample, batch_idx: int) -> None:
        step = self.global_step
        average(self.ema, self.filter, min(DECAY, step / (step + 9)), torch.tensor(True))
        row = {}
        if step % 50 == 0:
            row, self._sum = {"loss": self._sum / 50}, 0.0
        if step % EVERY == 0 and self.validation:
            row["gain_db"] = self.gain()
        if time.monotonic() - self._saved > SAVED_EVERY or step == self.steps:
            self.trainer.save_checkpoint(Path(self.trainer.default_root_dir) / LAST)
            self._saved = time.monotonic()
        if row:
            for logger in self.trainer.loggers:
                logger.log_metrics(row, step)

    def relative(
        self, filter: StillFilter, decoded: Planes, source: Planes, strengths: Tensor
    ) -> Tensor:
        """D after the filter over D before it, (B,)."""
        device = strengths.device.type
        fast = torch.cuda.is_bf16_supported() if device == "cuda" else has_fast_bfloat16()
        filtered = filter(decoded, strengths, fast)
        before = self.distortion(decoded, source)
        after: Tensor = self.distortion(filtered, source)
        return after / (before + LEAST)

    @torch.inference_mode()
    def gain(self) -> float:
        """What the average gains on the validation pairs: mean dB of D, rounded pictures."""
        found = []
        for sample in self.validation:
            decoded, source, strengths = self.transfer_batch_to_device(sample, self.device, 0)
            filtered = round_to_bytes(self.ema(decoded, strengths, fast=False))
            before, after = (float(self.distortion(p, source)) for p in (decoded, filtered))
            found.append(10 * math.log10((before + LEAST) / (after + LEAST)))
        return float(np.mean(found))


def beside(codec: PFrameCodec, filter: StillFilter) -> PFrameCodec:
    """The same weights, to the bit, with this filter in place of any they had. Raises WrongModel
    for a network that has no place for one.
    """
    network = codec.network
    if not isinstance(network, PFrameNetwork):
        raise WrongModel("only weights of the network dvc have a filter for I frames")
    whole = build_from(replace(network.config, stills=filter.channels))
    own = {k: v for k, v in codec.state_dict().items() if not k.startswith("stills.")}
    own |= {f"stills.{k}": v for k, v in filter.state_dict().items()}
    whole.load_state_dict(own)
    return whole


def held_out_of(entries: int) -> int:
    """How many of a bank's entries are validated with."""
    return min(HELD_OUT, entries // 4)


def held_out(pairs: StillPairs, count: int) -> list[Sample]:
    """The last ``count`` entries whole, one by one, largest square of the grid."""
    rows, width = pairs.clips.shape[2:]
    size = min(rows * 2 // 3, width) // 64 * 64
    last = np.arange(len(pairs.bank.rates))[-count:]
    return [pairs.at(last[n : n + 1], [Window(0, 0)], size) for n in range(len(last))]


def train(
    bank: IntraBank,
    clips: Tensor,
    metric: Metric,
    folder: Path,
    *,
    filter: StillFilter | None = None,
    steps: int = 4500,
    batch: int = 8,
    size: int = 192,
    seed: int = 1,
    resume: bool = False,
) -> tuple[StillFilter, float]:
    """-> the trained filter, and its gain in dB over stills held out. ``folder`` gets the log and
    a checkpoint every four minutes, from which ``resume`` goes on.

    Raises:
        OutOfRange: too few stills to hold a quarter out for validation.
    """
    entries = len(bank.rates)
    unseen_count = held_out_of(entries)
    if not unseen_count:
        raise OutOfRange(f"{entries} coded stills: expected 4 or more")
    torch.manual_seed(seed)
    by_clip = np.argsort(bank.clips, kind="stable")  # no clip is on both sides, or one at most
    known, unseen = by_clip[:-unseen_count], by_clip[-unseen_count:]
    pairs = StillPairs(bank.part(known), clips, metric, batch, size, seed)
    checks = held_out(StillPairs(bank.part(unseen), clips, metric, 1, size, seed), unseen_count)
    filter = (copy.deepcopy(filter) if filter else StillFilter(CHANNELS)).requires_grad_(True)
    filter.train()
    use_channels_last(filter)
    module = StillTraining(filter, metric, steps=steps, validation=checks)
    trainer = pl.Trainer(
        devices=1,
        max_steps=steps,
        default_root_dir=folder,
        logger=CsvLog(folder),
        enable_checkpointing=False,
        gradient_clip_val=GRADIENT_CLIP,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[AtomicIO()],
    )
    folder.mkdir(parents=True, exist_ok=True)
    found = folder / LAST
    trainer.fit(
        module,
        DataLoader(pairs, batch_size=None, generator=torch.Generator()),
        ckpt_path=found if resume and found.is_file() else None,
    )
    return module.ema, module.gain()


CARD = """# {name}

| | |
|---|---|
| network | `dvc`, {parameters:,} parameters, float16; integers of the entropy model exact |
| SHA-256 | `{sha256}` |
| made of | {weights} (`{before}`), to the bit, and a filter of I frames |
| training of the filter | {steps} steps of {batch} crops of {size}x{size}, {stills} stills |
| measured on {held_out} stills held out | {gain:+.3f} dB of D |
| licence | MIT, as the project |

A .dvc file names its weights by the SHA-256 above and is decoded with no others.
"""


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="train.py stills", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="clips that the stills are of")
    parser.add_argument("--bank", type=Path, required=True, help="coded stills, by intra_bank")
    parser.add_argument("--weights", type=Path, required=True, help="that the filter is for")
    parser.add_argument("--out", type=Path, required=True, help=".safetensors, both together")
    parser.add_argument("--name", help="of the model; by default the file's")
    parser.add_argument("--folder", type=Path, default=Path("runs/stills"), help="log, checkpoint")
    parser.add_argument("--resume", action="store_true", help="from the folder's checkpoint")
    parser.add_argument("--steps", type=int, default=4500)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=192, help="of crops; MS-SSIM needs 192 or more")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args(arguments)
    if given.out.suffix != ".safetensors":
        raise OutOfRange(f"{given.out}: weights are .safetensors")
    model = load_model(given.weights)
    clips = load_clips(given.data)
    bank = load_bank(given.bank, clips.numbers)
    trained, gain = train(
        bank,
        clips.pictures,
        model.codec.network.metric,
        given.folder,
        filter=model.codec.stills,
        steps=given.steps,
        batch=given.batch,
        size=given.size,
        seed=given.seed,
        resume=given.resume,
    )
    codec = beside(model.codec, trained)
    name = given.name or given.out.stem
    try:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        sha256 = write_weights(codec, given.out, name).hex()
    except OSError as error:
        raise CannotWrite(f"{given.out}: {error.strerror}") from error
    unseen = held_out_of(len(bank.rates))
    card = CARD.format(
        name=name,
        parameters=sum(p.numel() for p in codec.parameters()),
        sha256=sha256,
        weights=model.name,
        before=model.sha256.hex(),
        steps=given.steps,
        batch=given.batch,
        size=given.size,
        stills=len(bank.rates) - unseen,
        held_out=unseen,
        gain=gain,
    )
    given.out.with_suffix(".md").write_text(card)
    print(sha256)
