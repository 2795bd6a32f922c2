"""A P or B frame, coded: the one loop over network and symbols that training and encoder share.

    code_frame(codec, current, state, rate, costs) -> Coded         training: choose symbols
    FrameCoding(codec, current, state, rate, costs) -> Coded        encoder: in several ways
    reconstruct(network, reference, symbols, rate) -> Reference     decoder: symbols to picture

Symbols become bytes, and bytes symbols, in :mod:`dvc_codec.codec.symbols`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.codec.importance import Importance
from dvc_codec.codec.symbols import SymbolWriter, step_width
from dvc_codec.container.records import FrameKind
from dvc_codec.entropy.law import LEVELS, bits_of_zero_and_slope
from dvc_codec.entropy.mixing import ALPHABET, LARGEST, Statistics, escape_bits
from dvc_codec.entropy.mixing_kernel import REACH
from dvc_codec.entropy.prior import BFramePrior, FramePrior, PFramePrior
from dvc_codec.entropy.quantise import choose, choose_lift, with_gradient
from dvc_codec.entropy.scale import CodingStep, index_of
from dvc_codec.errors import WrongVersion
from dvc_codec.networks.interface import LatentsOfPlanes, Network, P, Prediction, R
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes, repeat_border
from dvc_codec.networks.rate import TRADE
from dvc_codec.networks.reference import Between
from dvc_codec.networks.still_filter import StillFilter

NEVER = 1e9  # bits of what cannot be sent
INHERITED = 0.15, 1.0  # of what errors are worth to the encoder: at least, at most


class Cost(Protocol):
    """Bits of symbols: of a whole plane, or of some cells (n,) of the flattened plane."""

    def __call__(self, symbols: Tensor, cells: Tensor | None = None) -> Tensor: ...


class CostOf(Protocol):
    """The costs of a plane's symbols that are coded with these fine levels; ``channels``: which of
    the plane's they are of, None: all.
    """

    def __call__(self, plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost: ...


Quantiser = Literal["rdo", "round", "noise"]


class PFrameCodec(nn.Module):
    """The network and its priors: everything that is trained, and stored as one set of weights.

    Attributes:
        prior: of P frames.
        prior_between: of B frames; None: this codec has none.
        stills: the filter of I frames; None: they stay as their still codec has them.
        quantiser: how latents become symbols. "rdo": by rate and distortion, with ``trade``;
            "round": plainly; "noise": plus uniform noise where a gradient is asked for, plainly
            elsewhere.
    """

    def __init__(
        self,
        network: Network[Any, Any] | None = None,
        prior: FramePrior | None = None,
        quantiser: Quantiser = "rdo",
        prior_between: BFramePrior | None = None,
        stills: StillFilter | None = None,
    ) -> None:
        super().__init__()
        self.network: Network[Any, Any] = network or PFrameNetwork()
        self.prior = prior or PFramePrior()
        self.prior_between = prior_between or (None if prior else BFramePrior())
        self.stills = stills
        self.quantiser = quantiser
        self.trade = TRADE

    def start(self, picture: Planes, size: tuple[int, int] | None = None) -> "State":
        """The state right after an I frame; ``size``: height and width without the padding."""
        height, width = size or picture.luma.shape[-2:]
        nothing = len(picture.luma), height, width, picture.luma.device
        between = self.prior_between.nothing(*nothing) if self.prior_between else {}
        return State(self.network.start(picture), self.prior.nothing(*nothing), between)

    def remember(
        self, kind: FrameKind, sent: Mapping[str, Tensor], between: Mapping[str, Tensor]
    ) -> tuple[Mapping[str, Tensor] | None, Mapping[str, Tensor]]:
        """The pasts of P (None: as it was) and of B frames after a frame that sent this."""
        magnitudes = {name: plane.detach().abs() for name, plane in sent.items()}
        if kind is FrameKind.B:
            return None, magnitudes
        if self.prior_between is not None:
            between = self.prior_between.after_p(between, magnitudes)
        return magnitudes, between

    def bake(self) -> None:
        """Make the priors' weights the integers they stand for. Raises OverflowError as
        ``FramePrior.bake``.
        """
        for prior in self.priors():
            prior.bake()

    def priors(self) -> list[FramePrior]:
        """All there are."""
        return [self.prior, *([self.prior_between] if self.prior_between else [])]

    def prior_of(self, kind: FrameKind) -> FramePrior:
        """Of P or B frames. Raises WrongVersion where this codec has none of them."""
        prior = self.prior if kind is FrameKind.P else self.prior_between
        if prior is None:
            raise WrongVersion(f"a frame of kind {kind.name}: these weights know none")
        return prior


@dataclass(frozen=True)
class State:
    """What both sides know before a frame: decoded pictures, and the magnitudes of what the last
    P frame (``past``) and the last B frame (``between``) sent, see ``BFramePrior.after_p``.
    """

    reference: Any  # the network's own networks.interface.Reference
    past: Mapping[str, Tensor]
    between: Mapping[str, Tensor] = field(default_factory=dict)

    def detach(self) -> "State":
        return replace(self, reference=self.reference.detach())  # magnitudes have no gradient


@dataclass(frozen=True)
class Coded:
    """A coded P or B frame.

    ``symbols`` go into the network; ``sent`` is what differs from their prediction, ``fine`` the
    levels that is coded with, and ``lifts`` how far these were lifted in each of a plane's steps
    (of the first picture).
    ``bits`` are estimates per plane, (B,).
    """

    state: State
    prediction: Prediction
    symbols: Mapping[str, Tensor]
    sent: Mapping[str, Tensor]
    bits: Mapping[str, Tensor]
    fine: Mapping[str, Tensor]
    lifts: Mapping[str, Sequence[int]]


def law_costs(plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost:
    """Costs under the law itself: what training uses."""

    def cost(symbols: Tensor, cells: Tensor | None = None) -> Tensor:
        zero, slope = bits_of_zero_and_slope(fine if cells is None else fine.flatten()[cells])
        return zero + slope * symbols.abs()

    return cost


def noise_costs(plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost:
    """Costs of symbols with uniform noise: the law's probabilities, linear between integers.

    That is the law's histogram seen through the noise. Bits that are linear between integers would
    call 1.2 bits the least that an idle symbol can cost, and teach every level that.
    """

    def cost(symbols: Tensor, cells: Tensor | None = None) -> Tensor:
        zero, slope = bits_of_zero_and_slope(fine if cells is None else fine.flatten()[cells])
        whole = symbols.detach().abs().floor()
        part = symbols.abs() - whole
        return zero + slope * whole - torch.log2(1 - part * (1 - torch.exp2(-slope)))

    return cost


def learned_costs(statistics: Mapping[str, Statistics]) -> CostOf:
    """Costs by what was learned so far of a channel and a scale index: what the encoder uses."""
    lengths = {name: torch.from_numpy(s.lengths()).reshape(-1) for name, s in statistics.items()}
    escapes = torch.from_numpy(escape_bits(np.arange(REACH + 1024, dtype=np.float32)))
    every = {name: torch.arange(len(s.parents)) for name, s in statistics.items()}

    def of(plane: str, fine: Tensor, channels: Tensor | None = None) -> Cost:
        index = index_of(fine)
        table = lengths[plane]
        numbers = every[plane] if channels is None else channels
        area = fine[0, 0].numel()

        def cost(symbols: Tensor, cells: Tensor | None = None) -> Tensor:
            if cells is None:
                here, mine = index, numbers.view(1, -1, 1, 1)
            else:
                here, mine = index.flatten()[cells], numbers[(cells // area) % len(numbers)]
            row = (mine * LEVELS + here) * ALPHABET + REACH
            magnitudes = symbols.abs().long().clamp(max=len(escapes) - 1)
            bits = table[row + symbols.clamp(-REACH, REACH).long()] + escapes[magnitudes]
            return torch.where(here == 0, symbols.abs() * NEVER, bits)

        return cost

    return of


def code_frame(
    codec: PFrameCodec,
    current: Planes,
    state: State,
    rate: Tensor,
    costs: CostOf = law_costs,
    *,
    importance: Importance | None = None,
) -> Coded:
    """Choose the symbols of a P or B frame and reconstruct it: :class:`FrameCoding` in one go."""
    coding = FrameCoding(codec, current, state, rate, costs, importance=importance)
    return coding.finish(coding.choose())


@dataclass(frozen=True)
class Choice:
    """Symbols of a frame; what is not explained here as in :class:`Coded`.

    Attributes:
        size: bits, where there is a writer.
        errors: what squared errors of the residual are worth, in bits, likewise.
        width: of the steps of motion.
        writer: wrote them.
    """

    prediction: Prediction
    symbols: Mapping[str, Tensor]
    sent: Mapping[str, Tensor]
    bits: Mapping[str, Tensor]
    fine: Mapping[str, Tensor]
    lifts: Mapping[str, Sequence[int]]
    size: float
    errors: float
    width: int
    writer: SymbolWriter | None

    def better(self, other: "Choice") -> bool:
        """Whether this one is cheaper, be its errors what frames after it inherit or what they
        make good anyway.
        """
        return all(
            self.size + share * self.errors < other.size + share * other.errors
            for share in INHERITED
        )


class FrameCoding:
    """A P or B frame while it is coded. Symbols can be chosen in several ways before it is
    reconstructed from those of one.

    Args:
        codec: codes it.
        current: the picture to code.
        state: after the frame before.
        rate: (B,) rate indices.
        costs: bits of a symbol, for the choice and for ``Coded.bits``.
        importance: of errors; all the same by default.
    """

    def __init__(
        self,
        codec: PFrameCodec,
        current: Planes,
        state: State,
        rate: Tensor,
        costs: CostOf = law_costs,
        *,
        importance: Importance | None = None,
    ) -> None:
        self._codec, self._current, self._state, self._rate = codec, current, state, rate
        self._costs, self._importance = costs, importance
        self.kind = FrameKind.B if isinstance(state.reference, Between) else FrameKind.P
        self._prior = codec.prior_of(self.kind)
        self._known = state.between if self.kind is FrameKind.B else state.past
        self._motion = codec.network.motion_latents(current, state.reference, rate)

    def choose(self, width: int = 0, writer: SymbolWriter | None = None) -> Choice:
        """Choose symbols.

        Args:
            width: of the steps of motion, see :func:`.symbols.step_width`.
            writer: writes them, and chooses them by what they cost it, as far as rate and
                distortion are to choose them at all: ``costs`` are for lifts then, and nobody
                fills in ``Coded.bits``.
        """
        choosing = _Choosing(
            self._codec, self._prior, self._known, self._costs, self._importance, width, writer
        )
        choosing.planes(self._motion)
        network, rate = self._codec.network, self._rate
        prediction = network.predict(self._state.reference, choosing.symbols, rate)
        choosing.spent = 0.0  # errors of motion matter by what is left to send
        choosing.planes(network.residual_latents(self._current, prediction, rate))
        return Choice(
            prediction,
            choosing.symbols,
            choosing.sent,
            choosing.bits,
            choosing.fine,
            choosing.lifts,
            writer.bits() if writer else 0.0,
            choosing.spent,
            width,
            writer,
        )

    def finish(self, choice: Choice) -> Coded:
        """Reconstruct it."""
        state, codec = self._state, self._codec
        first = self._prior.planes[0]
        rows, columns = self._known[first.name].shape[-2:]
        covered = rows * first.stride, columns * first.stride
        reference = finish(
            codec.network, state.reference, choice.prediction, choice.symbols, self._rate, covered
        )
        past, between = codec.remember(self.kind, choice.sent, state.between)
        after = State(reference, state.past if past is None else past, between)
        return Coded(
            after,
            choice.prediction,
            choice.symbols,
            choice.sent,
            choice.bits,
            choice.fine,
            choice.lifts,
        )


def reconstruct(
    network: Network[R, Any],
    reference: R,
    symbols: Mapping[str, Tensor],
    rate: Tensor,
    covered: tuple[int, int],
) -> R:
    """The decoder's half of :func:`code_frame`: the same calls, on symbols that were read.

    ``covered``: height and width that the planes cover, see ``FramePrior.covered``.
    """
    return finish(
        network, reference, network.predict(reference, symbols, rate), symbols, rate, covered
    )


def finish(
    network: Network[R, P],
    reference: R,
    prediction: P,
    symbols: Mapping[str, Tensor],
    rate: Tensor,
    covered: tuple[int, int],
) -> R:
    """From the prediction to the next reference, whose picture goes on beyond what is covered by
    symbols as a padded source does.
    """
    done = network.finish(reference, prediction, symbols, rate)
    picture = repeat_border(done.picture, *covered)
    return cast(R, replace(cast(Any, done), picture=picture))


class _Choosing:
    """The symbols of one frame, plane by plane; arguments as of :class:`FrameCoding`.

    Attributes:
        symbols, sent, bits, fine, lifts: as of :class:`Coded`, of the planes so far.
        spent: what squared errors cost so far, in bits, where a writer is there.
    """

    def __init__(
        self,
        codec: PFrameCodec,
        prior: FramePrior,
        known: Mapping[str, Tensor],
        costs: CostOf,
        importance: Importance | None,
        width: int,
        writer: SymbolWriter | None,
    ) -> None:
        self._codec, self._prior, self._known = codec, prior, known
        self._costs, self._importance, self._writer = costs, importance, writer
        self._lifting = {plane.name for plane in prior.planes if plane.lifts}
        self._width = {plane.name: step_width(width) for plane in prior.planes if plane.scaled}
        self.symbols: dict[str, Tensor] = {}
        self.sent: dict[str, Tensor] = {}
        self.bits: dict[str, Tensor] = {}
        self.fine: dict[str, Tensor] = {}
        self.lifts: dict[str, list[int]] = {}
        self.spent = 0.0

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
            if values.requires_grad and self._codec.quantiser == "rdo":
                self.sent[name] = with_gradient(chosen, values)
            elif values.requires_grad:
                self.sent[name] = chosen + (values - values.detach())
                cost = noise_costs(name, levels) if self._codec.quantiser == "noise" else cost
            beyond = (0, whole.shape[-1] - columns, 0, whole.shape[-2] - rows)
            self.symbols[name] = F.pad((mean + self.sent[name]) * width, beyond)
            if not self._writer:
                self.bits[name] = cost(self.sent[name]).sum((1, 2, 3))

    def _choose(self, name: str, latents: Tensor, weight: Tensor | float) -> Tensor:
        """Fill in what is sent of a plane (without gradient), the fine levels it is coded with
        (with the scale model's gradient), and how far they were lifted in each step. ->
        predictions (without gradient).
        """
        scale, before = self._prior.scale(name), self._known[name]
        height, columns = latents.shape[-2:]
        side = self._prior.side(name, self.sent, self._known)
        wanted, trade = latents.detach(), self._codec.trade * weight
        sent = torch.zeros_like(wanted)
        means, fine = torch.zeros_like(wanted), torch.zeros_like(wanted)
        self.lifts[name] = []
        if self._writer:
            self._writer.begin(name)
        for number, part in enumerate(scale.steps(height, columns, latents.device)):
            mean, levels = scale.step(number, before, side, sent, means + sent)
            left = (part.of(wanted) - mean).clamp(-LARGEST, LARGEST)
            its = part.of(trade) if isinstance(trade, Tensor) else trade
            if latents.requires_grad and self._codec.quantiser == "noise":
                chosen, lift = left + torch.rand_like(left) - 0.5, 0
            elif self._codec.quantiser == "rdo":
                chosen, levels, lift = self._by_rate(name, left, levels, part, its)
            else:  # at the lowest scale nothing is sent
                chosen, lift = left.round() * (index_of(levels) > 0), 0
            if self._writer:
                rdo = self._codec.quantiser == "rdo"
                chosen = self._writer.step(
                    number, part, levels, lift, left if rdo else chosen, its if rdo else None
                )
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
        if self._writer:
            return left, levels, lift  # it chooses
        return choose(left, cost(levels), trade), levels, lift
