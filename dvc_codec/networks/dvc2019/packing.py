"""4:2:0 pictures for a network that was drawn for RGB: 6 channels at half size.

Four luma phases, U and V meet sample for sample on the 1/2 grid: nothing is interpolated, and
packing is the first of the paper's four stride-2 stages, without loss and without a multiplication.
Three are left to the latents on the 1/16 grid; on the 1/4 grid (``planes.pack``) only two would be.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.networks.planes import Planes

CHANNELS = 6


def pack(picture: Planes) -> Tensor:
    """Planes -> (B, 6, H/2, W/2): the luma phases of 2x2 blocks, row by row, then U and V."""
    return torch.cat((F.pixel_unshuffle(picture.luma, 2), picture.chroma), 1)


def unpack(packed: Tensor) -> Planes:
    """(B, 6, H/2, W/2) -> Planes, the inverse of :func:`pack`."""
    return Planes(F.pixel_shuffle(packed[:, :4], 2), packed[:, 4:])
