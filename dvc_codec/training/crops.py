"""Crops of resident clips, turned and mirrored: by slices on a processor, in one gather on a GPU.

Slices of uint8 are the quickest there is on a CPU; there is nothing that a library could add.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dvc_codec.networks.planes import Planes, from_bytes
from dvc_codec.training.clips import split


@dataclass(frozen=True)
class Window:
    """A square of the picture, and how it is turned: transposed, then mirrored (left and right),
    then flipped (top and bottom). ``top`` and ``left`` are even.
    """

    top: int
    left: int
    transpose: bool = False
    mirror: bool = False
    flip: bool = False


def crop(planar: Tensor, window: Window, size: int) -> tuple[Tensor, Tensor]:
    """uint8 picture (3 H / 2, W) -> luma (size, size), chroma (2, size/2, size/2), uint8 views."""
    luma, chroma = split(planar)
    half, y, x = size // 2, window.top // 2, window.left // 2
    luma = luma[window.top : window.top + size, window.left : window.left + size]
    chroma = chroma[:, y : y + half, x : x + half]
    if window.transpose:
        luma, chroma = luma.transpose(-1, -2), chroma.transpose(-1, -2)
    axes = [-1] * window.mirror + [-2] * window.flip
    return (luma.flip(axes), chroma.flip(axes)) if axes else (luma, chroma)


def batch(pictures: Sequence[tuple[Tensor, Tensor]]) -> Planes:
    """uint8 (luma (h, w), chroma (2, h/2, w/2)) of one size -> Planes of their batch."""
    luma = torch.stack([p[0] for p in pictures])[:, None]
    return from_bytes(luma, torch.stack([p[1] for p in pictures]))


def whole(planar: Tensor) -> Planes:
    """A whole picture, uint8 (3 H / 2, W), as a batch of one."""
    return batch([split(planar)])


def crops(pictures: Tensor, chosen: Sequence[int], windows: Sequence[Window], size: int) -> Planes:
    """Windows of some of many pictures, as one batch.

    Args:
        pictures: uint8 (n, 3 H / 2, W), on any device.
        chosen: (B,) which pictures. windows: (B,) which part of each.
    """
    if pictures.device.type == "cpu":
        return batch([crop(pictures[n], w, size) for n, w in zip(chosen, windows, strict=True)])
    return gather(pictures, chosen, windows, size)


def gather(pictures: Tensor, chosen: Sequence[int], windows: Sequence[Window], size: int) -> Planes:
    """:func:`crops` by computed addresses: a handful of kernels whatever the batch, and nothing
    that waits for the device.
    """
    rows = pictures.shape[1]
    height, width = rows * 2 // 3, pictures.shape[2]
    said = [
        [n, w.top, w.left, w.transpose, w.mirror, w.flip]
        for n, w in zip(chosen, windows, strict=True)
    ]
    table = to_device(torch.tensor(said, dtype=torch.int64), pictures.device)
    which, top, left, transpose, mirror, flip = (c.view(-1, 1, 1) for c in table.unbind(1))
    flat, start = pictures.reshape(-1), which * (rows * width)

    def addresses(size: int, top: Tensor, left: Tensor, width: int) -> Tensor:
        along = torch.arange(size, device=pictures.device)
        y, x = along.view(1, -1, 1), along.view(1, 1, -1)
        y = torch.where(flip.bool(), size - 1 - y, y)
        x = torch.where(mirror.bool(), size - 1 - x, x)
        row = torch.where(transpose.bool(), x, y)
        column = torch.where(transpose.bool(), y, x)
        return (top + row) * width + left + column

    luma = flat[start + addresses(size, top, left, width)]
    small = start + height * width + addresses(size // 2, top // 2, left // 2, width // 2)
    plane = (height // 2) * (width // 2)
    chroma = flat[torch.stack((small, small + plane), 1)]
    return from_bytes(luma[:, None], chroma)


def to_device(numbers: Tensor, device: torch.device) -> Tensor:
    """A small tensor to where it is needed, without waiting for what runs there."""
    if device.type == "cpu":
        return numbers
    return numbers.pin_memory().to(device, non_blocking=True)
