"""What symbols cost, in bits: by the law, as training counts, or by what the entropy coder has
learned so far.
"""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from dvc_codec.entropy.law import LEVELS, bits_of_zero_and_slope
from dvc_codec.entropy.mixing import ALPHABET, Statistics, escape_bits
from dvc_codec.entropy.mixing_kernel import REACH
from dvc_codec.entropy.scale import index_of

NEVER = 1e9  # bits of what cannot be sent


class Cost(Protocol):
    """Bits of symbols: of a whole plane, or of some cells (n,) of the flattened plane."""

    def __call__(self, symbols: Tensor, cells: Tensor | None = None) -> Tensor: ...


class CostOf(Protocol):
    """The costs of a plane's symbols that are coded with these fine levels; ``channels``: which of
    the plane's they are of, None: all.
    """

    def __call__(self, plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost: ...


def law_costs(plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost:
    """Costs under the law itself: what training uses."""

    def cost(symbols: Tensor, cells: Tensor | None = None) -> Tensor:
        zero, slope = bits_of_zero_and_slope(fine if cells is None else fine.flatten()[cells])
        return zero + slope * symbols.abs()

    return cost


def noise_costs(plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost:
    """Costs of symbols with uniform noise: the law's probabilities, linear between integers.

    That is the law's histogram seen through the noise. Bits that are linear between integers would
    call 1.2 bits the least that an idle symbol can cost, and teach every level that.
    """

    def cost(symbols: Tensor, cells: Tensor | None = None) -> Tensor:
        zero, slope = bits_of_zero_and_slope(fine if cells is None else fine.flatten()[cells])
        whole = symbols.detach().abs().floor()
        part = symbols.abs() - whole
        return zero + slope * whole - torch.log2(1 - part * (1 - torch.exp2(-slope)))

    return cost


def learned_costs(statistics: Mapping[str, Statistics]) -> CostOf:
    """Costs by what was learned so far of a channel and a scale index: what the encoder uses."""
    lengths = {name: torch.from_numpy(s.lengths()).reshape(-1) for name, s in statistics.items()}
    escapes = torch.from_numpy(escape_bits(np.arange(REACH + 1024, dtype=np.float32)))
    every = {name: torch.arange(len(s.parents)) for name, s in statistics.items()}

    def of(plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost:
        index = index_of(fine)
        table = lengths[plane]
        numbers = every[plane] if channels is None else channels
        area = fine[0, 0].numel()

        def cost(symbols: Tensor, cells: Tensor | None = None) -> Tensor:
            if cells is None:
                here, mine = index, numbers.view(1, -1, 1, 1)
            else:
                here, mine = index.flatten()[cells], numbers[(cells // area) % len(numbers)]
            row = (mine * LEVELS + here) * ALPHABET + REACH
            magnitudes = symbols.abs().long().clamp(max=len(escapes) - 1)
            bits = table[row + symbols.clamp(-REACH, REACH).long()] + escapes[magnitudes]
            return torch.where(here == 0, symbols.abs() * NEVER, bits)

        return cost

    return of
