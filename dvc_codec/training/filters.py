"""Training a filter alone, on pictures that were coded beforehand: what the still filter and
the post-filter have in common.

What is minimised is the error of each plane after the filter over that before it, so that every
picture and rate counts alike; planes count 6:1:1, as their dB do in the weighted PSNR that codecs
are compared by. With weights for MS-SSIM luma's error is 1 - MS-SSIM.
"""

import argparse
import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from dvc_codec.codec.model import Model, fast_on, write_weights
from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.codec.registry import FILTERS, build_from
from dvc_codec.errors import CannotWrite, OutOfRange, WrongModel
from dvc_codec.networks.blocks import use_channels_last
from dvc_codec.networks.config import Metric
from dvc_codec.networks.distortion import plane_distortions
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes, round_to_bytes
from dvc_codec.networks.post_filter import PostFilter
from dvc_codec.networks.still_filter import StillFilter
from dvc_codec.training.checkpoints import LAST, AtomicIO
from dvc_codec.training.logs import CsvLog
from dvc_codec.training.optimisation import average, learning_rate_at

LEAST = 1e-7  # error of a plane that needs no filter
PLANES = (6 / 8, 1 / 8, 1 / 8)  # what Y, U and V count
HELD_OUT = 32  # pictures that are validated with, if that is no more than a quarter
EVERY = 500  # steps from validation to validation
WARM_UP = 100
DECAY = 0.998
GRADIENT_CLIP = 0.5
SAVED_EVERY = 240.0  # seconds
LAST_RATE = 0.02  # of the learning rate, at the end of the cosine

Filter = TypeVar("Filter", bound=nn.Module)
Sample = TypeVar("Sample")
# (filter, sample, in bfloat16) -> the pictures before it, after it, and as they should be
Use = Callable[[Filter, Sample, bool], tuple[Planes, Planes, Planes]]


class FilterTraining(pl.LightningModule, Generic[Filter, Sample]):
    """Trains a filter, and keeps the running average of it, which is what ships.

    Args:
        filter: to begin with.
        use: of it, on a sample.
        metric: of luma's error.
        steps, learning_rate: of the cosine.
        validation: samples of one picture each, never trained on.
    """

    def __init__(
        self,
        filter: Filter,
        use: Use[Filter, Sample],
        metric: Metric,
        *,
        steps: int,
        learning_rate: float,
        validation: Sequence[Sample] = (),
    ) -> None:
        super().__init__()
        self.filter, self.ema = filter, copy.deepcopy(filter).requires_grad_(False)
        self._use, self._fast = use, False
        self.metric = metric
        self.steps, self.learning_rate = steps, learning_rate
        self.validation = validation
        self._sum, self._saved = 0.0, time.monotonic()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(
            self.filter.parameters(), lr=self.learning_rate, betas=(0.9, 0.98), weight_decay=0.0
        )

    def on_fit_start(self) -> None:
        self._fast = fast_on(self.device)

    def on_train_batch_start(self, batch: Sample, batch_idx: int) -> None:
        first = self.learning_rate
        rate = learning_rate_at(self.global_step, self.steps, first, LAST_RATE * first, WARM_UP)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = rate

    def training_step(self, batch: Sample, batch_idx: int) -> Tensor:
        before, after, source = self._use(self.filter, batch, self._fast)
        first, then = self.errors(before, source), self.errors(after, source)
        loss: Tensor = (then / first @ then.new_tensor(PLANES)).mean()
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

    def errors(self, picture: Planes, source: Planes) -> Tensor:
        """Of Y, U and V, (B, 3), never zero."""
        return plane_distortions(picture, source, self.metric) + LEAST

    @torch.inference_mode()
    def gain(self) -> float:
        """What the average gains on the validation samples: dB of rounded planes, weighed."""
        found = []
        for sample in self.validation:
            moved = self.transfer_batch_to_device(sample, self.device, 0)
            before, after, source = self._use(self.ema, moved, self._fast)
            first, then = (self.errors(round_to_bytes(p), source) for p in (before, after))
            found.append(10 * (first / then).log10().mean(0))
        return float(torch.stack(found).mean(0) @ torch.tensor(PLANES, device=self.device))


