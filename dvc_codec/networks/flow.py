"""Optical flow for the encoder: coarse-to-fine block matching as batched tensor code, candidates of
neighbours at full size (:mod:`.propagation`), least squares on gradients for the fractions of a
pixel, and a learned refinement that starts at zero.

Only the encoder runs this. Everything is in luma; costs are mean squared differences of windows.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.networks import warp_kernels
from dvc_codec.networks.blocks import activate, conv
from dvc_codec.networks.boxes import added_up, tile_means, window_means
from dvc_codec.networks.propagation import CELL, Propagation
from dvc_codec.networks.warp import GRID, enlarge, is_compiled, quarter_samples, smooth, warp


class Level(NamedTuple):
    """One level of the matching pyramid."""

    scale: int  # luma pixels per pixel of this level's picture
    stride: int  # its pixels per flow cell
    reach: int  # displacements tried on each side
    window: int  # matched window


# Two coarse starts, of which every cell takes the better one: wide, and near. The near one alone
# misses what moves further than 60 pixels; with a reach of 4 it finds that, and more that is not
# there (docs/experiments.md#wide)
STARTS = (
    (Level(32, 1, 2, 5), Level(16, 1, 2, 7)),
    (Level(16, 1, 2, 7),),
)
MIDDLE = (Level(8, 1, 2, 7), Level(4, 2, 2, 8))
FINEST = Level(2, 2, 2, 8)
# At the finest level zero and expected motion are tried again: without it coarse mistakes stay, and
# lambda D + R is 2 % higher, 7 % on BasketballPass (docs/experiments.md#candidates)
MARGIN = 0.02  # over lambda: what the expected flow may be worse by, since it costs no bits
TEMPERATURE = 0.3  # of the lowest cost, for the soft minimum
# Least squares after matching: lambda D + R is 5.8 % lower with two iterations than with none
# (docs/experiments.md#least-squares)
ITERATIONS = 2
PULL = 0.01  # over sqrt(lambda): squared gradient with which a cell is held to its neighbours


def match(
    reference: Tensor, current: Tensor, flow: Tensor, level: Level, penalty: Tensor
) -> Tensor:
    """One level: window costs of displacements around ``flow``, then their soft minimum.

    Args:
        reference, current: (B, 1, h, w) luma at this level's scale.
        flow: (B, 2, h / stride, w / stride) in pixels of this level.
        penalty: (B, 1, 1, 1), cost per squared pixel of displacement from ``flow``: keeps motion
            cheap where it is idle.

    Returns:
        The flow, moved by at most ``reach``; same shape and unit.
    """
    h, w = current.shape[-2:]
    reach = level.reach
    moved = F.pad(warp(reference, enlarge(flow, level.stride)), (reach,) * 4, mode="replicate")
    steps = [(dx, dy) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    shifted = [
        moved[:, :, reach + dy : reach + dy + h, reach + dx : reach + dx + w] for dx, dy in steps
    ]
    difference = torch.cat([current - s for s in shifted], 1).pow_(2)
    cost = _means(difference, level)
    displacement = torch.tensor(steps, dtype=cost.dtype, device=cost.device)
    cost = cost + penalty * displacement.pow(2).sum(1).view(1, -1, 1, 1)
    lowest = cost.amin(1, keepdim=True)
    weight = torch.exp((lowest - cost) / (TEMPERATURE * (lowest + 2e-5)))
    side = 2 * reach + 1
    grid = weight.unflatten(1, (side, side))
    rows, columns = added_up(grid.unbind(2)), added_up(grid.unbind(1))
    mean = [added_up([x[:, n] * (n - reach) for n in range(side)]) for x in (columns, rows)]
    return flow + torch.stack(mean, 1) / added_up(rows.unbind(1))[:, None]


def _means(x: Tensor, level: Level) -> Tensor:
    """Means of the level's windows, centred on its cells, the border excluded."""
    margin = (level.window - level.stride + 1) // 2
    return window_means(x, level.stride + 2 * margin, level.stride, margin)


