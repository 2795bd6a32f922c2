"""Generalised divisive normalisation, the activation of the paper's autoencoders.

Source: Balle et al., End-to-end Optimized Image Compression (ICLR 2017); parameters stored as in
Balle, Efficient Nonlinear Transforms for Lossy Image Compression (PCS 2018).
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PEDESTAL = 2.0**-36  # keeps the derivative of the square root away from zero
LEAST_BETA = 1e-6


def gdn(x: Tensor, beta: Tensor, gamma: Tensor, inverse: bool = False) -> Tensor:
    """y_i = x_i / sqrt(beta_i + sum_j gamma_ij x_j^2), or times it for the ``inverse``.

    Args:
        x: (B, C, H, W).
        beta: (C,), positive.
        gamma: (C, C), not negative.

    Returns:
        (B, C, H, W). The inverse undoes the division by a norm of its own input, so that
        ``gdn(gdn(x), inverse=True)`` is only about ``x``.

    Zero stays zero.
    """
    squared_norm = F.conv2d(x * x, gamma[:, :, None, None], beta)
    return x * (squared_norm.sqrt() if inverse else squared_norm.rsqrt())


class GDN(nn.Module):
    """:func:`gdn` with parameters that stay in range: both are stored as square roots."""

    def __init__(self, channels: int, inverse: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.root_beta = nn.Parameter((torch.ones(channels) + PEDESTAL).sqrt())
        self.root_gamma = nn.Parameter((0.1 * torch.eye(channels) + PEDESTAL).sqrt())

    @property
    def beta(self) -> Tensor:
        """(C,), at least LEAST_BETA."""
        return at_least(self.root_beta, (LEAST_BETA + PEDESTAL) ** 0.5) ** 2 - PEDESTAL

    @property
    def gamma(self) -> Tensor:
        """(C, C), at least zero."""
        return at_least(self.root_gamma, PEDESTAL**0.5) ** 2 - PEDESTAL

    def forward(self, x: Tensor) -> Tensor:
        return gdn(x, self.beta, self.gamma, self.inverse)


def at_least(x: Tensor, bound: float) -> Tensor:
    """max(x, bound), with a gradient below the bound too where descending it leads back up."""
    result: Tensor = _AtLeast.apply(x, bound)  # type: ignore[no-untyped-call]
    return result


class _AtLeast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x >= bound)
        return x.clamp(min=bound)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return gradient * (inside | (gradient < 0)), None
