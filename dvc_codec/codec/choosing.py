"""The symbols of a P or B frame, chosen plane by plane and step by step as the scale models and the
entropy coder go.
"""

from collections.abc import Mapping
from copy import copy
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec.costs import Cost, CostOf, noise_costs
from dvc_codec.codec.importance import Importance
from dvc_codec.codec.symbols import SymbolWriter, step_width
from dvc_codec.entropy.mixing import LARGEST
from dvc_codec.entropy.prior import FramePrior
from dvc_codec.entropy.quantise import choose, choose_lift, with_gradient
from dvc_codec.entropy.scale import CodingStep, index_of
from dvc_codec.networks.interface import LatentsOfPlanes

Quantiser = Literal["rdo", "round", "noise"]


class Choosing:
    """The symbols of one frame.

    Args:
        quantiser, trade: of the codec.
        prior: of the frame's kind.
        known: magnitudes of what the last frame sent.
        costs, importance, width, writer: see :class:`.p_frame.FrameCoding`.

    Attributes:
        symbols, sent, bits, fine, lifts: see :class:`.p_frame.Coded`; of the planes so far.
        spent: what squared errors cost so far, in bits, where a writer is there.
        writer: has written them.
    """

    def __init__(
        self,
        quantiser: Quantiser,
        trade: float,
        prior: FramePrior,
        known: Mapping[str, Tensor],
        costs: CostOf,
        importance: Importance | None,
        width: int,
        writer: SymbolWriter | None,
    ) -> None:
        self._quantiser, self._trade = quantiser, trade
        self._prior, self._known = prior, known
        self._costs, self._importance, self.writer = costs, importance, writer
        self._lifting = {plane.name for plane in prior.planes if plane.lifts}
        self._width = {plane.name: step_width(width) for plane in prior.planes if plane.scaled}
        self.symbols: dict[str, Tensor] = {}
        self.sent: dict[str, Tensor] = {}
        self.bits: dict[str, Tensor] = {}
        self.fine: dict[str, Tensor] = {}
        self.lifts: dict[str, list[int]] = {}
        self.spent = 0.0

    def copy(self) -> "Choosing":
        """One that goes on from here, with nothing spent yet."""
        other = copy(self)
        other.symbols, other.sent, other.bits = dict(self.symbols), dict(self.sent), dict(self.bits)
        other.fine, other.lifts = dict(self.fine), dict(self.lifts)
        other.writer, other.spent = self.writer and self.writer.copy(), 0.0
        return other

    def planes(self, latents: LatentsOfPlanes) -> None:
        """Choose the symbols of some more planes."""
        for name, given in latents.items():
            plane = given(self.symbols) if callable(given) else given
            whole, width = plane.values, self._width.get(name, 1.0)
            rows, columns = self._known[name].shape[-2:]  # the padding beyond is not coded
            values = whole[..., :rows, :columns] / width
            weight = plane.weight
            if self._importance:
                weight = weight * self._importance.of(name, values.device)
            if isinstance(weight, Tensor):
                weight = weight[..., :rows, :columns]
            mean = self._choose(name, values, weight)
            chosen, levels = self.sent[name], self.fine[name]
            cost = self._costs(name, levels)
            if values.requires_grad and self._quantiser == "rdo":
                self.sent[name] = with_gradient(chosen, values)
            elif values.requires_grad:
                self.sent[name] = chosen + (values - values.detach())
                cost = noise_costs(name, levels) if self._quantiser == "noise" else cost
            beyond = (0, whole.shape[-1] - columns, 0, whole.shape[-2] - rows)
            self.symbols[name] = F.pad((mean + self.sent[name]) * width, beyond)
            if not self.writer:
                self.bits[name] = cost(self.sent[name]).sum((1, 2, 3))

    def _choose(self, name: str, latents: Tensor, weight: Tensor | float) -> Tensor:
        """Fill in what is sent of a plane (without gradient), the fine levels it is coded with
        (with the scale model's gradient), and how far they were lifted in each step. ->
        predictions (without gradient).
        """
        scale, before = self._prior.scale(name), self._known[name]
        height, columns = latents.shape[-2:]
        side = self._prior.side(name, self.sent, self._known)
        wanted, trade = latents.detach(), self._trade * weight
        sent = torch.zeros_like(wanted)
        means, fine = torch.zeros_like(wanted), torch.zeros_like(wanted)
        self.lifts[name] = []
        if self.writer:
            self.writer.begin(name)
        for number, part in enumerate(scale.steps(height, columns, latents.device)):
            mean, levels = scale.step(number, before, side, sent, means + sent)
            left = (part.of(wanted) - mean).clamp(-LARGEST, LARGEST)
            its = part.of(trade) if isinstance(trade, Tensor) else trade
            lift = 0
            if self._quantiser == "rdo":
                chosen, levels, lift = self._by_rate(name, left, levels, part, its)
            elif self._quantiser == "noise" and latents.requires_grad:
                chosen = left + torch.rand_like(left) - 0.5
            else:  # at the lowest scale nothing is sent
                chosen = left.round() * (index_of(levels) > 0)
            if self.writer:
                given = (left, its) if self._quantiser == "rdo" else (chosen,)
                chosen = self.writer.step(number, part, levels, lift, *given)
                self.spent += float((its * (left - chosen) ** 2 * part.cells).sum())
            self.lifts[name].append(lift)
            sent = part.put(sent, chosen)
            if isinstance(mean, Tensor):
                means = part.put(means, mean)
            fine = part.put(fine, levels)
        self.sent[name], self.fine[name] = sent, fine
        return means

    def _by_rate(
        self, name: str, left: Tensor, levels: Tensor, part: CodingStep, trade: Tensor | float
    ) -> tuple[Tensor, Tensor, int]:
        """-> symbols of a step by rate and distortion, its levels, lifted, and how far.

        Where a gradient is asked for they are not lifted, so that the scale model learns to do
        without.
        """

        def cost(levels: Tensor) -> Cost:
            return self._costs(name, levels.detach(), part.channels)

        lift = 0
        if name in self._lifting and not torch.is_grad_enabled():
            trades = torch.as_tensor(trade).expand_as(left)
            each = zip(left.split(1), levels.split(1), trades.split(1), strict=True)
            found = [choose_lift(one, its, part.cells, cost, trade) for one, its, trade in each]
            levels, lift = torch.cat([raised for raised, _ in found]), found[0][1]
        if self.writer:
            return left, levels, lift  # it chooses
        return choose(left, cost(levels), trade), levels, lift
