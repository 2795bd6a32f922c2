"""Training clips, resident in memory: a data set decoded once into one uint8 tensor.

Layouts are known by what lies in the folder:

- packed shards: ``clips.csv`` (shard, first_frame, frames) beside ``shard-N.mp4``, files of equal
  clips, each starting with a key frame; made by ``data_prep/from_videos.py``;
- Vimeo-90k's: ``sequences/00001/0001/im1.png`` to ``im7.png`` and a list such as
  ``sep_trainlist.txt``;
- tar files of clips, KEY.mp4 each (WebDataset's manner; ``data_prep/tars.py``).
"""

import csv
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.errors import DamagedFile, FileMissing, NotAVideo
from dvc_codec.training.frames import decode_clip, decode_shard, read_septuplet

Planar = NDArray[np.uint8]  # (3 H / 2, W): all of Y, then U, then V
SEPTUPLET = 7
LISTS = ("sep_trainlist.txt", "tri_trainlist.txt")


@dataclass(frozen=True)
class ClipSet:
    """Clips in memory.

    Attributes:
        pictures: uint8 (clips, frames, 3 H / 2, W), planar 4:2:0.
        numbers: each clip's place in the index, which counts the skipped ones too.
        skipped: why each clip that is not here was left out, one line each.
    """

    pictures: Tensor
    numbers: tuple[int, ...]
    skipped: tuple[str, ...] = ()

    def part(self, chosen: slice) -> "ClipSet":
        """Some of the clips, without a copy."""
        return ClipSet(self.pictures[chosen], self.numbers[chosen], self.skipped)


def load_clips(
    folder: Path,
    limit: int | None = None,
    *,
    share: tuple[int, int] = (0, 1),
    report: Callable[[str], None] | None = None,
) -> ClipSet:
    """Decode a data set: all of it, or the first ``limit`` clips.

    Args:
        folder: packed shards, or Vimeo-90k's tree.
        share: (k, n) loads every n-th clip from the k-th on: one process's part of many.
        report: told of every clip that cannot be used; by default standard error is.

    Raises:
        FileMissing: no data set there. NotAVideo: no clip of it can be used.
    """
    if (folder / "clips.csv").is_file():
        wanted, decode = _shards(folder)
    elif (folder / "sequences").is_dir():
        wanted, decode = _septuplets(folder)
    elif folder.is_dir() and list(folder.glob("*.tar")):
        wanted, decode = _tars(folder)
    else:
        raise FileMissing(
            f"{folder}: no index of clips here; expected clips.csv beside shard-0.mp4 "
            "(data_prep/from_videos.py makes them), or Vimeo-90k's folder sequences"
        )
    chosen = wanted[:limit][share[0] :: share[1]]
    report = report or (lambda line: print(f"skipped: {line}", file=sys.stderr))
    kept: Planar | None = None
    numbers: list[int] = []
    skipped: list[str] = []
    for number, pictures in decode(chosen):
        if isinstance(pictures, str):
            skipped.append(pictures)
            report(pictures)
            continue
        if kept is None:
            kept = np.empty((len(chosen), *pictures.shape), np.uint8)
        if pictures.shape != kept.shape[1:]:
            skipped.append(
                f"{folder}: clip {number} is {_shape(pictures.shape)}, not {_shape(kept.shape[1:])}"
            )
            report(skipped[-1])
            continue
        kept[len(numbers)] = pictures
        numbers.append(number)
    if kept is None:
        raise NotAVideo(f"{folder}: none of its {len(chosen)} clips can be used")
    return ClipSet(torch.from_numpy(kept[: len(numbers)]), tuple(numbers), tuple(skipped))


def load_shards(folder: Path, limit: int | None = None) -> Tensor:
    """The pictures of :func:`load_clips`."""
    return load_clips(folder, limit).pictures


def split(planar: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 (..., 3 H / 2, W) -> luma (..., H, W), chroma (..., 2, H/2, W/2): views."""
    height, width = planar.shape[-2] * 2 // 3, planar.shape[-1]
    chroma = planar[..., height:, :].reshape(*planar.shape[:-2], 2, height // 2, width // 2)
    return planar[..., :height, :], chroma


Entry = tuple[int, str | Planar]  # (number of the clip, why it is not here or its pictures)
Decode = Callable[[list[int]], Iterator[Entry]]


def _shards(folder: Path) -> tuple[list[int], Decode]:
    with (folder / "clips.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    try:
        places = [(int(r["shard"]), int(r["first_frame"]), int(r["frames"])) for r in rows]
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFile(
            f"{folder / 'clips.csv'}: expected columns shard, first_frame, frames ({error})"
        ) from error
    planar = bool(rows) and rows[0].get("layout") == "planar"
    return list(range(len(rows))), partial(_decode_shards, folder, places, planar)


def _decode_shards(
    folder: Path, places: list[tuple[int, int, int]], planar: bool, chosen: list[int]
) -> Iterator[Entry]:
    for shard in sorted({places[n][0] for n in chosen}):
        path = folder / f"shard-{shard}.mp4"
        mine = [n for n in chosen if places[n][0] == shard]
        borders = [(places[n][1], places[n][2]) for n in mine]
        yield from zip(mine, decode_shard(path, borders, planar), strict=True)


def _septuplets(folder: Path) -> tuple[list[int], Decode]:
    lists = [folder / name for name in LISTS if (folder / name).is_file()]
    if lists:
        names = [line.strip() for line in lists[0].read_text().splitlines() if line.strip()]
    else:
        names = [f"{p.parent.name}/{p.name}" for p in sorted((folder / "sequences").glob("*/*"))]

    def decode(chosen: list[int]) -> Iterator[Entry]:
        for number in chosen:
            yield number, read_septuplet(folder / "sequences" / names[number], SEPTUPLET)

    return list(range(len(names))), decode


def _tars(folder: Path) -> tuple[list[int], Decode]:
    places: list[tuple[Path, str]] = []
    for path in sorted(folder.glob("*.tar")):
        try:
            with tarfile.open(path) as tar:
                places += [(path, name) for name in tar.getnames() if name.endswith(".mp4")]
        except (tarfile.TarError, OSError) as error:
            raise DamagedFile(f"{path}: cannot be read as tar: {error}") from error

    def decode(chosen: list[int]) -> Iterator[Entry]:
        for path in sorted({places[n][0] for n in chosen}):
            with tarfile.open(path) as tar:
                for number in (n for n in chosen if places[n][0] == path):
                    name = places[number][1]
                    member = tar.extractfile(name)
                    content = member.read() if member else b""
                    yield number, decode_clip(content, f"{path}: {name}")

    return list(range(len(places))), decode


def _shape(shape: tuple[int, ...]) -> str:
    frames, rows, width = shape
    return f"{frames} pictures of {width}x{rows * 2 // 3}"
