"""The data module: clips in memory, the replay pool over them, sequences for validation."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset

from dvc_codec.codec.p_frame import State
from dvc_codec.errors import FileMissing, OutOfRange
from dvc_codec.networks.planes import Planes
from dvc_codec.training.absent import present
from dvc_codec.training.clips import ClipSet, decoder_of, load_clips, stack
from dvc_codec.training.intra_frames import IntraBank, hevc_intra, load_bank
from dvc_codec.training.replay import Draw, Refine, ReplayPool
from dvc_codec.training.tars import TarStream, last_members, tars_in
from dvc_codec.training.validation import Case, cases_of_bank, cases_of_clips, cases_of_videos


class ReplayData(pl.LightningDataModule):
    """Resident or streamed clips and a replay pool.

    Args:
        data: packed shards, Vimeo-90k's tree, or tars (see :mod:`dvc_codec.training.clips`).
        batch: sequences of a step, over all processes.
        rollout: P frames of each that a step codes.
        size: of the square crops, a multiple of 64.
        slots: sequences in progress, over all processes.
        draw: how sequences are drawn.
        clips: use the first ones only.
        held_out: the last clips, kept for validation and never trained on.
        bank: folder of I frames coded beforehand; without it they are coded as they are needed.
        validation: folder of videos to validate on instead of the clips held out.
        validation_frames: of each sequence, the first ones.
        validation_rates: rate indices to validate at.
        validation_between: the most B frames in a row there; None: as many as the encoder makes.
        seed: of all chance.
        lanes: shares of the batch with chance of their own; a multiple of the processes. The same
            lanes draw the same samples, whatever processes they are spread over. None: as many as
            processes.
        sharded: every process loads its own part of the clips only.
        stream: read clips from tars as training goes on, each once a pass, instead of all at the
            start; every lane has its own part of them.
        stream_threads: of each process that decode them.
    """

    def __init__(
        self,
        data: Path,
        batch: int = 8,
        rollout: int = 2,
        size: int = 192,
        slots: int = 96,
        draw: Draw = Draw(),  # noqa: B008  # frozen
        clips: int | None = None,
        held_out: int = 8,
        bank: Path | None = None,
        validation: Path | None = None,
        validation_frames: int = 16,
        validation_rates: Sequence[int] = (21, 42),
        validation_between: int | None = None,
        seed: int = 1,
        lanes: int | None = None,
        sharded: bool = False,
        stream: bool = False,
        stream_threads: int = 2,
    ) -> None:
        super().__init__()
        self.data, self.batch, self.rollout, self.size = data, batch, rollout, size
        self.slots, self.draw, self.limit, self.held_out = slots, draw, clips, held_out
        self.bank_folder, self.validation = bank, validation
        self.validation_frames = validation_frames
        self.validation_rates = tuple(validation_rates)
        self.validation_between = validation_between
        self.seed, self.lanes, self.sharded = seed, lanes, sharded
        self.stream, self.stream_threads = stream, stream_threads
        if stream and (bank is not None or clips is not None):
            raise OutOfRange("data.stream goes with neither data.bank nor data.clips")
        self.local_batch = batch
        self._clips: ClipSet | None = None
        self._bank: IntraBank | None = None
        self._pool: ReplayPool | None = None
        self._refine: Refine | None = None

    @property
    def pool(self) -> ReplayPool:
        assert self._pool is not None, "begin() comes first"
        return self._pool

    def setup(self, stage: str) -> None:
        """Decode the clips, once per process; of a stream only those held out."""
        if self._clips is not None:
            return
        if self.stream:
            if self.held_out:
                members = last_members(tars_in(self.data), self.held_out)
                self._clips = stack(self.data, *decoder_of(members))
            return
        if self.bank_folder is None and not present("av"):
            raise FileMissing(
                "I frames cannot be coded here without PyAV: give data.bank, a folder that "
                "data_prep/intra_bank.py made where there is one"
            )
        share = (0, 1)
        if self.sharded and self.trainer is not None:
            share = (self.trainer.global_rank, self.trainer.world_size)
        self._clips = load_clips(self.data, self.limit, share=share)
        if self.held_out >= len(self._clips.numbers):
            raise OutOfRange(
                f"{self.data}: {self.held_out} clips held out of {len(self._clips.numbers)}"
            )
        if self.bank_folder is not None:
            self._bank = load_bank(self.bank_folder, self._clips.numbers)

    def begin(
        self,
        start: Callable[[Planes], State],
        device: torch.device,
        rank: int,
        processes: int,
        refine: Refine | None = None,
    ) -> None:
        """Make the pool, on ``device``: the lanes of process ``rank`` of ``processes``."""
        self._refine = refine
        lanes = self.lanes or processes
        if lanes % processes or self.batch % lanes or self.slots % lanes:
            raise OutOfRange(
                f"batch {self.batch}, {self.slots} slots, {lanes} lanes, {processes} processes: "
                "lanes must be a multiple of the processes, batch and slots of the lanes"
            )
        mine = range(rank * lanes // processes, (rank + 1) * lanes // processes)
        self.local_batch = self.batch // processes
        if self.stream:
            self._pool = self._streaming_pool(start, device, tuple(mine), lanes, processes)
            return
        assert self._clips is not None
        trained = self._clips.part(slice(0, len(self._clips.numbers) - self.held_out))
        bank = self._bank
        if bank is not None:
            bank = bank.part(bank.clips < len(trained.numbers)).to(device)
        self._pool = self._pool_of(
            trained.pictures.to(device), start, tuple(mine), self.slots // processes, bank=bank
        )

    def _streaming_pool(
        self,
        start: Callable[[Planes], State],
        device: torch.device,
        mine: tuple[int, ...],
        lanes: int,
        processes: int,
    ) -> ReplayPool:
        stream = TarStream(
            self.data,
            mine,
            lanes,
            seed=self.seed,
            held_out=self.held_out,
            threads=self.stream_threads,
        )
        slots = self.slots // processes
        nothing_yet = torch.zeros((slots, *stream.shape), dtype=torch.uint8, device=device)
        return self._pool_of(nothing_yet, start, mine, slots, stream=stream)

    def _pool_of(
        self,
        pictures: Tensor,
        start: Callable[[Planes], State],
        lanes: tuple[int, ...],
        slots: int,
        *,
        bank: IntraBank | None = None,
        stream: TarStream | None = None,
    ) -> ReplayPool:
        return ReplayPool(
            pictures,
            slots=slots,
            size=self.size,
            start=start,
            code_intra=hevc_intra,
            rollout=self.rollout,
            seed=self.seed,
            draw=self.draw,
            bank=bank,
            lanes=lanes,
            stream=stream,
            refine=self._refine,
        )

    def train_dataloader(self) -> DataLoader[int]:
        """Nothing but the number of the step: pictures come from the pool.

        A generator of its own, or the loader would draw from that of the steps.
        """
        return DataLoader(_Steps(), batch_size=None, generator=torch.Generator())

    def val_dataloader(self) -> DataLoader[Case]:
        """Whole sequences at fixed rates; every process takes its part."""
        frames, rates = self.validation_frames, self.validation_rates
        between = self.validation_between
        if self.validation is not None:
            cases = cases_of_videos(self.validation, frames, rates, between)
        elif self._clips is None:  # a stream of which nothing is held out
            cases = []
        else:
            first = max(0, len(self._clips.numbers) - self.held_out)
            if self._bank is not None:
                cases = cases_of_bank(self._clips, self._bank, first, frames, rates, between)
            else:
                held = self._clips.part(slice(first, None))
                cases = cases_of_clips(held, frames, rates, between)
        own = self.sharded and not self.stream and self.validation is None
        if self.trainer is not None and not own:
            rank, processes = self.trainer.global_rank, self.trainer.world_size
            # each has one at least: all of them have to be there when means are made
            cases = cases[rank::processes] or cases[:1]
        return DataLoader(_Cases(cases), batch_size=None, generator=torch.Generator())

    def transfer_batch_to_device(self, batch: Any, device: torch.device, number: int) -> Any:
        """Left where it is: a case moves frame by frame."""
        return batch


class _Steps(IterableDataset[int]):
    def __iter__(self) -> Iterator[int]:
        number = 0
        while True:
            yield number
            number += 1


class _Cases(Dataset[Case]):
    def __init__(self, cases: list[Case]) -> None:
        self.cases = cases

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, number: int) -> Case:
        return self.cases[number]
