"""The scale model of a block transform's symbols: low frequencies first, the others knowing them.

    0  lowest, of every other block (a checkerboard)      knows the last frame
    1  lowest, of the other blocks                         ... and the neighbours' lowest
    2, 3, ...  higher and higher, of all blocks            ... and everything lower, here and around

Right after an I frame there is no last frame to know; then most of what is known of a block comes
from its own lower frequencies. Integers all the way (:mod:`.scale`).
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.compiled import AVAILABLE
from dvc_codec.entropy import frequency_kernel
from dvc_codec.entropy.law import FINE, LEVELS, PER_OCTAVE
from dvc_codec.entropy.scale import (
    FORMULA_ENTRIES,
    UNIT,
    WEIGHT_SCALE,
    CodingStep,
    IntegerConv,
    ScaleModel,
    around,
    first_step_mask,
    look_up,
    straight_through,
)

BANDS = (0, 2, 4, 7)  # the lowest u + v of each band


# What a formula starts with, in 1/200 of a magnitude: of the last frame's symbol in the same place
# and of those beside it, of the block's activity there (sum over channels) and of those beside it;
# then, of this frame, of every symbol of the band before, and of the bands below that, here and
# beside. Fitted to the likelihood of symbols of training clips, then rounded.
STARTS = (
    (177, 129, 9, 7, 0, 0, 0, 0),
    (45, 17, 5, 4, 0, 10, 0, 0),
    (69, 7, 4, 3, 14, 5, 0, 0),
    (49, 5, 2, 2, 6, 3, 2, 2),
    (10, 3, 1, 1, 2, 1, 1, 1),
)
SAME_BESIDE = 188  # in step 1: of the same channel beside
LARGEST_WEIGHT = 1023


class Formula(nn.Module):
    """A weighted sum of magnitudes for every channel, with integer weights that are learned and
    never negative: sums that leave what float32 counts exactly are far beyond the table's end.

    Args:
        own: starting weights of the channels' own two magnitudes, (channels, 2).
        shared: of what all channels look at, (channels, inputs).
    """

    def __init__(self, own: Tensor, shared: Tensor) -> None:
        super().__init__()
        self.own = nn.Parameter(own.float() / WEIGHT_SCALE)
        self.shared = nn.Parameter(shared.float() / WEIGHT_SCALE)

    def integers(self, weight: Tensor) -> Tensor:
        whole = (weight * WEIGHT_SCALE).round().clamp(0, LARGEST_WEIGHT)
        return straight_through(whole, weight * WEIGHT_SCALE) if weight.requires_grad else whole

    def forward(self, own: Tensor, shared: Tensor) -> Tensor:
        """Magnitudes (B, channels, h, w) and (B, inputs, h, w) -> sums (B, channels, h, w)."""
        here, beside = self.integers(self.own).view(1, -1, 2, 1, 1).unbind(2)
        weight = self.integers(self.shared)[..., None, None]
        with torch.autocast(own.device.type, enabled=False):
            return F.conv2d(shared, weight) + here * own + beside * around(own)

    def bake(self) -> None:
        """Replace the weights by the integers they stand for (float16 keeps them)."""
        with torch.no_grad():
            for weight in (self.own, self.shared):
                weight.copy_(self.integers(weight) / WEIGHT_SCALE)


class FrequencyScale(ScaleModel):
    """See the module.

    Args:
        frequencies: u + v of every channel.
        side: channels of other, already decoded information.
        hidden: channels of the correcting networks, one a step.
    """

    def __init__(self, frequencies: Sequence[int], side: int, hidden: int = 32) -> None:
        nn.Module.__init__(self)
        self.channels, self.formula = len(frequencies), True
        ends = (*BANDS[1:], 1 << 30)
        bands = [
            [c for c, f in enumerate(frequencies) if low <= f < end]
            for low, end in zip(BANDS, ends, strict=True)
        ]
        self.bands = [band for band in bands if band]
        self.band_of = np.zeros(self.channels, np.int64)
        for number, members in enumerate(self.bands):
            self.band_of[members] = number
        own = [self.bands[0], *self.bands]
        later = range(1, len(self.bands))
        self.known = [[], self.bands[0], *(self._below(band) for band in later)]
        self.enter = nn.ModuleList(
            IntegerConv(side + len(self.bands) + 2 * len(mine) + len(lower), hidden, 3)
            for mine, lower in zip(own, self.known, strict=True)
        )
        self.leave = nn.ModuleList(IntegerConv(hidden, len(mine), 1, zero=True) for mine in own)
        self.formulas = nn.ModuleList(self._start(number) for number in range(len(own)))
        self._register_tables()

    def _start(self, number: int) -> Formula:
        """A step's formula before training."""
        mine, known = self.bands[max(0, number - 1)], self.known[number]
        here, beside, active, active_beside, last, last_beside, low, low_beside = STARTS[number]
        newest = self.bands[max(0, number - 2)]
        row = [active, active_beside]
        row += [last if c in newest else low for c in known]
        row += [last_beside if c in newest else low_beside for c in known]
        shared = torch.tensor([row] * len(mine))
        if number == 1:
            shared[:, 2 + len(known) :] += SAME_BESIDE * torch.eye(len(mine), dtype=torch.int64)
        return Formula(torch.tensor([[here, beside]] * len(mine)), shared)

    def _level_of(self, sums: Tensor) -> Tensor:
        """The fine level of a formula's sums, with the gradient of the law behind the table."""
        level = look_up(self.formula_levels, sums.detach())
        if not sums.requires_grad:
            return level
        smooth = (
            FINE
            * PER_OCTAVE
            * torch.log2(1 + sums.clamp(0, FORMULA_ENTRIES) * (0.12 / UNIT / 0.002))
        )
        return straight_through(level, smooth)

    def steps(
        self, height: int, width: int, device: torch.device | None = None
    ) -> list[CodingStep]:
        first = first_step_mask(height, width, device)
        whole = torch.ones_like(first)
        lowest, *others = (torch.tensor(band, device=device) for band in self.bands)
        return [
            CodingStep(lowest, first),
            CodingStep(lowest, ~first),
            *(CodingStep(band, whole) for band in others),
        ]

    def step(
        self, number: int, before: Tensor, side: Tensor, sent: Tensor, values: Tensor
    ) -> tuple[Tensor | float, Tensor]:
        if AVAILABLE and before.device.type == "cpu" and not torch.is_grad_enabled():
            level, looked = self._look(number, before, sent)
            hidden = self.enter[number](torch.cat((side, looked), 1)).clamp_(0, 255)
            found: Tensor = self.leave[number](hidden).add_(level)
            return 0.0, found.clamp_(0, (LEVELS - 1) * FINE)
        mine, lower = self.bands[max(0, number - 1)], self.known[number]
        own, now = before[:, mine], sent[:, lower].abs()
        activities = torch.cat([before[:, b].sum(1, keepdim=True) for b in self.bands], 1)
        everywhere = activities.sum(1, keepdim=True)
        shared = torch.cat((everywhere, around(everywhere), now, around(now)), 1)
        level = self._level_of(self.formulas[number](own, shared))
        seen = (side, self.compress(activities), (level / 4).floor(), self.compress(own))
        hidden = self.enter[number](torch.cat((*seen, self.compress(now)), 1)).clamp(0, 255)
        fine: Tensor = self.leave[number](hidden) + level
        return 0.0, fine.clamp(0, (LEVELS - 1) * FINE)

    def _look(self, number: int, before: Tensor, sent: Tensor) -> tuple[Tensor, Tensor]:
        """Compiled: the formula's levels, and what the network sees beside the side information."""
        mine, lower = self.bands[max(0, number - 1)], self.known[number]
        formula = self.formulas[number]
        assert isinstance(formula, Formula)
        b, _, h, w = before.shape
        level = before.new_empty(b, len(mine), h, w)
        seen = before.new_empty(b, len(self.bands) + 2 * len(mine) + len(lower), h, w)
        constant = (
            self.band_of,
            np.array(mine, np.int64),
            np.array(lower, np.int64),
            formula.integers(formula.own).numpy(),
            formula.integers(formula.shared).numpy(),
            self.formula_levels.numpy(),
            self.log_magnitudes.numpy(),
        )
        magnitudes = sent.abs()
        for n in range(b):
            frequency_kernel.look(
                before[n].contiguous().numpy(),
                magnitudes[n].contiguous().numpy(),
                *constant,
                level[n].numpy(),
                seen[n].numpy(),
            )
        return level, seen

    def _below(self, band: int) -> list[int]:
        """Channels of all bands below, in their own order."""
        return sorted(channel for lower in self.bands[:band] for channel in lower)

    def check_exact(self) -> None:
        """Raises OverflowError if a trained weight could break exactness on some machine."""
        for layer in (*self.enter, *self.leave):
            assert isinstance(layer, IntegerConv)
            layer.check_exact(max(255, LEVELS * FINE // 4))
