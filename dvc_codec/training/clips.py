"""Training clips, resident in memory: a data set decoded once into one uint8 tensor.

Layouts are known by what lies in the folder:

- packed shards: ``clips.csv`` (shard, first_frame, frames) beside ``shard-N.mp4``, files of equal
  clips, each starting with a key frame; made by ``data_prep/from_videos.py``;
- Vimeo-90k's: ``sequences/00001/0001/im1.png`` to ``im7.png`` and a list such as
  ``sep_trainlist.txt``;
- tar files of clips, KEY.mp4 each (WebDataset's manner; ``data_prep/tars.py``), which can also be
  read as training goes on (:mod:`dvc_codec.training.tars`).
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.errors import DamagedFile, FileMissing, NotAVideo
from dvc_codec.training.frames import complain, decode_shard, misshapen, read_septuplet
from dvc_codec.training.tars import Member, members_of, tars_in

if TYPE_CHECKING:
    from dvc_codec.video import Picture

Planar = NDArray[np.uint8]  # (3 H / 2, W): all of Y, then U, then V
Entry = tuple[int, str | Planar]  # (number of the clip, why it is not here or its pictures)
Decode = Callable[[list[int]], Iterator[Entry]]
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
    """Decode a data set into memory: all of it, or the first ``limit`` clips.

    Args:
        folder: packed shards, Vimeo-90k's tree, or tars.
        share: (k, n) loads every n-th clip from the k-th on: one process's part of many.
        report: told of every clip that cannot be used; by default standard error is.

    Raises:
        FileMissing: no data set there. NotAVideo: no clip of it can be used.
    """
    wanted, decode = find_clips(folder)
    return stack(folder, wanted[:limit][share[0] :: share[1]], decode, report)


def load_some(folder: Path, count: int, seed: int) -> ClipSet:
    """``count`` clips drawn from all of a data set, in the order drawn; all, if it has no more."""
    wanted, decode = find_clips(folder)
    random = np.random.default_rng(seed)
    drawn = random.choice(len(wanted), min(count, len(wanted)), replace=False).tolist()
    found = stack(folder, sorted(drawn), decode)
    at = {number: place for place, number in enumerate(found.numbers)}
    order = [at[number] for number in drawn if number in at]
    numbers = tuple(found.numbers[place] for place in order)
    return ClipSet(found.pictures[order], numbers, found.skipped)


def find_clips(folder: Path) -> tuple[list[int], Decode]:
    """The numbers of a data set's clips, and what decodes some of them. Raises FileMissing."""
    if (folder / "clips.csv").is_file():
        return _shards(folder)
    if (folder / "sequences").is_dir():
        return _septuplets(folder)
    if folder.is_dir() and list(folder.glob("*.tar")):
        return _tars(folder)
    raise FileMissing(
        f"{folder}: no index of clips here; expected clips.csv beside shard-0.mp4 "
        "(data_prep/from_videos.py makes them), or Vimeo-90k's folder sequences"
    )


def usable(
    folder: Path,
    chosen: list[int],
    decode: Decode,
    skipped: list[str],
    report: Callable[[str], None] | None = None,
) -> Iterator[tuple[int, Planar]]:
    """Number and pictures of the chosen clips that are whole and as large as the first, one at a
    time. The others are reported and added to ``skipped``. Raises NotAVideo where none is left.
    """
    shape: tuple[int, ...] = ()
    for number, pictures in decode(chosen):
        trouble = pictures if isinstance(pictures, str) else ""
        if not isinstance(pictures, str):
            shape = shape or pictures.shape
            if pictures.shape == shape:
                yield number, pictures
                continue
            trouble = misshapen(f"{folder}: clip {number}", pictures.shape, shape)
        skipped.append(trouble)
        (report or complain)(trouble)
    if not shape:
        raise NotAVideo(f"{folder}: none of its {len(chosen)} clips can be used")


def stack(
    folder: Path,
    chosen: list[int],
    decode: Decode,
    report: Callable[[str], None] | None = None,
) -> ClipSet:
    """The clips of :func:`usable` in one tensor."""
    kept: Planar | None = None
    numbers: list[int] = []
    skipped: list[str] = []
    for number, pictures in usable(folder, chosen, decode, skipped, report):
        if kept is None:
            kept = np.empty((len(chosen), *pictures.shape), np.uint8)
        kept[len(numbers)] = pictures
        numbers.append(number)
    assert kept is not None
    return ClipSet(torch.from_numpy(kept[: len(numbers)]), tuple(numbers), tuple(skipped))


def load_shards(folder: Path, limit: int | None = None) -> Tensor:
    """The pictures of :func:`load_clips`."""
    return load_clips(folder, limit).pictures


def split(planar: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 (..., 3 H / 2, W) -> luma (..., H, W), chroma (..., 2, H/2, W/2): views."""
    height, width = planar.shape[-2] * 2 // 3, planar.shape[-1]
    chroma = planar[..., height:, :].reshape(*planar.shape[:-2], 2, height // 2, width // 2)
    return planar[..., :height, :], chroma


def as_picture(luma: Tensor, chroma: Tensor) -> "Picture":
    """uint8 (H, W), (2, H/2, W/2) -> a picture that codecs take."""
    from dvc_codec.video import Picture  # brings PyAV, which machines that train may lack

    planes = (luma, *chroma)
    return Picture(*(np.ascontiguousarray(plane.cpu().numpy()) for plane in planes))


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
    return decoder_of([m for path in tars_in(folder) for m in members_of(path)])


def decoder_of(members: Sequence[Member]) -> tuple[list[int], Decode]:
    """Numbers of clips that lie in tars, and what decodes some of them."""

    def decode(chosen: list[int]) -> Iterator[Entry]:
        for number in chosen:
            yield number, members[number].decode()

    return list(range(len(members))), decode
