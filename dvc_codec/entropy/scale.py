"""Scale models: integer functions from symbols already decoded to the scale index of the next ones.

Everything is computed in float32 tensors that hold exact integers below 2^24, so it is the same on
every machine, in every order of summation. A scale model starts as a formula and carries a small
network with integer weights and activations whose output, a correction of the formula, starts at
zero (design.md, section 5).

Units: magnitudes are |symbol|; formula values are 1/200 of a magnitude; fine levels as in
:mod:`dvc_codec.entropy.law`.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.entropy.law import FINE, LEVELS, LOWEST_MEAN, PER_OCTAVE

EXACT = 2**24  # float32 holds every integer up to here
WEIGHT_SCALE = 128  # integer weights are 1/128
HALF = 0.5 / WEIGHT_SCALE  # keeps sums away from the floor's edges, should a kernel be inexact
UNIT = 200
FORMULA_ENTRIES = 1 << 16
LOG_ENTRIES = 256
LIFTS = 6  # how far levels can be lifted


def around(x: Tensor) -> Tensor:
    """Sum of the four neighbours, nothing outside."""
    p = F.pad(x, (1, 1, 1, 1))
    sums = p[..., :-2, 1:-1] + p[..., 2:, 1:-1]
    return sums.add_(p[..., 1:-1, :-2]).add_(p[..., 1:-1, 2:])


def first_step_mask(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(height, width) bool: the half of a checkerboard that is coded first."""
    y, x = torch.arange(height, device=device), torch.arange(width, device=device)
    return (y[:, None] + x[None]) % 2 == 0


@dataclass(frozen=True)
class CodingStep:
    """Symbols of a plane that are coded together: some channels (int64, None: all) of some cells
    ((height, width) bool).
    """

    channels: Tensor | None
    cells: Tensor

    def of(self, plane: Tensor) -> Tensor:
        """The step's channels of (B, C, h, w)."""
        return plane if self.channels is None else plane.index_select(1, self.channels)

    def put(self, plane: Tensor, new: Tensor | float) -> Tensor:
        """``plane`` (B, C, h, w) with the step's symbols from ``new``, which has its channels."""
        if self.channels is None:
            return torch.where(self.cells, new, plane)
        return plane.index_copy(1, self.channels, torch.where(self.cells, new, self.of(plane)))


