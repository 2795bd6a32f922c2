"""What a decoder makes of luma's symbols, found by trying; for encoders only.

A symbol moves the decoded picture by its step as long as transform and loop filter are untrained.
Trained ones amplify low frequencies, up to twice, and leave the highest alone: an error of a low
frequency then counts four times what it would (docs/experiments.md#second-look).
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.networks.transform import dct_matrix, frequencies

SIZE = 8  # of blocks
ONE_IN = 16  # symbols is tried
LOW = 4  # frequencies in u and in v, whose errors count 1 in the mean


class Response(NamedTuple):
    """By frequency, (1, 64, 1, 1): what a change of one step does to the decoded picture.

    Attributes:
        gain: to the same DCT coefficient, in steps.
        energy: to all coefficients, squared and summed, in squared steps.
    """

    gain: Tensor
    energy: Tensor

    @property
    def weights(self) -> Tensor:
        """How much squared errors of latents count."""
        return self.energy / self.energy.view(SIZE, SIZE)[:LOW, :LOW].mean()

    @property
    def undoing(self) -> Tensor:
        """How many steps undo an error of one step of a coefficient, as well as one can."""
        return self.gain / self.energy


def measure(luma_of: Callable[[Tensor], Tensor], steps: Tensor, cells: tuple[int, int]) -> Response:
    """Change a few symbols of a frame that has none. Symbols of one u + v have one response: their
    mean.

    Args:
        luma_of: symbols (1, 64, h, w) -> decoded luma (1, 1, 8 h, 8 w).
        steps: of the symbols, (1, 64, h, w) or broadcast to that.
        cells: h and w, at least 4 each.
    """
    tried = _tried(*cells)
    change = luma_of(tried) - luma_of(torch.zeros_like(tried))
    moved = (coefficients(change) / steps).numpy().astype(np.float64)  # its sums have one order
    bands = np.array(frequencies(SIZE, 1))

    def of_bands(of_symbols: np.ndarray) -> np.ndarray:
        return np.bincount(bands, of_symbols.sum((0, 2, 3)))

    count = of_bands(np.square(tried.numpy(), dtype=np.float64))
    gain, energy = of_bands(moved * tried.numpy()) / count, of_bands(np.square(moved)) / count
    return Response(*(torch.from_numpy(x[bands]).float().view(1, -1, 1, 1) for x in (gain, energy)))


def coefficients(luma: Tensor) -> Tensor:
    """(B, 1, H, W) -> (B, 64, H / 8, W / 8), plain DCT."""
    basis = torch.einsum("ui,vj->uvij", dct_matrix(SIZE), dct_matrix(SIZE))
    return F.conv2d(luma, basis.reshape(-1, 1, SIZE, SIZE), stride=SIZE)


def _tried(rows: int, columns: int) -> Tensor:
    """Symbols: -1 or 1 in places that are spread over blocks and frequencies, 0 elsewhere."""
    f, y, x = np.ogrid[: SIZE**2, :rows, :columns]
    signs = np.random.default_rng(1).choice((-1.0, 1.0), (SIZE**2, rows, columns))
    tried = np.where((5 * f + 7 * y + 3 * x) % ONE_IN == 0, signs, 0.0)
    return torch.from_numpy(tried).float()[None]
