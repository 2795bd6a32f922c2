"""A P or B frame, coded: the one loop over network and symbols that training and encoder share.

    code_frame(codec, current, state, rate, costs) -> Coded     training, encoder: choose symbols
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
from dvc_codec.container.records import FrameKind
from dvc_codec.entropy.law import LEVELS, bits_of_zero_and_slope
from dvc_codec.entropy.mixing import ALPHABET, LARGEST, Statistics, escape_bits
from dvc_codec.entropy.mixing_kernel import REACH
from dvc_codec.entropy.prior import BFramePrior, FramePrior, PFramePrior
from dvc_codec.entropy.quantise import choose, choose_lift, with_gradient
from dvc_codec.entropy.scale import CodingStep, ScaleModel, index_of
from dvc_codec.errors import WrongVersion
from dvc_codec.networks.interface import LatentsOfPlanes, Network, P, Prediction, R
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes, repeat_border
from dvc_codec.networks.rate import TRADE
from dvc_codec.networks.reference import Between
from dvc_codec.networks.still_filter import StillFilter

NEVER = 1e9  # bits of what cannot be sent


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
    estimate: bool = True,
) -> Coded:
    """Choose the symbols of a P or B frame and reconstruct it.

    Args:
        current: the picture to code.
        state: after the frame before.
        rate: (B,) rate indices.
        costs: bits of a symbol, for the choice and for ``Coded.bits``.
        importance: of errors; all the same by default.
        estimate: fill in ``Coded.bits``; an encoder that counts real bytes can do without.
    """
    network = codec.network
    kind = FrameKind.B if isinstance(state.reference, Between) else FrameKind.P
    prior = codec.prior_of(kind)
    known = state.between if kind is FrameKind.B else state.past
    symbols: dict[str, Tensor] = {}
    sent: dict[str, Tensor] = {}
    bits: dict[str, Tensor] = {}
    fine: dict[str, Tensor] = {}
    lifts: dict[str, list[int]] = {}
    lifting = {plane.name for plane in prior.planes if plane.lifts}

    def choose_planes(latents: LatentsOfPlanes) -> None:
        for name, given in latents.items():
            plane = given(symbols) if callable(given) else given
            whole = plane.values
            before = known[name]
            rows, columns = before.shape[-2:]  # the padding beyond is not coded
            values = whole[..., :rows, :columns]
            weight = plane.weight * (importance.of(name, values.device) if importance else 1.0)
            if isinstance(weight, Tensor):
                weight = weight[..., :rows, :columns]
            side = prior.side(name, sent, known)
            mean, chosen, levels, lifts[name] = _choose_in_steps(
                codec, prior.scale(name), name, values, weight, side, before, costs, name in lifting
            )
            with_grad, cost = chosen, costs(name, levels)
            if values.requires_grad and codec.quantiser == "rdo":
                with_grad = with_gradient(chosen, values)
            elif values.requires_grad:
                with_grad = chosen + (values - values.detach())
                cost = noise_costs(name, levels) if codec.quantiser == "noise" else cost
            beyond = (0, whole.shape[-1] - columns, 0, whole.shape[-2] - rows)
            symbols[name] = F.pad(mean + with_grad, beyond)
            sent[name], fine[name] = with_grad, levels
            if estimate:
                bits[name] = cost(with_grad).sum((1, 2, 3))

    choose_planes(network.motion_latents(current, state.reference, rate))
    prediction = network.predict(state.reference, symbols, rate)
    choose_planes(network.residual_latents(current, prediction, rate))
    first = prior.planes[0]
    rows, columns = known[first.name].shape[-2:]
    covered = rows * first.stride, columns * first.stride
    reference = finish(network, state.reference, prediction, symbols, rate, covered)
    past, between = codec.remember(kind, sent, state.between)
    after = State(reference, state.past if past is None else past, between)
    return Coded(after, prediction, symbols, sent, bits, fine, lifts)


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


def _choose_in_steps(
    codec: PFrameCodec,
    scale: ScaleModel,
    name: str,
    latents: Tensor,
    weight: Tensor | float,
    side: Tensor,
    before: Tensor,
    costs: CostOf,
    lifting: bool,
) -> tuple[Tensor, Tensor, Tensor, list[int]]:
    """-> predictions, what is sent (both without gradient), the fine levels it is coded with (with
    the scale model's gradient), and how far they were lifted in each step.

    ``lifting``: whether they may be. Where a gradient is asked for they are not, so that the scale
    model learns to do without.
    """
    wanted = latents.detach()

    def quantise(left: Tensor, levels: Tensor, part: CodingStep) -> tuple[Tensor, Tensor, int]:
        if codec.quantiser == "rdo":
            trade = codec.trade * (part.of(weight) if isinstance(weight, Tensor) else weight)

            def cost(levels: Tensor) -> Cost:
                return costs(name, levels.detach(), part.channels)

            if lifting and not torch.is_grad_enabled():
                trades = torch.as_tensor(trade).expand_as(left)
                each = zip(left.split(1), levels.split(1), trades.split(1), strict=True)
                found = [choose_lift(one, its, part.cells, cost, trade) for one, its, trade in each]
                symbols, raised, each_lift = zip(*found, strict=True)
                return torch.cat(symbols), torch.cat(raised), each_lift[0]
            return choose(left, cost(levels), trade), levels, 0
        if codec.quantiser == "noise" and latents.requires_grad:
            return left + torch.rand_like(left) - 0.5, levels, 0
        # at the lowest scale nothing is sent
        return left.round() * (index_of(levels) > 0), levels, 0

    sent = torch.zeros_like(wanted)
    means, fine = torch.zeros_like(wanted), torch.zeros_like(wanted)
    height, width = latents.shape[-2:]
    lifts = []
    for number, part in enumerate(scale.steps(height, width, latents.device)):
        mean, levels = scale.step(number, before, side, sent, means + sent)
        left = (part.of(wanted) - mean).clamp(-LARGEST, LARGEST)
        chosen, levels, lift = quantise(left, levels, part)
        lifts.append(lift)
        sent = part.put(sent, chosen)
        if isinstance(mean, Tensor):
            means = part.put(means, mean)
        fine = part.put(fine, levels)
    return means, sent, fine, lifts
