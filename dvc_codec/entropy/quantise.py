"""Rate-distortion optimised quantisation: the encoder's choice of symbols, in training too
(design.md, section 4).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from dvc_codec.entropy.law import mean_of
from dvc_codec.entropy.mixing import LIFT_BITS
from dvc_codec.entropy.scale import LIFTS, lifted

Cost = Callable[[Tensor, Tensor | None], Tensor]


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


# Lifts are tried where so many times more symbols are likely not to be zero than the levels expect
UNEXPECTED, UNEXPECTED_CELLS = 1.3, 4
LIKELY = 0.6  # steps, beyond which a latent's symbol is likely not to be zero


def choose_lift(
    latents: Tensor,
    levels: Tensor,
    cells: Tensor,
    cost_at: Callable[[Tensor], Cost],
    trade: Tensor | float,
) -> tuple[Tensor, int]:
    """How far levels are to be lifted, where :func:`choose` is to choose symbols then.

    Args:
        latents: (B, C, h, w), in quantiser steps.
        levels: the fine levels that the scale model expects, likewise.
        cells: (h, w) bool, the ones that count.
        cost_at: fine levels -> bits, as ``cost`` of :func:`choose`.
        trade: as there.

    Returns:
        The lifted levels, and the lift, one for all.
    """
    likely = ((latents.abs() > LIKELY) & cells).sum()
    if likely < UNEXPECTED * (mean_of(levels) * cells).sum() + UNEXPECTED_CELLS:
        return levels, 0

    def total(levels: Tensor) -> float:
        cost = cost_at(levels)
        symbols = choose(latents, cost, trade)
        return float(((cost(symbols, None) + trade * (latents - symbols) ** 2) * cells).sum())

    best, found = total(levels), (levels, 0)
    for lift in range(1, LIFTS + 1):
        raised = lifted(levels, lift)
        costs = total(raised) + LIFT_BITS
        if costs < best:
            best, found = costs, (raised, lift)
        elif lift > found[1] + 1:
            break  # past the minimum
    return found


def with_gradient(symbols: Tensor, latents: Tensor) -> Tensor:
    """Symbols whose gradient passes straight through where something is sent, and not where zero
    is.

    A latent in the dead zone does not move its symbol: its whole error stays in the picture, and
    whoever predicts better must feel it. One that is sent is re-centred by its symbol: only its
    bits remain to be saved.
    """
    return symbols + (latents - latents.detach()) * (symbols != 0)