class IntegerConv(nn.Module):
    """3x3 or 1x1 convolution of integers with integer weights: floor(sum(w x) / 128) + bias.

    Trained straight-through.
    """

    def __init__(self, inputs: int, outputs: int, size: int, zero: bool = False) -> None:
        super().__init__()
        std = 0.0 if zero else (2 / (inputs * size**2)) ** 0.5
        self.weight = nn.Parameter(torch.randn(outputs, inputs, size, size) * std)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def integers(self) -> tuple[Tensor, Tensor]:
        """Weights in [-127, 127] and biases, as float tensors of integers."""
        return (self.weight * WEIGHT_SCALE).round().clamp(-127, 127), self.bias.round()

    def forward(self, x: Tensor) -> Tensor:
        weight, bias = self.integers()
        weight = weight / WEIGHT_SCALE  # a power of two: sums are as exact as those of integers
        if torch.is_grad_enabled():
            weight = straight_through(weight, self.weight)
            bias = straight_through(bias, self.bias)
        with torch.autocast(x.device.type, enabled=False):
            sums = F.conv2d(x, weight, bias + HALF, padding=weight.shape[-1] // 2)
        return straight_through(sums.floor(), sums) if sums.requires_grad else sums.floor_()

    def bake(self) -> None:
        """Replace trained weights by the integers they stand for (which float16 holds exactly)."""
        with torch.no_grad():
            weight, bias = self.integers()
            self.weight.copy_(weight / WEIGHT_SCALE)
            self.bias.copy_(bias)

    def check_exact(self, largest_input: int) -> None:
        """Raises OverflowError if any sum could leave the integers that float32 holds."""
        weight, _ = self.integers()
        bound = float(weight.detach().abs().sum((1, 2, 3)).max()) * largest_input
        if bound >= EXACT:
            raise OverflowError(f"sums of this integer network may reach {bound:.0f}, above 2^24")


def straight_through(value: Tensor, gradient_of: Tensor) -> Tensor:
    """``value`` with the gradient of the other."""
    return value.detach() + (gradient_of - gradient_of.detach())


class ScaleModel(nn.Module):
    """Scale indices of one plane of symbols, in two coding steps (checkerboard): the second knows
    the first.

    Formula, in magnitudes: 2 |before| + 0.5 around + 0.08 (activity + 0.5 around); in the second
    step half of that + 1.2 around + 0.15 activity around, of this frame's first step (``before`` is
    the last frame's symbol in the same place, activity the sum over channels).

    Args:
        channels: of the plane.
        side: channels of other, already decoded information.
        hidden: channels of the correcting network.
        formula: False drops everything but a level per channel, the network and ``side`` (for
            priors without a past).
    """

    def __init__(self, channels: int, side: int, hidden: int = 32, formula: bool = True) -> None:
        super().__init__()
        self.channels, self.formula = channels, formula
        known = 2 * channels if formula else 0
        self.first_in = IntegerConv(known + side, hidden, 3)
        self.first_out = IntegerConv(hidden, channels, 1, zero=True)
        self.second_in = IntegerConv(known + side + channels, hidden, 3)
        self.second_out = IntegerConv(hidden, channels, 1, zero=True)
        self._register_tables()

    def _register_tables(self) -> None:
        self.register_buffer("formula_levels", _formula_levels(), persistent=False)
        self.register_buffer("log_magnitudes", _log_magnitudes(), persistent=False)
        self.formula_levels: Tensor
        self.log_magnitudes: Tensor

    def steps(
        self, height: int, width: int, device: torch.device | None = None
    ) -> list[CodingStep]:
        """The coding steps of a plane of this size, in order."""
        first = first_step_mask(height, width, device)
        return [CodingStep(None, first), CodingStep(None, ~first)]

    def step(
        self, number: int, before: Tensor, side: Tensor, sent: Tensor, values: Tensor
    ) -> tuple[Tensor | float, Tensor]:
        """What is expected of the symbols of a coding step.

        Args:
            number: of the step, as in :meth:`steps`.
            before: magnitudes sent in the last frame, (B, C, h, w).
            side: integers in [0, 127], (B, side, h, w).
            sent, values: of this frame's earlier steps, 0 elsewhere, (B, C, h, w): what was sent,
                and what it means, prediction included.

        Returns:
            The prediction that what is sent adds to (0: none), and fine levels, of the step's
            channels.
        """
        if number == 0:
            return 0.0, self.first(before, side)
        return 0.0, self.second(before, side, sent.abs())

    def compress(self, magnitudes: Tensor) -> Tensor:
        """Magnitudes -> 8 log2(1 + m), rounded: how the network sees them. Integers in [0, 64]."""
        return look_up(self.log_magnitudes, magnitudes)

    def first(self, before: Tensor, side: Tensor) -> Tensor:
        """Fine levels (B, C, h, w) of the first step.

        ``before``: magnitudes (B, C, h, w); ``side``: integers in [0, 127].
        """
        before, side = _channels_last(before), _channels_last(side)
        return self._levels(self._base(before) if self.formula else None, before, side, None)

    def second(self, before: Tensor, side: Tensor, now: Tensor) -> Tensor:
        """Fine levels of the second step.

        ``now``: magnitudes of the first step, zero where not yet decoded.
        """
        before, side, now = _channels_last(before), _channels_last(side), _channels_last(now)
        formula = None
        if self.formula:
            activity = 30 * around(now.sum(1, keepdim=True))
            formula = self._base(before).mul_(0.5).add_(around(now), alpha=240).add_(activity)
        return self._levels(formula, before, side, now)

    def _base(self, before: Tensor) -> Tensor:
        activity = before.sum(1, keepdim=True)
        everywhere = 16 * activity + 8 * around(activity)
        return around(before).mul_(100).add_(before, alpha=400).add_(everywhere)

    def _levels(
        self, formula: Tensor | None, before: Tensor, side: Tensor, now: Tensor | None
    ) -> Tensor:
        seen = [side]
        level: Tensor | float = 0.0
        if formula is not None:
            level = look_up(self.formula_levels, formula)
            seen += [(level / 4).floor_(), self.compress(before)]
        if now is not None:
            seen.append(self.compress(now))
        enter, leave = (
            (self.first_in, self.first_out) if now is None else (self.second_in, self.second_out)
        )
        hidden = enter(torch.cat(seen, 1)).clamp(0, 255)
        fine: Tensor = leave(hidden) + level
        return fine.clamp(0, (LEVELS - 1) * FINE)

    def check_exact(self) -> None:
        """Raises OverflowError if a trained weight could break exactness on some machine."""
        for layer in (self.first_in, self.second_in):
            layer.check_exact(LEVELS * FINE // 4)
        for layer in (self.first_out, self.second_out):
            layer.check_exact(255)


def look_up(table: Tensor, at: Tensor) -> Tensor:
    """``table`` (n,) at these non-negative integers (any shape); the last entry beyond its end."""
    cells = at.clamp(max=len(table) - 1).int()
    if at.dim() == 4:
        cells = cells.permute(0, 2, 3, 1)  # the order in memory
    found = table.index_select(0, cells.flatten()).view(cells.shape)  # 8 times faster than [cells]
    return found.permute(0, 3, 1, 2) if at.dim() == 4 else found


def _channels_last(x: Tensor) -> Tensor:
    """The layout that convolutions like, from the start, so that nothing is laid out anew."""
    return x.contiguous(memory_format=torch.channels_last)


def index_of(fine: Tensor) -> Tensor:
    """Fine levels -> scale indices 0..LEVELS-1 (uint8)."""
    rounded = (fine + FINE // 2).clamp_(0, (LEVELS - 1) * FINE + FINE // 2)
    return rounded.div_(FINE, rounding_mode="trunc").to(torch.uint8)


def lifted(fine: Tensor, lift: int) -> Tensor:
    """Fine levels where a coding step holds far more than its model expects: low ones are raised,
    and keep their order, so that nothing is too unlikely to be sent (docs/experiments.md#lift).

    ``lift``: 0, as they are, to LIFTS.
    """
    if lift == 0:
        return fine
    return torch.maximum(fine, 2 * FINE * lift + (fine * 0.625).floor())


def _formula_levels() -> Tensor:
    """Fine level of every formula value.

    No value is within 1e-9 of a rounding edge, so any machine's log2 gives the same.
    """
    mean = 0.002 + 0.12 * np.arange(FORMULA_ENTRIES) / UNIT
    return torch.from_numpy(np.rint(FINE * PER_OCTAVE * np.log2(mean / LOWEST_MEAN))).float()


def _log_magnitudes() -> Tensor:
    return torch.from_numpy(np.rint(8 * np.log2(1 + np.arange(LOG_ENTRIES)))).float()
