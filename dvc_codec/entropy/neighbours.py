"""Symbols predicted from their neighbours: for smooth planes, such as the motion of blocks.

A plane is coded on ever finer grids, each cell predicted from the four already decoded around it:

    0 . 2 . 0        step 0 from nothing; 1 and 3 from their diagonal neighbours, 2 and 4 from
    . 3 4 3 .        those beside and above and below, at the distance of the grid
    2 4 1 4 2

Only the difference is sent. Integers all the way, like the scale models (:mod:`.scale`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.entropy.law import FINE, LEVELS
from dvc_codec.entropy.scale import CodingStep, IntegerConv, ScaleModel, look_up

STEPS = 5
BEYOND = float(1 << 20)  # every value: five steps of what the coder can say are 163,890
AXES = ((0, 1), (0, -1), (1, 0), (-1, 0))
DIAGONALS = ((1, 1), (1, -1), (-1, 1), (-1, -1))
# of steps 1 to 4: where the four neighbours are
OFFSETS = (
    tuple((2 * y, 2 * x) for y, x in DIAGONALS),
    tuple((2 * y, 2 * x) for y, x in AXES),
    DIAGONALS,
    AXES,
)


def step_numbers(height: int, width: int, device: torch.device | None = None) -> Tensor:
    """(height, width) int64: the step that each cell is coded in."""
    y = torch.arange(height, device=device)[:, None]
    x = torch.arange(width, device=device)[None]
    number = torch.full((height, width), 4, device=device)
    number[(y % 2 == 1) & (x % 2 == 1)] = 3
    number[(y % 2 == 0) & (x % 2 == 0)] = 2
    number[(y % 4 == 2) & (x % 4 == 2)] = 1
    number[(y % 4 == 0) & (x % 4 == 0)] = 0
    return number


def neighbours(plane: Tensor, number: int) -> Tensor:
    """The four neighbours that step ``number`` >= 1 knows: (B, C, h, w) -> (4, B, C, h, w), nothing
    (0) outside.
    """
    h, w = plane.shape[-2:]
    padded = F.pad(plane, (2, 2, 2, 2))
    return torch.stack(
        [padded[..., 2 + y : 2 + y + h, 2 + x : 2 + x + w] for y, x in OFFSETS[number - 1]]
    )


def predict(values: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Predict a step's values from those decoded, integers (B, C, h, w).

    Returns:
        The rounded mean of the neighbours inside the picture, and how far they are apart. Both are
        meant for the step's own cells.
    """
    if number == 0:
        return torch.zeros_like(values), torch.zeros_like(values)
    there = neighbours(torch.ones_like(values[:1, :1]), number)
    four = neighbours(values, number)
    count = there.sum(0).clamp(min=1)  # none: in cells that are not this step's, of tiny planes
    # quotients of small integers: a whole one is exact on every machine, and no other is near one
    mean = ((2 * four.sum(0) + count) / (2 * count)).floor()
    highest = torch.where(there > 0, four, -BEYOND).amax(0)
    lowest = torch.where(there > 0, four, BEYOND).amin(0)
    return mean, (highest - lowest).clamp(min=0)


class NeighbourScale(ScaleModel):
    """The scale model of such a plane, five steps, the interface of :class:`ScaleModel`.

    Formula, in magnitudes: 0.25 of the last frame's context + 0.3 times what the four neighbours
    sent + 0.3 times how far they are apart.
    """

    def __init__(self, channels: int, side: int, hidden: int = 32) -> None:
        nn.Module.__init__(self)
        self.channels, self.formula = channels, True
        self.enter = IntegerConv(5 * channels + side + STEPS, hidden, 3)
        self.leave = IntegerConv(hidden, channels, 1, zero=True)
        self._register_tables()

    def steps(
        self, height: int, width: int, device: torch.device | None = None
    ) -> list[CodingStep]:
        numbers = step_numbers(height, width, device)
        return [CodingStep(None, numbers == number) for number in range(STEPS)]

    def step(
        self, number: int, before: Tensor, side: Tensor, sent: Tensor, values: Tensor
    ) -> tuple[Tensor, Tensor]:
        mean, spread = predict(values, number)
        magnitudes = sent.abs()
        nearby = neighbours(magnitudes, number).sum(0) if number else torch.zeros_like(sent)
        formula = 0.25 * self._base(before) + 60 * nearby + 60 * spread
        level = look_up(self.formula_levels, formula.floor())
        b, _, h, w = before.shape
        which = before.new_zeros(b, STEPS, h, w)
        which[:, number] = 64
        seen = (
            side,
            (level / 4).floor(),
            self.compress(before),
            self.compress(magnitudes),
            self.compress(nearby),
            self.compress(spread),
            which,
        )
        hidden = self.enter(torch.cat(seen, 1)).clamp(0, 255)
        fine: Tensor = self.leave(hidden) + level
        return mean, fine.clamp(0, (LEVELS - 1) * FINE)

    def check_exact(self) -> None:
        """Raises OverflowError if a trained weight could break exactness on some machine."""
        self.enter.check_exact(LEVELS * FINE // 4)
        self.leave.check_exact(255)