def train_filter(
    filter: Filter,
    use: Use[Filter, Sample],
    metric: Metric,
    samples: IterableDataset[Sample],
    validation: Sequence[Sample],
    folder: Path,
    *,
    steps: int,
    learning_rate: float,
    resume: bool = False,
) -> tuple[Filter, float]:
    """-> the trained filter, and its gain in dB over ``validation``. ``folder`` gets the log and a
    checkpoint every four minutes, from which ``resume`` goes on. ``filter`` stays as it was.
    """
    filter = copy.deepcopy(filter).requires_grad_(True)
    filter.train()
    use_channels_last(filter)
    module = FilterTraining(
        filter, use, metric, steps=steps, learning_rate=learning_rate, validation=validation
    )
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
        DataLoader(samples, batch_size=None, generator=torch.Generator()),
        ckpt_path=found if resume and found.is_file() else None,
    )
    return module.ema, module.gain()


def add_arguments(
    parser: argparse.ArgumentParser, folder: Path, steps: int, learning_rate: float
) -> None:
    """What the commands that train a filter have in common; their own defaults."""
    parser.add_argument("--out", type=Path, required=True, help=".safetensors, both together")
    parser.add_argument("--name", help="of the model; by default the file's")
    parser.add_argument("--folder", type=Path, default=folder, help="log, checkpoint")
    parser.add_argument("--resume", action="store_true", help="from the folder's checkpoint")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, default=192, help="of crops; MS-SSIM needs 192 or more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--learning-rate",
        type=float,
        default=learning_rate,
        help="at first; a filter that is there already loses less to a lower one than %(default)g",
    )


def held_out_of(pictures: int) -> int:
    """How many of so many are validated with."""
    return min(HELD_OUT, pictures // 4)


def beside(codec: PFrameCodec, field: str, filter: StillFilter | PostFilter) -> PFrameCodec:
    """The same weights, to the bit, with this filter in place of any they had. Raises WrongModel
    for a network that has no place for one.
    """
    network, prefix = codec.network, FILTERS[field]
    if not isinstance(network, PFrameNetwork):
        raise WrongModel("only weights of the network dvc have filters that are trained alone")
    whole = build_from(replace(network.config, **{field: filter.channels}))  # type: ignore[arg-type]
    own = {k: v for k, v in codec.state_dict().items() if not k.startswith(prefix)}
    own |= {f"{prefix}{k}": v for k, v in filter.state_dict().items()}
    whole.load_state_dict(own)
    return whole


CARD = """# {name}

| | |
|---|---|
| network | `dvc`, {parameters:,} parameters, float16; integers of the entropy model exact |
| SHA-256 | `{sha256}` |
| made of | {old} (`{before}`), to the bit, and {added} |
| training of that | {training} |
| measured | {measured} |
| licence | MIT, as the project |

A .dvc file names its weights by the SHA-256 above and is decoded with no others.
"""


def check_out(out: Path) -> None:
    """Raises OutOfRange where ``out`` is no name for weights, before hours are spent on them."""
    if out.suffix != ".safetensors":
        raise OutOfRange(f"{out}: weights are .safetensors")


def ship(
    old: Model,
    codec: PFrameCodec,
    out: Path,
    name: str | None,
    added: str,
    training: str,
    measured: str,
) -> None:
    """Write weights and their card, and print their SHA-256. ``name``: by default the file's; the
    rest are the card's words.
    """
    name = name or out.stem
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        sha256 = write_weights(codec, out, name).hex()
    except OSError as error:
        raise CannotWrite(f"{out}: {error.strerror}") from error
    card = CARD.format(
        name=name,
        parameters=sum(p.numel() for p in codec.parameters()),
        sha256=sha256,
        old=old.name,
        before=old.sha256.hex(),
        added=added,
        training=training,
        measured=measured,
    )
    out.with_suffix(".md").write_text(card)
    print(sha256)
