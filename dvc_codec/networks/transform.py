"""Block transforms as convolutions: they start as the orthonormal DCT and may learn to lap over
their neighbours.

A plane's n x n blocks become n*n channels; a 3x3 convolution over blocks whose centre tap is the
DCT matrix and whose other taps are zero is the DCT to the bit, and a lapped transform once trained.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def dct_matrix(size: int) -> Tensor:
    """Orthonormal DCT-II, (size, size): rows are basis functions, lowest frequency first."""
    k = torch.arange(size, dtype=torch.float64)
    m = torch.cos(math.pi * (k[None] + 0.5) * k[:, None] / size) * math.sqrt(2 / size)
    m[0] /= math.sqrt(2)
    return m.float()


def dct_basis(size: int) -> Tensor:
    """Blocks of one coefficient each, (size^2, size, size), in the order of BlockTransform."""
    m = dct_matrix(size)
    return torch.einsum("ui,vj->uvij", m, m).reshape(size**2, size, size)


def frequencies(size: int, planes: int) -> list[int]:
    """u + v of each channel of :class:`BlockTransform`: how the channels are ordered, plane by
    plane, row by row.
    """
    return [u + v for _ in range(planes) for u in range(size) for v in range(size)]


class BlockTransform(nn.Module):
    """(B, planes, H, W) <-> (B, planes * size^2, H / size, W / size), orthonormal before
    training.
    """

    def __init__(self, size: int, planes: int) -> None:
        super().__init__()
        self.size, self.planes = size, planes
        one = dct_basis(size).flatten(1)
        matrix = torch.block_diag(*[one] * planes)
        self.analysis = nn.Parameter(_centre_tap(matrix))
        self.synthesis = nn.Parameter(_centre_tap(matrix.t()))

    def forward(self, plane: Tensor) -> Tensor:
        return F.conv2d(F.pixel_unshuffle(plane, self.size), self.analysis, padding=1)

    def inverse(self, latents: Tensor) -> Tensor:
        return F.pixel_shuffle(F.conv2d(latents, self.synthesis, padding=1), self.size)


def _centre_tap(matrix: Tensor) -> Tensor:
    weight = torch.zeros(*matrix.shape, 3, 3)
    weight[:, :, 1, 1] = matrix
    return weight
