"""One model, every lambda: the rate index, and the quantiser steps that follow from it.

Loss: lambda * D + R; D = (6 MSE_Y + MSE_U + MSE_V) / 8 of samples in [0, 1], R in bits per luma
pixel. lambda(r) = 64 * 2^(6 r / 63), r = 0..63, so that r = 21, 42, 63 are lambda 256, 1024, 4096.
"""

import math

import torch
from torch import Tensor, nn

RATES = 64
LOWEST_LAMBDA, HIGHEST_LAMBDA = 64.0, 4096.0
# Bits per squared step: what the high-rate optimum says (8.66), the same at every rate
TRADE = 6 / math.log(2)
# The encoder's: later frames gain from a better reference. Measured best of 0.7, 1, 1.4, 2 times
# (docs/experiments.md#trade); training codes too few frames in a row to see it.
ENCODER_TRADE = 1.4 * TRADE


def rate_index(lagrangian: float) -> int:
    """lambda in [64, 4096] -> the nearest rate index. Raises ValueError outside."""
    if not LOWEST_LAMBDA <= lagrangian <= HIGHEST_LAMBDA:
        raise ValueError(
            f"lambda {lagrangian:g} is outside [{LOWEST_LAMBDA:g}, {HIGHEST_LAMBDA:g}]"
        )
    return math.floor((RATES - 1) / 6 * math.log2(lagrangian / LOWEST_LAMBDA) + 0.5)


def lambda_at(rate: int) -> float:
    """The lambda of one rate index: :func:`lagrangian` for a plain number."""
    return LOWEST_LAMBDA * 2 ** (6 * rate / (RATES - 1))


def lagrangian(rate: Tensor) -> Tensor:
    """Rate indices (B,) -> lambda (B,), float32."""
    return LOWEST_LAMBDA * torch.exp2(6 * rate.float() / (RATES - 1))


def centred(rate: Tensor) -> Tensor:
    """Rate indices (B,) -> (B, 1, 1, 1) in [-1, 1]: how networks are told the rate."""
    return (rate.float() * (2 / (RATES - 1)) - 1).view(-1, 1, 1, 1)


class Steps(nn.Module):
    """Quantiser step per latent channel: sqrt(weight / lambda), times a learned factor that starts
    at ``finer``.

    Args:
        channels: latent channels.
        weight: the closed form's numerator: 6 / ln 2 over the weight of the channel's squared error
            in D (11.5 for luma, 17.3 for chroma; for motion on the 1/4 grid, in its own pixels, 45,
            of which half measured best).
        finer: start of the factor. 0.75 measured best for the residual, flat between 0.7 and 1.
    """

    def __init__(self, channels: int, weight: float, finer: float = 1.0) -> None:
        super().__init__()
        self.weight = weight
        self.log_factor = nn.Parameter(torch.full((channels,), math.log(finer)))
        self.log_slope = nn.Parameter(torch.zeros(channels))

    def forward(self, rate: Tensor) -> Tensor:
        """Rate indices (B,) -> steps (B, C, 1, 1)."""
        base = (self.weight / lagrangian(rate)).sqrt().view(-1, 1, 1, 1)
        factor = self.log_factor.view(1, -1, 1, 1) + self.log_slope.view(1, -1, 1, 1) * centred(
            rate
        )
        return base * factor.exp()


def residual_scale(rate: Tensor) -> Tensor:
    """(B,) -> (B, 1, 1, 1): the closed-form luma step, the natural unit of every small difference
    at this rate.
    """
    return (11.5 / lagrangian(rate)).sqrt().view(-1, 1, 1, 1)
