"""What a decoder makes of the residual's symbols, found by trying; for encoders only.

A symbol moves the decoded picture by its step as long as transform and loop filter are untrained.
Trained ones amplify low frequencies, luma's up to twice, and leave the highest alone: an error of a
low frequency then counts four times what it would (docs/experiments.md#second-look).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.networks.transform import dct_basis, frequencies

SIZE = 8  # of blocks
ONE_IN = 16  # symbols is tried
LOW = 4  # frequencies in u and in v, whose errors count 1 in the mean


class OfPlane(NamedTuple):
    """By channel, (1, C, 1, 1): what a change of one step does to the decoded picture.

    Attributes:
        gain: to the same DCT coefficient, in steps.
        energy: to all coefficients, squared and summed, in squared steps.
    """

    gain: Tensor
    energy: Tensor

    @property
    def weights(self) -> Tensor:
        """How much squared errors of latents count."""
        return self.energy / self.energy.view(-1, SIZE, SIZE)[:, :LOW, :LOW].mean()

    @property
    def undoing(self) -> Tensor:
        """How many steps undo an error of one step of a coefficient, as well as one can."""
        return self.gain / self.energy


class Response(NamedTuple):
    """Of luma (C = 64) and chroma (C = 128)."""

    luma: OfPlane
    chroma: OfPlane


def measure(decoded: Callable[[Tensor], Tensor], steps: Tensor, cells: tuple[int, int]) -> OfPlane:
    """Change a few symbols of a frame that has none. Symbols of one u + v of one colour have one
    response: their mean.

    Args:
        decoded: symbols (1, C, h, w) of 8x8 blocks -> decoded planes (1, C / 64, 8 h, 8 w).
        steps: of the symbols, (1, C, h, w) or broadcast to that.
        cells: h and w, at least 4 each.
    """
    channels = steps.shape[1]
    tried = _tried(channels, *cells)
    change = decoded(tried) - decoded(torch.zeros_like(tried))
    moved = (coefficients(change) / steps).numpy().astype(np.float64)  # its sums have one order
    colours = np.arange(channels) // SIZE**2
    bands = np.array(frequencies(SIZE, channels // SIZE**2)) + 2 * SIZE * colours

    def of_bands(of_symbols: NDArray[Any]) -> NDArray[np.float64]:
        return np.bincount(bands, of_symbols.sum((0, 2, 3)))[bands].astype(np.float64)

    count = of_bands(np.square(tried.numpy(), dtype=np.float64))
    gain, energy = of_bands(moved * tried.numpy()) / count, of_bands(np.square(moved)) / count
    return OfPlane(*(torch.from_numpy(x).float().view(1, -1, 1, 1) for x in (gain, energy)))


def coefficients(planes: Tensor) -> Tensor:
    """(B, planes, H, W) -> (B, 64 planes, H / 8, W / 8), plain DCT."""
    basis = dct_basis(SIZE)[:, None]
    each = [F.conv2d(plane, basis, stride=SIZE) for plane in planes.split(1, 1)]
    return torch.cat(each, 1)


def _tried(channels: int, rows: int, columns: int) -> Tensor:
    """Symbols: -1 or 1 in places that are spread over blocks and frequencies, 0 elsewhere."""
    f, y, x = np.ogrid[:channels, :rows, :columns]
    signs = np.random.default_rng(1).choice((-1.0, 1.0), (channels, rows, columns))
    tried = np.where((5 * f + 7 * y + 3 * x) % ONE_IN == 0, signs, 0.0)
    return torch.from_numpy(tried).float()[None]
