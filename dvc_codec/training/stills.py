"""The filter of I frames, trained alone on pictures that a still codec has coded, and put beside
the weights it is to ship with.

    python -m data_prep.intra_bank DATA BANK --codec vvc --each 2
    python train.py stills --data DATA --bank BANK --weights OLD.safetensors --out NEW.safetensors
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from dvc_codec.codec.model import load_model
from dvc_codec.errors import OutOfRange
from dvc_codec.networks.config import Metric
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.still_filter import CHANNELS, StillFilter
from dvc_codec.training.clips import load_clips
from dvc_codec.training.crops import Window, crops
from dvc_codec.training.filters import (
    add_arguments,
    beside,
    check_out,
    held_out_of,
    ship,
    train_filter,
)
from dvc_codec.training.intra_frames import IntraBank, load_bank, strength_of

LEARNING_RATE = 8e-4

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


def use(filter: StillFilter, sample: Sample, fast: bool) -> tuple[Planes, Planes, Planes]:
    """``filters.Use`` of a still filter."""
    decoded, source, strengths = sample
    return decoded, filter(decoded, strengths, fast), source


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
    learning_rate: float = LEARNING_RATE,
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
    return train_filter(
        filter or StillFilter(CHANNELS),
        use,
        metric,
        pairs,
        checks,
        folder,
        steps=steps,
        learning_rate=learning_rate,
        resume=resume,
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="train.py stills", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="clips that the stills are of")
    parser.add_argument("--bank", type=Path, required=True, help="coded stills, by intra_bank")
    parser.add_argument("--weights", type=Path, required=True, help="that the filter is for")
    add_arguments(parser, Path("runs/stills"), 4500, LEARNING_RATE)
    given = parser.parse_args(arguments)
    check_out(given.out)
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
        learning_rate=given.learning_rate,
        resume=given.resume,
    )
    unseen = held_out_of(len(bank.rates))
    ship(
        model,
        beside(model.codec, "stills", trained),
        given.out,
        given.name,
        "a filter of I frames",
        f"{given.steps} steps of {given.batch} crops of {given.size}x{given.size}, "
        f"{len(bank.rates) - unseen} stills",
        f"{gain:+.3f} dB, Y, U and V 6:1:1, on {unseen} stills held out",
    )
