"""Pictures inside the networks: one luma and two chroma planes, 4:2:0, as floats around zero.

Convention: values / 255 - 0.5, float32; luma (B, 1, H, W), chroma (B, 2, H/2, W/2), U before V; H
and W multiples of 64.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

GRID = 64  # every size inside the networks is a multiple of it
PACKED_CHANNELS = 24  # of a picture packed on the 1/4 grid: 16 luma phases, 4 of U, 4 of V
HALF_CHANNELS = 6  # of one on the 1/2 grid: 4 luma phases, U, V


class Planes(NamedTuple):
    """A picture, or the difference of two: ``luma`` (B, 1, H, W) and ``chroma`` (B, 2, H/2,
    W/2).
    """

    luma: Tensor
    chroma: Tensor

    def plus(self, other: "Planes") -> "Planes":
        return Planes(self.luma + other.luma, self.chroma + other.chroma)

    def minus(self, other: "Planes") -> "Planes":
        return Planes(self.luma - other.luma, self.chroma - other.chroma)

    def detach(self) -> "Planes":
        """Itself where there is no gradient, with all that is kept by its tensors."""
        if not (self.luma.requires_grad or self.chroma.requires_grad):
            return self
        return Planes(self.luma.detach(), self.chroma.detach())


def pack(picture: Planes) -> Tensor:
    """Planes -> (B, 24, H/4, W/4): every 4x4 block of luma and 2x2 block of chroma as channels."""
    return torch.cat((F.pixel_unshuffle(picture.luma, 4), F.pixel_unshuffle(picture.chroma, 2)), 1)


def unpack(packed: Tensor) -> Planes:
    """(B, 24, H/4, W/4) -> Planes, the inverse of :func:`pack`."""
    return Planes(F.pixel_shuffle(packed[:, :16], 4), F.pixel_shuffle(packed[:, 16:], 2))


def halve(picture: Planes) -> Tensor:
    """Planes -> (B, 6, H/2, W/2): every 2x2 block of luma and a sample of each chroma plane."""
    return torch.cat((F.pixel_unshuffle(picture.luma, 2), picture.chroma), 1)


def unhalve(halved: Tensor) -> Planes:
    """(B, 6, H/2, W/2) -> Planes, the inverse of :func:`halve`."""
    return Planes(F.pixel_shuffle(halved[:, :4], 2), halved[:, 4:])


def details(picture: Planes) -> Planes:
    """What a sample has beyond the mean of the 25 around it: over a quantiser's step alike at every
    rate.
    """

    def one(plane: Tensor) -> Tensor:
        return plane - F.avg_pool2d(plane, 5, 1, 2, count_include_pad=False)

    return Planes(one(picture.luma), one(picture.chroma))


def from_bytes(luma: Tensor, chroma: Tensor) -> Planes:
    """uint8 planes (B, 1, h, w) and (B, 2, ceil(h/2), ceil(w/2)) of any size -> Planes, padded by
    replication to the grid.
    """
    h, w = luma.shape[-2:]
    ch, cw = chroma.shape[-2:]
    full_h, full_w = h + -h % GRID, w + -w % GRID
    y = luma.float() / 255 - 0.5
    c = chroma.float() / 255 - 0.5
    y = F.pad(y, (0, full_w - w, 0, full_h - h), mode="replicate")
    c = F.pad(c, (0, full_w // 2 - cw, 0, full_h // 2 - ch), mode="replicate")
    return Planes(y, c)


def to_bytes(picture: Planes, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Planes -> uint8 luma (B, 1, height, width) and chroma (B, 2, ceil(height/2), ceil(width/2)),
    cropped, rounded.
    """
    y = picture.luma[..., :height, :width]
    c = picture.chroma[..., : (height + 1) // 2, : (width + 1) // 2]
    return _bytes(y), _bytes(c)


def repeat_border(picture: Planes, height: int, width: int) -> Planes:
    """The picture with everything beyond ``height`` and ``width`` (even) replaced by its last row
    and column there, as :func:`from_bytes` pads.
    """

    def one(plane: Tensor, h: int, w: int) -> Tensor:
        beyond = (0, plane.shape[-1] - w, 0, plane.shape[-2] - h)
        return F.pad(plane[..., :h, :w], beyond, mode="replicate") if any(beyond) else plane

    return Planes(one(picture.luma, height, width), one(picture.chroma, height // 2, width // 2))


def _bytes(plane: Tensor) -> Tensor:
    return ((plane + 0.5) * 255).round().clamp(0, 255).to(torch.uint8)


def round_to_bytes(picture: Planes) -> Planes:
    """What a decoder keeps: every sample on the 8-bit grid.

    Straight-through: the gradient is that of the identity.
    """

    def one(plane: Tensor) -> Tensor:
        rounded = ((plane.detach() + 0.5) * 255).round().clamp(0, 255) / 255 - 0.5
        return rounded + (plane - plane.detach()) if plane.requires_grad else rounded

    return Planes(one(picture.luma), one(picture.chroma))
