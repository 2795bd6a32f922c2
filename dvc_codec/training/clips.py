"""Training clips, resident in memory: packed shards decoded once into one uint8 tensor.

A shard is a video file of equal clips, each starting with a key frame; ``clips.csv`` beside it
names shard, first frame and length.
"""

import csv
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from dvc_codec.errors import FileMissing, NotAVideo


def load_shards(folder: Path, limit: int | None = None) -> Tensor:
    """Decode all clips (or the first ``limit``) -> uint8 (clips, frames, 3 H / 2, W), planar 4:2:0
    (all of Y, then U, then V).

    Raises FileMissing without an index, NotAVideo where a shard holds fewer frames than the index
    says.
    """
    index = folder / "clips.csv"
    if not index.is_file():
        raise FileMissing(f"{index}: no index of clips here (columns shard, first_frame, frames)")
    with index.open() as lines:
        rows = list(csv.DictReader(lines))[:limit]
    length = int(rows[0]["frames"])
    clips: np.ndarray | None = None
    done = 0
    for shard in sorted({int(r["shard"]) for r in rows}):
        mine = [r for r in rows if int(r["shard"]) == shard]
        path = folder / f"shard-{shard}.mp4"
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            for number, frame in zip(
                range(len(mine) * length), container.decode(stream), strict=False
            ):
                planes = frame.to_ndarray()
                if clips is None:
                    clips = np.empty((len(rows), length, *planes.shape), np.uint8)
                clips[done + number // length, number % length] = planes
        if number + 1 < len(mine) * length:
            raise NotAVideo(f"{path}: {number + 1} frames, but its index says {len(mine) * length}")
        done += len(mine)
    assert clips is not None
    return torch.from_numpy(clips)


def crop(
    clips: Tensor, clip: int, frame: int, top: int, left: int, size: int
) -> tuple[Tensor, Tensor]:
    """A square of one frame: luma (size, size), chroma (2, size/2, size/2), uint8.

    ``top`` and ``left`` even.
    """
    planar = clips[clip, frame]
    width = planar.shape[1]
    height = planar.shape[0] * 2 // 3
    chroma = planar[height:].view(2, height // 2, width // 2)
    half = size // 2
    y, x = top // 2, left // 2
    return planar[top : top + size, left : left + size], chroma[:, y : y + half, x : x + half]
