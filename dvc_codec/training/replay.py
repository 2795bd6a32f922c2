"""The replay pool: many sequences in progress, so that every sample's reference is the codec's own,
deep into a group of pictures.

A slot is a crop of a clip, where it has come to, and the codec's state there. A step takes some
slots, codes the next frames, and puts the new states back; a slot whose sequence has ended starts
another clip with a fresh I frame (design.md, section 8). Sequences run forwards and backwards
through the clip, so that they can be longer than it is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec.p_frame import State
from dvc_codec.networks.planes import Planes, from_bytes
from dvc_codec.networks.rate import lambda_at
from dvc_codec.training.clips import crop

# decoded luma (h, w) and chroma (2, h/2, w/2), uint8, of an I frame of this picture at this lambda
CodeIntra = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Course:
    """Which pictures a slot goes through."""

    clip: int
    top: int
    left: int
    frames: tuple[int, ...]
    transpose: bool
    mirror: bool
    flip: bool
    rate: int


@dataclass(frozen=True)
class Slot:
    """A sequence in progress."""

    sequence: Course
    position: int  # of the next frame in ``sequence.frames``
    state: State  # batch of one


def stack(states: Sequence[State]) -> State:
    """States of batch one -> one state of their batch."""
    return cast(State, _zipped(lambda parts: torch.cat(parts), list(states)))


def unstack(state: State) -> list[State]:
    """The inverse of :func:`stack`; copies, so that no slot keeps a batch alive."""
    batch = len(state.reference.picture.luma)

    def part(number: int) -> State:
        one = _zipped(lambda x: x[0][number : number + 1].detach().clone(), [state])
        return cast(State, one)

    return [part(number) for number in range(batch)]


def _zipped(function: Callable[[list[Tensor]], Tensor], items: list[Any]) -> Any:
    """Apply ``function`` to the tensors in the same place of dataclasses, planes and dicts."""
    first = items[0]
    if isinstance(first, Tensor):
        return function(items)
    if isinstance(first, Mapping):
        return {key: _zipped(function, [i[key] for i in items]) for key in first}
    if isinstance(first, tuple):
        return type(first)(*(_zipped(function, list(parts)) for parts in zip(*items, strict=True)))
    parts = {f.name: [getattr(i, f.name) for i in items] for f in fields(first)}
    return type(first)(**{name: _zipped(function, values) for name, values in parts.items()})


class ReplayPool:
    """``slots`` sequences in progress over resident clips.

    Args:
        clips: uint8 (clips, frames, 3 H / 2, W), see :func:`dvc_codec.training.clips.load_shards`.
        size: of the square crops, a multiple of 64.
        start: picture -> state after an I frame (the codec's ``start``).
        code_intra: makes I frames look as in real use.
        longest: P frames of the longest sequence.
    """

    def __init__(
        self,
        clips: Tensor,
        *,
        slots: int,
        size: int,
        start: Callable[[Planes], State],
        code_intra: CodeIntra,
        longest: int,
        rollout: int,
        seed: int,
    ) -> None:
        self.clips, self.size, self.start, self.code_intra = clips, size, start, code_intra
        self.longest, self.rollout = longest, rollout
        self.random = np.random.default_rng(seed)
        self.slots: list[Slot | None] = [None] * slots

    def take(self, count: int) -> tuple[list[int], list[Planes], State, Tensor]:
        """``count`` random slots -> their numbers, the next ``rollout`` pictures (batched), their
        states, their rate indices.
        """
        chosen = [int(i) for i in self.random.choice(len(self.slots), count, replace=False)]
        ready: list[Slot] = []
        for number in chosen:
            slot = self.slots[number]
            if slot is None or slot.position + self.rollout > len(slot.sequence.frames):
                slot = self._fresh(stagger=slot is None)
            self.slots[number] = slot
            ready.append(slot)
        pictures = [
            self._batch([self._picture(s.sequence, s.position + k) for s in ready])
            for k in range(self.rollout)
        ]
        rates = torch.tensor([s.sequence.rate for s in ready])
        return chosen, pictures, stack([s.state for s in ready]), rates

    def put(self, chosen: list[int], state: State) -> None:
        """The states after the pictures of :meth:`take`."""
        for number, new in zip(chosen, unstack(state), strict=True):
            slot = self.slots[number]
            assert slot is not None
            self.slots[number] = replace(slot, position=slot.position + self.rollout, state=new)

    def _fresh(self, stagger: bool) -> Slot:
        r = self.random
        count, frames = self.clips.shape[:2]
        height, width = self.clips.shape[2] * 2 // 3, self.clips.shape[3]
        step = int(r.choice([1, 1, 1, 2]))
        there = list(range(0, frames, step))
        if r.random() < 0.5:
            there.reverse()
        order = there + there[-2:0:-1] + there  # there, back, and there again
        length = 1 + int(r.integers(self.rollout, self.longest + 1))
        if (
            stagger
        ):  # at the very start: sequences of all lengths, so that they don't end all at once
            length = 1 + int(r.integers(self.rollout, max(self.rollout + 1, self.longest // 2)))
        begin = int(r.integers(0, len(there)))
        sequence = Course(
            clip=int(r.integers(count)),
            top=2 * int(r.integers((height - self.size) // 2 + 1)),
            left=2 * int(r.integers((width - self.size) // 2 + 1)),
            frames=tuple(order[begin : begin + length]),
            transpose=bool(r.integers(2)),
            mirror=bool(r.integers(2)),
            flip=bool(r.integers(2)),
            # the whole range, the middle (where people code) more often
            rate=int(r.integers(64)) if r.random() < 0.4 else int(r.integers(16, 58)),
        )
        luma, chroma = self._picture(sequence, 0)
        lagrangian = lambda_at(sequence.rate)
        coded = self.code_intra(luma, chroma, lagrangian)
        with torch.no_grad():
            state = self.start(self._batch([coded]))
        return Slot(sequence, 1, state)

    def _picture(self, s: Course, position: int) -> tuple[Tensor, Tensor]:
        luma, chroma = crop(self.clips, s.clip, s.frames[position], s.top, s.left, self.size)
        if s.transpose:
            luma, chroma = luma.transpose(-1, -2), chroma.transpose(-1, -2)
        axes = [-1] * s.mirror + [-2] * s.flip
        return luma.flip(axes), chroma.flip(axes)

    @staticmethod
    def _batch(pictures: list[tuple[Tensor, Tensor]]) -> Planes:
        luma = torch.stack([p[0] for p in pictures])[:, None]
        return from_bytes(luma, torch.stack([p[1] for p in pictures]))
