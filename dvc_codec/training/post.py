"""The post-filter, trained alone on frames as the encoder codes them, and put beside the weights it
is for.

    python -m data_prep.post_bank DATA BANK --weights OLD.safetensors
    python train.py post --bank BANK --weights OLD.safetensors --out NEW.safetensors

Ten times as many steps in an hour as training whole roll-outs: nothing is predicted from what it
makes, so frames need to be coded only once.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.utils.data import IterableDataset

from dvc_codec.codec.model import load_model
from dvc_codec.errors import DamagedFile, FileMissing, OutOfRange, WrongModel
from dvc_codec.networks.compensation import Context
from dvc_codec.networks.p_frame import PFrameNetwork, post_filtered
from dvc_codec.networks.planes import GRID, Planes, unpack
from dvc_codec.networks.post_filter import PostFilter
from dvc_codec.networks.reference import Prediction
from dvc_codec.training.crops import Window, crops
from dvc_codec.training.filters import (
    add_arguments,
    beside,
    check_out,
    held_out_of,
    ship,
    train_filter,
)

CHANNELS = 48
LEARNING_RATE = 2e-3
PARTS = 1 << 14  # of the range of samples, in which predictions and residuals are stored
CELL = 16  # luma samples: crops begin where blocks of every plane do


class Sample(NamedTuple):
    """Crops of some frames: what the filter sees, and what they should be."""

    prediction: Tensor
    residual: Tensor
    quarter: Tensor
    eighth: Tensor
    steps: Tensor | None
    source: Planes
    rates: Tensor


@dataclass(frozen=True, eq=False)
class Clip:
    """The coded frames of one clip, see :mod:`data_prep.post_bank`."""

    tensors: dict[str, Tensor]

    def __len__(self) -> int:
        return len(self.tensors["rates"])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of luma."""
        rows, width = self.tensors["source"].shape[1:]
        return rows * 2 // 3, width

    def at(self, frame: int, top: int, left: int, size: int) -> Sample:
        """A square of a frame, as a batch of one; all are multiples of 16."""

        def part(name: str, stride: int) -> Tensor:
            y, x, side = (n // stride for n in (top, left, size))
            return self.tensors[name][frame : frame + 1, :, y : y + side, x : x + side]

        return Sample(
            part("prediction", 4).float() / PARTS,
            part("residual", 4).float() / PARTS,
            part("quarter", 4),
            part("eighth", 8),
            part("steps", 8).float() if "steps" in self.tensors else None,
            crops(self.tensors["source"], [frame], [Window(top, left)], size),
            self.tensors["rates"][frame : frame + 1],
        )


def load_bank(*folders: Path) -> list[Clip]:
    """All clips of some folders. Raises FileMissing where there are none, DamagedFile."""
    paths = sorted(path for folder in folders for path in folder.glob("clip-*.safetensors"))
    if not paths:
        said = ", ".join(map(str, folders))
        raise FileMissing(f"{said}: no coded clips here (data_prep/post_bank.py makes them)")
    try:
        return [Clip(load_file(path)) for path in paths]
    except (SafetensorError, OSError) as error:
        raise DamagedFile(f"{paths[0].parent}: {error}") from error


class PostSamples(IterableDataset[Sample]):
    """Crops of coded frames, drawn for ever; every frame as often as any other.

    Args:
        clips: to draw from.
        batch: crops of a sample, ``size`` wide and high.
    """

    def __init__(self, clips: Sequence[Clip], batch: int, size: int, seed: int) -> None:
        self.frames = [(clip, frame) for clip in clips for frame in range(len(clip))]
        self.batch, self.size = batch, size
        self.random = np.random.default_rng(seed)

    def __iter__(self) -> Iterator[Sample]:
        while True:
            chosen = self.random.integers(len(self.frames), size=self.batch)
            yield _joined([self._crop(*self.frames[n]) for n in chosen])

    def _crop(self, clip: Clip, frame: int) -> Sample:
        top, left = (
            CELL * int(self.random.integers((length - self.size) // CELL + 1))
            for length in clip.size
        )
        return clip.at(frame, top, left, self.size)


def _joined(samples: Sequence[Sample]) -> Sample:
    def one(parts: Sequence[Tensor | None]) -> Tensor | None:
        known = [part for part in parts if part is not None]
        return torch.cat(known) if known else None

    columns = list(zip(*samples, strict=True))
    sources = Planes(*(torch.cat(planes) for planes in zip(*columns[5], strict=True)))
    return Sample(*(one(c) for c in columns[:5]), sources, torch.cat(columns[6]))  # type: ignore[arg-type, call-arg]


def held_out(clips: Sequence[Clip]) -> list[Sample]:
    """One frame of each clip, the largest square of the grid."""
    return [
        clip.at(n % len(clip), 0, 0, min(clip.size) // GRID * GRID) for n, clip in enumerate(clips)
    ]


class Use:
    """``filters.Use`` of a post-filter behind a network's loop filter."""

    def __init__(self, network: PFrameNetwork) -> None:
        self.network = network.requires_grad_(False)

    def __call__(
        self, post: PostFilter, sample: Sample, fast: bool
    ) -> tuple[Planes, Planes, Planes]:
        given, kind = sample, torch.bfloat16 if fast else torch.float32
        context = Context(given.quarter.to(kind), given.eighth.to(kind))
        nothing = given.prediction[:, :2]  # the filter has no use for motion
        prediction = Prediction(given.source, given.prediction, context, nothing, given.steps)
        residual = unpack(given.residual)
        with torch.autocast(given.rates.device.type, torch.bfloat16, enabled=fast):
            with torch.no_grad():
                done = self.network.loop_filtered(prediction, residual, given.rates)
            before = unpack(done.packed)
            after = post_filtered(post, before, done, prediction, residual, given.rates)
        return before, after, given.source


def train(
    clips: Sequence[Clip],
    network: PFrameNetwork,
    folder: Path,
    *,
    channels: int = CHANNELS,
    steps: int = 8000,
    batch: int = 8,
    size: int = 192,
    seed: int = 1,
    learning_rate: float = LEARNING_RATE,
    resume: bool = False,
) -> tuple[PostFilter, float]:
    """-> the trained post-filter for this network, and its gain in dB over clips held out.
    ``folder`` as in :func:`filters.train_filter`.

    Raises:
        OutOfRange: too few clips to hold a quarter out for validation.
    """
    count = held_out_of(len(clips))
    if not count:
        raise OutOfRange(f"{len(clips)} coded clips: expected 4 or more")
    torch.manual_seed(seed)
    post = network.post or PostFilter(channels, network.config.quarter)
    every = len(clips) // count
    unseen = [clip for n, clip in enumerate(clips) if n % every == 0][:count]
    known = [clip for clip in clips if clip not in unseen]
    return train_filter(
        post,
        Use(network),
        network.metric,
        PostSamples(known, batch, size, seed),
        held_out(unseen),
        folder,
        steps=steps,
        learning_rate=learning_rate,
        resume=resume,
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="train.py post", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--bank", type=Path, nargs="+", required=True, help="coded clips")
    parser.add_argument("--weights", type=Path, required=True, help="that it is for")
    parser.add_argument("--channels", type=int, default=CHANNELS, help="where there is none yet")
    add_arguments(parser, Path("runs/post"), 8000, LEARNING_RATE)
    given = parser.parse_args(arguments)
    check_out(given.out)
    model = load_model(given.weights)
    network = model.codec.network
    if not isinstance(network, PFrameNetwork):
        raise WrongModel("only weights of the network dvc have a post-filter")
    clips = load_bank(*given.bank)
    trained, gain = train(
        clips,
        network,
        given.folder,
        channels=given.channels,
        steps=given.steps,
        batch=given.batch,
        size=given.size,
        seed=given.seed,
        learning_rate=given.learning_rate,
        resume=given.resume,
    )
    unseen = held_out_of(len(clips))
    ship(
        model,
        beside(model.codec, "post", trained),
        given.out,
        given.name,
        "a post-filter",
        f"{given.steps} steps of {given.batch} crops of {given.size}x{given.size}, "
        f"frames of {len(clips) - unseen} clips",
        f"{gain:+.3f} dB, Y, U and V 6:1:1, on {unseen} clips held out",
    )