def best_of(
    reference: Tensor, current: Tensor, flows: Sequence[Tensor], level: Level, margin: Tensor
) -> Tensor:
    """Per cell, the flow with the lowest window cost; a later one wins ties, and up to ``margin``.

    Args:
        reference, current, level: as in :func:`match`.
        flows: (B, 2, h / stride, w / stride) each, in pixels of this level.
        margin: (B, 1, h / stride, w / stride), or one for all cells, of mean squared difference.
    """
    best, lowest = flows[0], None
    for flow in flows:
        error = (current - warp(reference, enlarge(flow, level.stride))).square()
        cost = _means(error, level)
        if lowest is None:
            best, lowest = flow, cost
        else:
            better = cost < lowest + margin
            best = torch.where(better, flow, best)
            lowest = torch.where(better, cost, lowest)
    return best


def match_pyramid(
    reference: Tensor, current: Tensor, expected: Tensor, penalty: Tensor, margin: Tensor
) -> Tensor:
    """Coarse to fine: where every part of ``current`` is found in ``reference``.

    Args:
        reference, current: luma (B, 1, H, W); H and W multiples of 16.
        expected: (B, 2, H/4, W/4) flow that would cost nothing, in cells of the 1/4 grid.
        penalty: (B, 1, 1, 1), as in :func:`match`.
        margin: (B, 1, H/4, W/4), or one for all cells, as in :func:`best_of`.

    Returns:
        (B, 2, H/4, W/4) flow in cells of the 1/4 grid.
    """
    a, b = (tile_means(p, FINEST.scale) for p in (reference, current))
    cell = FINEST.scale * FINEST.stride
    coarse = [
        _coarse(reference, current, (*start, *MIDDLE), penalty)
        for start in STARTS
        if all(n % start[0].scale == 0 and n > start[0].scale for n in current.shape[-2:])
    ]
    zero = torch.zeros_like(coarse[0])
    here = enlarge(expected, GRID // cell) * (GRID / FINEST.scale)
    flow = best_of(a, b, (*coarse, zero, here), FINEST, margin)
    return smooth(match(a, b, flow, FINEST, penalty)) * (FINEST.scale / cell)


def _coarse(reference: Tensor, current: Tensor, levels: Sequence[Level], penalty: Tensor) -> Tensor:
    """From nothing through these levels -> the flow that the finest level starts from, in its
    pixels and cells.
    """
    cell = levels[0].scale * levels[0].stride
    height, width = current.shape[-2:]
    flow = current.new_zeros(len(current), 2, height // cell, width // cell)
    for level, following in zip(levels, (*levels[1:], FINEST), strict=True):
        a, b = (tile_means(p, level.scale) for p in (reference, current))
        flow = smooth(match(a, b, flow, level, penalty))
        finer = level.scale * level.stride // (following.scale * following.stride)
        flow = enlarge(flow, finer) * (level.scale / following.scale)
    return flow


def least_squares(
    reference: Tensor,
    current: Tensor,
    flow: Tensor,
    pull: Tensor,
    samples: Tensor | None = None,
) -> Tensor:
    """One step to where the squared error of 12x12 windows is least, by the picture's gradients.

    Args:
        reference, current: luma (B, 1, H, W).
        flow: (B, 2, H/4, W/4) in cells of that grid.
        pull: (B, H/4, W/4), or one for all cells, weight of the distance from the neighbours' mean,
            in squared gradient: holds cells without texture.
        samples: the reference's quarter samples, where they are known already.

    Returns:
        The flow, moved by at most a pixel.

    Source: Lucas and Kanade, An Iterative Image Registration Technique (IJCAI 1981); the pull as in
    Horn and Schunck, Determining Optical Flow (1981).
    """
    moved = warp(reference, enlarge(flow, GRID), "sharp", GRID, samples)
    products = _products(moved, current)
    xx, xy, yy, xe, ye = window_means(products, 3, 1, 1).unbind(1)
    to_neighbours = pull[:, None] * (smooth(flow) - flow) * GRID
    xx, yy = xx + pull, yy + pull
    xe, ye = xe + to_neighbours[:, 0], ye + to_neighbours[:, 1]
    move = torch.stack((yy * xe - xy * ye, xx * ye - xy * xe), 1)
    move = move / (xx * yy - xy * xy)[:, None]
    return flow + move.clamp(-1, 1) / GRID


def _products(moved: Tensor, current: Tensor) -> Tensor:
    """Means over cells, (B, 5, H/4, W/4), of the products of gradients and errors."""
    if is_compiled(moved, current):
        b, _, h, w = moved.shape
        products = moved.new_empty(b, 5, h // GRID, w // GRID)
        for (one,), (other,), out in zip(moved, current.contiguous(), products, strict=True):
            warp_kernels.squares_of_gradients(one.numpy(), other.numpy(), GRID, out.numpy())
        return products
    padded = F.pad(moved, (1, 1, 1, 1), mode="replicate")
    dx = (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) * 0.5
    dy = (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) * 0.5
    error = current - moved
    products = torch.cat((dx * dx, dx * dy, dy * dy, dx * error, dy * error), 1)
    return tile_means(products, GRID)


def find(
    reference: Tensor,
    samples: Tensor,
    current: Tensor,
    expected: Tensor,
    lagrangian: Tensor,
    weights: Tensor | None = None,
) -> Tensor:
    """All that is computed and not learned: coarse to fine, then cells that learn from each other,
    then least squares. Arguments and result as :class:`FlowEstimator`; ``samples``: the reference's
    quarter samples.
    """
    cells = CELL // GRID
    local = lagrangian.view(-1, 1, 1, 1)
    finer = local
    if weights is not None:
        local = local * weights
        finer = enlarge(local, cells)
    # 3e-2 / lambda: the penalty that measured best, tied to what a bit of motion is worth
    penalty = (3e-2 / lagrangian).clamp(max=3e-4).view(-1, 1, 1, 1)
    flow = match_pyramid(reference, current, expected, penalty, MARGIN / finer)
    flow, likely = (tile_means(x * GRID, cells) for x in (flow, expected))
    flow = Propagation(samples, current, likely, local).search(flow)
    flow = enlarge(flow, cells) / GRID
    pull = PULL / finer[:, 0].sqrt()
    for _ in range(ITERATIONS):
        flow = least_squares(reference, current, flow, pull, samples)
    return flow


class FlowEstimator(nn.Module):
    """What can be computed, and a learned correction of it that starts at zero."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.first = conv(16 + 16 + 2, channels)
        self.second = conv(channels, channels)
        self.last = conv(channels, 2, zero=True)

    def forward(
        self,
        reference: Tensor,
        current: Tensor,
        expected: Tensor,
        lagrangian: Tensor,
        weights: Tensor | None = None,
    ) -> Tensor:
        """Where every part of ``current`` is found in ``reference``.

        Args:
            reference, current: luma (B, 1, H, W).
            expected: (B, 2, H/4, W/4), the flow that would cost nothing.
            lagrangian: (B,), lambda.
            weights: (B, 1, H/8, W/8), what squared errors count; None: as they do in D.

        Returns:
            (B, 2, H/4, W/4) flow in cells of the 1/4 grid.
        """
        with torch.no_grad():
            samples = quarter_samples(reference)
            flow = find(reference, samples, current, expected, lagrangian, weights)
            error = current - warp(reference, enlarge(flow, GRID), "sharp", GRID, samples)
        x = torch.cat(
            (F.pixel_unshuffle(current, 4) * 3, F.pixel_unshuffle(error, 4) * 15, flow * 0.25), 1
        )
        correction: Tensor = self.last(activate(self.second(activate(self.first(x)))))
        return flow + 0.05 * correction.float()
