"""I frames for training: what a P frame's first reference looks like in real use.

Either coded when they are needed (:func:`hevc_intra`), or taken from a bank of pictures coded
beforehand (:class:`IntraBank`), where a machine lacks the encoder or has no time for it.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec
from dvc_codec.errors import DamagedFile, FileMissing, NotAVideo
from dvc_codec.networks.config import Metric
from dvc_codec.networks.planes import Planes, round_to_bytes
from dvc_codec.networks.rate import lambda_at
from dvc_codec.networks.still_filter import strength_for
from dvc_codec.training.clips import as_picture
from dvc_codec.training.frames import decode_shard


def hevc_intra(luma: Tensor, chroma: Tensor, lagrangian: float) -> tuple[Tensor, Tensor]:
    """uint8 luma (h, w), chroma (2, h/2, w/2) -> the same, as the I frame that the encoder would
    make of it for P frames of this lambda.
    """
    from dvc_codec.intra import encode_for_lambda

    _, _, decoded = encode_for_lambda(as_picture(luma, chroma), lagrangian, "hevc")
    u, v = torch.from_numpy(decoded.u), torch.from_numpy(decoded.v)
    return torch.from_numpy(decoded.y), torch.stack((u, v))


@dataclass(frozen=True)
class IntraBank:
    """I frames coded beforehand: whole pictures of clips, each at the quality of one rate.

    Attributes:
        pictures: uint8 (entries, 3 H / 2, W), as decoded.
        clips: (entries,) position of each one's clip in the clip set.
        frames: (entries,) which frame of the clip it is.
        rates: (entries,) the rate index whose I frame it is.
    """

    pictures: Tensor
    clips: np.ndarray
    frames: np.ndarray
    rates: np.ndarray

    def near(self, rate: int) -> np.ndarray:
        """The entries of the prepared rate that is nearest."""
        distance = np.abs(self.rates - rate)
        return np.flatnonzero(distance == distance.min())

    def part(self, chosen: np.ndarray) -> "IntraBank":
        """Some of its entries, by their numbers or a mask."""
        return IntraBank(
            self.pictures[torch.from_numpy(chosen)],
            self.clips[chosen],
            self.frames[chosen],
            self.rates[chosen],
        )

    def to(self, device: torch.device) -> "IntraBank":
        """The same with its pictures on ``device``."""
        return IntraBank(self.pictures.to(device), self.clips, self.frames, self.rates)


def load_bank(folder: Path, numbers: tuple[int, ...]) -> IntraBank:
    """Read what ``data_prep/intra_bank.py`` wrote.

    Args:
        numbers: the clip set's, to find the clips that its index counts; entries of clips that are
            not there are left out.

    Raises:
        FileMissing, DamagedFile, or NotAVideo where nothing of it fits the clips.
    """
    index = folder / "bank.csv"
    if not index.is_file():
        raise FileMissing(f"{index}: no bank of I frames here (data_prep/intra_bank.py makes one)")
    with index.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    place = {number: n for n, number in enumerate(numbers)}
    pictures, kept = [], []
    for rate in sorted({int(r["rate"]) for r in rows}):
        mine = [r for r in rows if int(r["rate"]) == rate]
        path = folder / f"intra-{rate:02d}.mp4"
        decoded = decode_shard(path, [(n, 1) for n in range(len(mine))], planar=True)
        for row, picture in zip(mine, decoded, strict=True):
            if isinstance(picture, str):
                raise DamagedFile(picture)
            if int(row["clip"]) in place:
                pictures.append(picture[0])
                kept.append((place[int(row["clip"])], int(row["frame"]), rate))
    if not kept:
        raise NotAVideo(f"{folder}: no I frame in it is of a clip of this data set")
    clips, frames, rates = np.array(kept).T
    return IntraBank(torch.from_numpy(np.stack(pictures)), clips, frames, rates)


def as_shown(codec: PFrameCodec, coded: Planes, rates: Tensor) -> Planes:
    """I frames before P frames of these rate indices (B,), as their codec decodes them -> as the
    weights' own filter leaves them, if there is one.
    """
    if codec.stills is None:
        return coded
    metric = codec.network.metric
    strengths = torch.tensor([strength_of(int(rate), metric) for rate in rates]).to(rates.device)
    with torch.no_grad():
        return round_to_bytes(codec.stills(coded, strengths, codec.network.fast))


def strength_of(rate: int, metric: Metric) -> int:
    """How strongly the I frame before P frames of this rate index is filtered."""
    return strength_for(math.log2(lambda_of_i_frame(rate, metric == "ms-ssim")))


def lambda_of_i_frame(rate: int, structural: bool = False) -> float:
    """The lambda that an I frame is coded with, before P frames of this rate index."""
    from dvc_codec.intra import lambda_ratio

    return lambda_at(rate) * lambda_ratio(lambda_at(rate), structural)
