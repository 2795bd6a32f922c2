"""Clips in tar shards, WebDataset's manner (KEY.mp4 a clip), read as training goes on: for sets
larger than memory, and for many machines.

A clip is read from where it lies in its file; nothing else of the file is. What a lane reads, in
which order, depends on its number and the seed alone: every lane goes through its own part of the
set, each clip once a pass, every pass in another order.

>>> share(["a", "b", "c"], lane=1, lanes=2)
['b']
"""

import tarfile
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.errors import DamagedFile, FileMissing, NotAVideo, OutOfRange
from dvc_codec.training.frames import complain, decode_clip, misshapen

T = TypeVar("T")
Found = NDArray[np.uint8] | str  # a clip's pictures, or why it cannot be used


@dataclass(frozen=True)
class Member:
    """A clip's place in a tar file."""

    path: Path
    name: str
    offset: int
    size: int

    def decode(self) -> Found:
        """uint8 (frames, 3 H / 2, W), or why not."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            return f"{self.path}: {self.name}: {error.strerror}"
        return decode_clip(content, f"{self.path}: {self.name}")


def tars_in(folder: Path) -> list[Path]:
    """The tar files of a folder, in order. Raises FileMissing where there is none."""
    found = sorted(folder.glob("*.tar"))
    if not found:
        raise FileMissing(f"{folder}: found no .tar file (data_prep/tars.py makes them)")
    return found


def members_of(path: Path) -> list[Member]:
    """The clips of a tar file. Raises DamagedFile."""
    try:
        with tarfile.open(path, "r:") as tar:
            return [
                Member(path, info.name, info.offset_data, info.size)
                for info in tar
                if info.isfile() and info.name.endswith(".mp4")
            ]
    except (tarfile.TarError, OSError) as error:
        raise DamagedFile(f"{path}: cannot be read as tar: {error}") from error


def share(items: Sequence[T], lane: int, lanes: int) -> list[T]:
    """A lane's part: every ``lanes``-th from its number on."""
    return list(items[lane::lanes])


def last_members(tars: Sequence[Path], count: int) -> list[Member]:
    """The last ``count`` clips of a set, in order; only the tars they are in are read. Raises
    OutOfRange.
    """
    found: list[Member] = []
    for path in reversed(tars):
        if len(found) >= count:
            break
        found = members_of(path) + found
    if len(found) < count:
        raise OutOfRange(f"{tars[0].parent}: {count} clips held out of {len(found)}")
    return found[len(found) - count :]


class TarStream:
    """The clips of some lanes, decoded ahead by threads.

    Args:
        folder: with tar files.
        lanes: numbers of the lanes that this process runs.
        of: lanes in all. With as many tars or more, a lane has whole tars, and reads no other.
        seed: of the order.
        held_out: the last clips of the set, which no lane gets (:func:`last_members`).
        ahead: clips per lane that are decoded before they are asked for.
        threads: that decode.
        report: told of clips that cannot be used, each once.

    Raises:
        FileMissing, DamagedFile; OutOfRange where a lane has no clip; NotAVideo where a lane has
        none that can be used.
    """

    def __init__(
        self,
        folder: Path,
        lanes: Sequence[int],
        of: int,
        *,
        seed: int,
        held_out: int = 0,
        ahead: int = 4,
        threads: int = 2,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self.folder, self.seed, self.ahead, self.report = folder, seed, ahead, report
        tars = tars_in(folder)
        kept_out = set(last_members(tars, held_out))
        self.clips: dict[int, list[Member]] = {}
        for lane in lanes:
            if len(tars) >= of:
                mine = [m for path in share(tars, lane, of) for m in members_of(path)]
            else:
                mine = share([m for path in tars for m in members_of(path)], lane, of)
            self.clips[lane] = [m for m in mine if m not in kept_out]
            if not self.clips[lane]:
                raise OutOfRange(f"{folder}: no clip for lane {lane} of {of}")
        self.skipped: dict[Member, str] = {}  # why each clip was left out
        self._threads = ThreadPoolExecutor(threads, "clips")
        self._coming: dict[int, deque[Future[Found]]] = {lane: deque() for lane in lanes}
        self._orders: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._next = dict.fromkeys(lanes, 0)
        self.shape: tuple[int, ...] = ()
        self.take(lanes[0])  # whose shape is that of all
        self._start_at(dict.fromkeys(lanes, 0))

    def take(self, lane: int) -> tuple[int, Tensor]:
        """The lane's next clip that can be used: its place in the order, and its pictures, uint8
        (frames, 3 H / 2, W). Raises NotAVideo where there is none.
        """
        coming = self._coming[lane]
        for _ in range(2 * len(self.clips[lane])):  # at least one whole pass
            place = self._next[lane]
            while len(coming) <= self.ahead:
                member = self._member(lane, place + len(coming))
                coming.append(self._threads.submit(member.decode))
            found = coming.popleft().result()
            self._next[lane] = place + 1
            if not isinstance(found, str):
                self.shape = self.shape or found.shape
                if found.shape == self.shape:
                    return place, torch.from_numpy(found)
            self._leave_out(self._member(lane, place), found)
        raise NotAVideo(f"{self.folder}: none of {len(self.clips[lane])} clips can be used")

    def at(self, lane: int, place: int) -> Tensor:
        """A clip that :meth:`take` gave, once more. Raises DamagedFile."""
        found = self._member(lane, place).decode()
        if isinstance(found, str):
            raise DamagedFile(found)
        return torch.from_numpy(found)

    def state_dict(self) -> dict[str, Any]:
        """Where each lane is, and what its part was."""
        return {str(lane): [place, len(self.clips[lane])] for lane, place in self._next.items()}

    def load_state_dict(self, kept: dict[str, Any]) -> bool:
        """Go on from there. -> False, with nothing changed, if the parts are others."""
        places = {int(lane): place for lane, (place, _) in kept.items()}
        counts = {int(lane): count for lane, (_, count) in kept.items()}
        if counts != {lane: len(clips) for lane, clips in self.clips.items()}:
            return False
        self._start_at(places)
        return True

    def _start_at(self, places: dict[int, int]) -> None:
        self._next = dict(places)
        for coming in self._coming.values():
            coming.clear()

    def _member(self, lane: int, place: int) -> Member:
        clips = self.clips[lane]
        which, number = divmod(place, len(clips))
        if (lane, which) not in self._orders:
            self._orders.pop((lane, which - 2), None)
            random = np.random.default_rng([self.seed, lane, which])
            self._orders[lane, which] = random.permutation(len(clips))
        return clips[int(self._orders[lane, which][number])]

    def _leave_out(self, member: Member, found: Found) -> None:
        if member in self.skipped:
            return
        what = f"{member.path}: {member.name}"
        why = found if isinstance(found, str) else misshapen(what, found.shape, self.shape)
        self.skipped[member] = why
        (self.report or complain)(why)
