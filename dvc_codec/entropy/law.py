"""The probability law behind every scale index, for training and for statistics that have seen
nothing yet.

Index i means: a symbol's expected magnitude is about LOWEST_MEAN * 2^(i / 2); the law is a
two-sided geometric one, P(k) = P(0) rho^|k|, rho = m / (1 + m).
"""

import numpy as np
import torch
from torch import Tensor

LEVELS = 34
PER_OCTAVE = 2
FINE = 16  # a fine level is 1/16 of a level: what the scale models compute
LOWEST_MEAN = 0.0005


def mean_of(fine_level: Tensor) -> Tensor:
    """Fine levels -> the law's mean."""
    return LOWEST_MEAN * torch.exp2(fine_level / (FINE * PER_OCTAVE))


def bits_of_zero_and_slope(fine_level: Tensor) -> tuple[Tensor, Tensor]:
    """Fine levels -> (bits of symbol 0, bits per unit of magnitude): bits(k) = first + |k| *
    second.
    """
    mean = mean_of(fine_level)
    zero = torch.log1p(2 * mean) / np.log(2)  # (1 + rho) / (1 - rho) = 1 + 2 m
    slope = -torch.log2(mean / (1 + mean))
    return zero, slope
