"""Rate-distortion optimised quantisation: the encoder's choice of symbols, in training too
(design.md, section 4).
"""

from collections.abc import Callable

import torch
from torch import Tensor

Cost = Callable[[Tensor, Tensor], Tensor]


def choose(latents: Tensor, cost: Cost, trade: Tensor | float) -> Tensor:
    """The cheapest of round(y), one nearer to zero, and zero, under trade * (y - q)^2 + cost(q).

    Args:
        latents: any shape, in quantiser steps.
        cost: bits of integer symbols (n,) at these cells (n,) of the flattened latents.
        trade: bits per squared step, one for all or broadcast against ``latents``.

    Returns:
        Symbols: a float tensor of integers, without gradient.
    """
    with torch.no_grad():
        latents = latents.contiguous()
        chosen = torch.zeros_like(latents)
        # most latents round to zero: there is nothing to choose
        cells = (latents.abs() > 0.5).flatten().nonzero()[:, 0]
        values = latents.flatten()[cells]
        if isinstance(trade, Tensor):
            trade = trade.expand_as(latents).reshape(-1)[cells]
        best = torch.zeros_like(values)
        best_cost = trade * values**2 + cost(best, cells)
        rounded = values.round()
        for option in (rounded, rounded - rounded.sign()):
            total = trade * (values - option) ** 2 + cost(option, cells)
            better = total < best_cost
            best = torch.where(better, option, best)
            best_cost = torch.where(better, total, best_cost)
        chosen.view(-1)[cells] = best
    return chosen


def with_gradient(symbols: Tensor, latents: Tensor) -> Tensor:
    """Symbols whose gradient passes straight through where something is sent, and not where zero
    is.

    A latent in the dead zone does not move its symbol: its whole error stays in the picture, and
    whoever predicts better must feel it. One that is sent is re-centred by its symbol: only its
    bits remain to be saved.
    """
    return symbols + (latents - latents.detach()) * (symbols != 0)
