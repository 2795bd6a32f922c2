"""Generated training clips: what load_shards() gives, and the files it reads."""

import csv
from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from dvc_codec.training.sheet import png
from dvc_codec.video import Picture
from tests.moving import panned_texture


def planar(pictures: Sequence[Picture]) -> Tensor:
    """uint8 (frames, 3 H / 2, W): Y, then U, then V."""
    frames = []
    for picture in pictures:
        height, width = picture.y.shape
        chroma = np.concatenate((picture.u, picture.v)).reshape(height // 2, width)
        frames.append(np.concatenate((picture.y, chroma)))
    return torch.from_numpy(np.stack(frames))


def moving_clips(clips: int = 2, frames: int = 5, size: tuple[int, int] = (96, 80)) -> Tensor:
    """uint8 (clips, frames, 3 H / 2, W) of textures that move, each its own way."""
    shifts = [(1.5, 0.0), (0.0, -1.0), (-0.5, 2.0), (3.0, 1.0)]
    return torch.stack(
        [
            planar(panned_texture(size=size, frames=frames, shift=shifts[n % 4], seed=n))
            for n in range(clips)
        ]
    )


def write_shards(clips: Tensor, folder: Path, per_shard: int = 1) -> None:
    """Files as data_prep makes them: lossless shards, and their index."""
    folder.mkdir(parents=True, exist_ok=True)
    length, height, width = clips.shape[1], clips.shape[2] * 2 // 3, clips.shape[3]
    rows = [["shard", "first_frame", "frames"]]
    for shard in range(-(-len(clips) // per_shard)):
        mine = clips[shard * per_shard : (shard + 1) * per_shard]
        with av.open(str(folder / f"shard-{shard}.mp4"), "w") as out:
            stream = out.add_stream("libx264", rate=25)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"qp": "0", "g": str(length), "preset": "ultrafast"}
            for number, frame in enumerate(mine.flatten(0, 1)):
                if number % length == 0:
                    rows.append([str(shard), str(number), str(length)])
                video = av.VideoFrame.from_ndarray(frame.numpy(), format="yuv420p")
                video.pts = number
                out.mux(stream.encode(video))
            out.mux(stream.encode())
    with (folder / "clips.csv").open("w", newline="") as index:
        csv.writer(index).writerows(rows)


def write_septuplet(folder: Path, seed: int, size: tuple[int, int] = (64, 64)) -> None:
    """``im1.png`` to ``im7.png`` as in Vimeo-90k: RGB."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 256, (size[1], size[0] + 7, 3), np.uint8)
    for number in range(7):
        picture = np.ascontiguousarray(texture[:, number : number + size[0]])
        (folder / f"im{number + 1}.png").write_bytes(png(picture))
