"""The replay pool: many sequences in progress, so that every sample's reference is the codec's own,
deep into a group of pictures.

A slot is a crop of a clip, where it has come to, and the codec's state there. A step takes some
slots, codes the next frames, and puts the new states back; a slot whose sequence has ended starts
another clip with a fresh I frame (docs/training.md). Sequences run forwards and backwards through
the clip, so that they can be longer than it is.

What is decided by chance is decided on the host, where nothing waits for the device; states lie on
the device, one tensor for all slots.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec.p_frame import State
from dvc_codec.errors import OutOfRange
from dvc_codec.networks.planes import GRID, Planes
from dvc_codec.networks.rate import RATES, lambda_at
from dvc_codec.training.crops import Window, batch, crop, crops, to_device
from dvc_codec.training.intra_frames import IntraBank

# decoded luma (h, w) and chroma (2, h/2, w/2), uint8, of an I frame of this picture at this lambda
CodeIntra = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]

Refine = Callable[[Planes, Tensor], Planes]


@dataclass(frozen=True)
class Course:
    """Which pictures a slot goes through, at which rate."""

    clip: int
    window: Window
    frames: tuple[int, ...]
    rate: int
    entry: int = -1  # of the bank: its I frame; -1 where it is coded


@dataclass(frozen=True)
class Slot:
    """A sequence in progress. ``position``: of the next frame in ``course.frames``."""

    course: Course
    position: int


@dataclass(frozen=True)
class Draw:
    """How sequences are drawn.

    Attributes:
        longest: P frames of the longest sequence.
        rates: first and last rate index.
        often: rate indices (first, last) where people code, drawn more often; None: no preference.
        far: share of the sequences that skip every second frame, for larger motion.
    """

    longest: int = 31
    rates: tuple[int, int] = (0, RATES - 1)
    often: tuple[int, int] | None = (16, 57)
    far: float = 0.25


@dataclass(frozen=True)
class Taken:
    """What a step works on: slots, the next pictures of each (batched), states, rates (B,)."""

    slots: list[int]
    pictures: list[Planes]
    state: State
    rates: Tensor


class Stream(Protocol):
    """Clips that come one by one, in an order of their own for every lane."""

    def take(self, lane: int) -> tuple[int, Tensor]:
        """The next one: its place in the order, uint8 (frames, 3 H / 2, W)."""
        ...

    def at(self, lane: int, place: int) -> Tensor:
        """One that was taken, once more."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """Numbers and text."""
        ...

    def load_state_dict(self, kept: dict[str, Any]) -> bool:
        """-> False, with nothing changed, if that is of other clips."""
        ...


class ReplayPool:
    """``slots`` sequences in progress over resident clips.

    Args:
        clips: uint8 (clips, frames, 3 H / 2, W), see :mod:`dvc_codec.training.clips`. With a
            ``stream``: room for a clip per slot.
        slots: of all lanes that this process runs.
        size: of the square crops, a multiple of 64.
        start: pictures -> state after an I frame (the codec's ``start``).
        refine: pictures of I frames as coded, rate indices (B,) -> as shown; None: the same.
        code_intra: makes I frames look as in real use; not called where there is a ``bank``.
        rollout: P frames that a step codes.
        seed: of the first lane.
        lanes: numbers of the lanes to run. A lane is a share of the batch with slots and chance of
            its own: the same lanes draw the same whatever processes they are spread over.
        stream: gives a new clip to every sequence; not together with a ``bank``.

    Raises:
        OutOfRange: clips too short or too small, or a longest sequence below the roll-out.
    """

    def __init__(
        self,
        clips: Tensor,
        *,
        slots: int,
        size: int,
        start: Callable[[Planes], State],
        code_intra: CodeIntra,
        rollout: int,
        seed: int,
        draw: Draw | None = None,
        bank: IntraBank | None = None,
        lanes: Sequence[int] = (0,),
        stream: Stream | None = None,
        refine: Refine | None = None,
    ) -> None:
        self.clips, self.size, self.start, self.code_intra = clips, size, start, code_intra
        self.refine = refine
        self.rollout, self.bank, self.draw = rollout, bank, draw or Draw()
        _check(clips, size, rollout, slots, self.draw, len(lanes))
        self.lanes, self.stream = tuple(lanes), stream
        self.streamed = [-1] * slots  # the place in the stream of each slot's clip
        self.random = {n: np.random.default_rng([seed, n]) for n in lanes}
        self.slots: list[Slot | None] = [None] * slots
        self.states: State | None = None  # of all slots

    def take(self, count: int) -> Taken:
        """``count`` random slots, ready to be coded: the same number of every lane."""
        each, per_lane = count // len(self.lanes), len(self.slots) // len(self.lanes)
        chosen: list[int] = []
        fresh: list[int] = []
        for at, lane in enumerate(self.lanes):
            random = self.random[lane]
            for number in random.choice(per_lane, each, replace=False) + at * per_lane:
                slot = self.slots[int(number)]
                if slot is None or slot.position + self.rollout > len(slot.course.frames):
                    course = self._course(random, slot is None)
                    if self.stream is not None:
                        course = replace(course, clip=int(number))
                        self.streamed[number], clip = self.stream.take(lane)
                        self.clips[number].copy_(clip)
                    self.slots[int(number)] = Slot(course, 1)
                    fresh.append(int(number))
                chosen.append(int(number))
        if fresh:
            self._begin(fresh)
        assert self.states is not None
        pictures = [self._pictures(chosen, ahead) for ahead in range(self.rollout)]
        rates = torch.tensor([self._course_of(n).rate for n in chosen])
        state = select(self.states, self._index(chosen))
        return Taken(chosen, pictures, state, to_device(rates, self.clips.device))

    def put(self, taken: Taken, state: State, sound: Tensor | None = None) -> None:
        """The states after the pictures of :meth:`take`.

        ``sound``: a tensor of one bool; where it is false the states stay as they were, and the
        next frame is coded from an older reference.
        """
        assert self.states is not None
        if sound is not None:
            state = _zipped(lambda p: torch.where(sound, p[0], p[1]), [state, taken.state])
        _write(self.states, self._index(taken.slots), state)
        for number in taken.slots:
            slot = self.slots[number]
            assert slot is not None
            self.slots[number] = replace(slot, position=slot.position + self.rollout)

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on exactly: tensors, numbers and text."""
        slots = [
            None if s is None else {"course": asdict(s.course), "position": s.position}
            for s in self.slots
        ]
        random = {n: r.bit_generator.state for n, r in self.random.items()}
        tensors: list[Tensor] = []
        if self.states is not None:
            _zipped(partial(_collect, tensors), [self.states])
        return {
            "slots": json.dumps(slots),
            "random": json.dumps(random),
            "states": tensors,
            "shape": [len(self.slots), self.size, self.rollout, len(self.clips)],
            "streamed": list(self.streamed),
            "stream": self.stream.state_dict() if self.stream is not None else {},
        }

    def load_state_dict(self, kept: Mapping[str, Any]) -> bool:
        """Go on from :meth:`state_dict`. -> False, with nothing changed, if it is of another
        pool.
        """
        random = {int(n): s for n, s in json.loads(kept["random"]).items()}
        shape = [len(self.slots), self.size, self.rollout, len(self.clips)]
        if kept["shape"] != shape or tuple(random) != self.lanes:
            return False
        if self.stream is not None and not self.stream.load_state_dict(kept.get("stream", {})):
            return False
        for number, state in random.items():
            self.random[number].bit_generator.state = state
        self.slots = [_slot(said) for said in json.loads(kept["slots"])]
        if kept["states"]:
            tensors = iter(kept["states"])
            like = self._empty()
            self.states = cast(
                State, _zipped(lambda p: next(tensors).to(p[0].device, p[0].dtype), [like])
            )
        if self.stream is not None:
            self.streamed = list(kept["streamed"])
            per_lane = len(self.slots) // len(self.lanes)
            for number, place in enumerate(self.streamed):
                if place >= 0:
                    pictures = self.stream.at(self.lanes[number // per_lane], place)
                    self.clips[number].copy_(pictures)
        return True

    def _begin(self, fresh: list[int]) -> None:
        """States of new sequences, right after their I frames."""
        courses = [self._course_of(n) for n in fresh]
        if self.bank is not None:
            entries, windows = [c.entry for c in courses], [c.window for c in courses]
            coded = crops(self.bank.pictures, entries, windows, self.size)
        else:
            coded = batch([self._intra(c) for c in courses])
            coded = Planes(*(plane.to(self.clips.device) for plane in coded))
        if self.refine is not None:
            rates = torch.tensor([c.rate for c in courses])
            coded = self.refine(coded, to_device(rates, self.clips.device))
        with torch.no_grad():
            state = self.start(coded)
        if self.states is None:
            self.states = self._empty()
        _write(self.states, self._index(fresh), state)

    def _intra(self, course: Course) -> tuple[Tensor, Tensor]:
        picture = self.clips[course.clip, course.frames[0]].cpu()
        luma, chroma = crop(picture, course.window, self.size)
        return self.code_intra(luma, chroma, lambda_at(course.rate))

    def _pictures(self, chosen: list[int], ahead: int) -> Planes:
        length = self.clips.shape[1]
        numbers, windows = [], []
        for number in chosen:
            slot = self.slots[number]
            assert slot is not None
            course = slot.course
            numbers.append(course.clip * length + course.frames[slot.position + ahead])
            windows.append(course.window)
        return crops(self.clips.flatten(0, 1), numbers, windows, self.size)

    def _course(self, r: np.random.Generator, stagger: bool) -> Course:
        """``stagger``: at the very start: shorter, so that they don't end all at once."""
        count, length = self.clips.shape[:2]
        height, width = self.clips.shape[2] * 2 // 3, self.clips.shape[3]
        draw = self.draw
        low, high = draw.rates
        if draw.often is not None and r.random() >= 0.4:
            inside = max(low, draw.often[0]), min(high, draw.often[1])
            low, high = inside if inside[0] <= inside[1] else (low, high)
        rate = int(r.integers(low, high + 1))
        step = 2 if r.random() < draw.far and length > 2 * self.rollout else 1
        entry, clip, first = -1, int(r.integers(count)), None
        if self.bank is not None:
            entry = int(r.choice(self.bank.near(rate)))
            clip, first = int(self.bank.clips[entry]), int(self.bank.frames[entry])
        there = list(range((first or 0) % step, length, step))
        if r.random() < 0.5:
            there.reverse()
        turn = there[-2:0:-1]
        order = there + turn + there + turn + there  # there, back, and there again
        longest = max(self.rollout, draw.longest // 2) if stagger else draw.longest
        frames = 1 + int(r.integers(self.rollout, longest + 1))
        begin = int(r.integers(len(there))) if first is None else there.index(first)
        while len(order) < begin + frames:
            order += turn + there
        window = Window(
            2 * int(r.integers((height - self.size) // 2 + 1)),
            2 * int(r.integers((width - self.size) // 2 + 1)),
            *(bool(r.integers(2)) for _ in range(3)),
        )
        return Course(clip, window, tuple(order[begin : begin + frames]), rate, entry)

    def _course_of(self, number: int) -> Course:
        slot = self.slots[number]
        assert slot is not None
        return slot.course

    def _index(self, numbers: list[int]) -> Tensor:
        return to_device(torch.tensor(numbers), self.clips.device)

    def _empty(self) -> State:
        """Room for the states of all slots."""
        half = self.size // 2
        one = Planes(
            torch.zeros(1, 1, self.size, self.size, device=self.clips.device),
            torch.zeros(1, 2, half, half, device=self.clips.device),
        )
        with torch.no_grad():
            state = self.start(one)
        count = len(self.slots)
        return cast(State, _zipped(lambda p: p[0].new_zeros((count, *p[0].shape[1:])), [state]))


def select(state: State, index: Tensor) -> State:
    """Some of a batch of states, copied."""
    return cast(State, _zipped(lambda p: p[0].index_select(0, index), [state]))


def _write(states: State, index: Tensor, new: State) -> None:
    _zipped(lambda p: p[0].index_copy_(0, index, p[1].detach().to(p[0].dtype)), [states, new])


def _zipped(function: Callable[[list[Tensor]], Tensor], items: list[Any]) -> Any:
    """Apply ``function`` to the tensors in the same place of dataclasses, planes and dicts."""
    first = items[0]
    if first is None:
        return None
    if isinstance(first, Tensor):
        return function(items)
    if isinstance(first, Mapping):
        return {key: _zipped(function, [i[key] for i in items]) for key in first}
    if isinstance(first, tuple):
        return type(first)(*(_zipped(function, list(parts)) for parts in zip(*items, strict=True)))
    parts = {f.name: [getattr(i, f.name) for i in items] for f in fields(first)}
    return type(first)(**{name: _zipped(function, values) for name, values in parts.items()})


def _collect(kept: list[Tensor], parts: list[Tensor]) -> Tensor:
    kept.append(parts[0].cpu())
    return parts[0]


def _slot(said: Mapping[str, Any] | None) -> Slot | None:
    if said is None:
        return None
    course = dict(said["course"])
    window, frames = Window(**course.pop("window")), tuple(course.pop("frames"))
    return Slot(Course(window=window, frames=frames, **course), said["position"])


def _check(clips: Tensor, size: int, rollout: int, slots: int, draw: Draw, lanes: int) -> None:
    length, rows, width = clips.shape[1:]
    height = rows * 2 // 3
    if length < 3:
        raise OutOfRange(f"clips of {length} frames: training needs 3 or more")
    if size % GRID or not GRID <= size <= min(height, width):
        raise OutOfRange(
            f"crops of {size}: expected a multiple of {GRID} that fits into {width}x{height}"
        )
    if not 1 <= rollout <= draw.longest:
        raise OutOfRange(
            f"roll-out of {rollout} frames: expected 1 to {draw.longest}, the longest sequence"
        )
    if slots % lanes:
        raise OutOfRange(f"{slots} slots: expected a multiple of the {lanes} lanes")
    low, high = draw.rates
    if not 0 <= low <= high < RATES:
        raise OutOfRange(f"rates {low} to {high}: expected rate indices, 0 to {RATES - 1}")
