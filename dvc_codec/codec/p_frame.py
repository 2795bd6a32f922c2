"""A P frame, coded: the one loop over network and symbols that training and encoder share, and its
other half, reconstruct().

code_frame(codec, current, state, rate, costs) -> Coded        training and encoder: choose symbols
reconstruct(network, reference, symbols, rate) -> Reference    training, encoder and decoder:
symbols to picture write_frame / read_frame                                       symbols to bytes
and back: integers only
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dvc_codec.entropy.coder import LARGEST, SymbolReader, SymbolWriter, escape_bits
from dvc_codec.entropy.law import LEVELS, bits_of_zero_and_slope
from dvc_codec.entropy.prior import FramePrior, PFramePrior
from dvc_codec.entropy.quantise import choose, with_gradient
from dvc_codec.entropy.scale import first_step_mask, index_of
from dvc_codec.entropy.tables import ALPHABET, REACH, Tables
from dvc_codec.networks.p_frame import Latents, PFrameNetwork, Prediction, Reference
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import TRADE

Cost = Callable[[Tensor], Tensor]  # symbols -> bits of each
CostOf = Callable[[str, Tensor], Cost]  # (plane, fine levels) -> Cost


class PFrameCodec(nn.Module):
    """The P frame's network and its prior: everything that is trained, and stored as one set of
    weights.
    """

    def __init__(
        self, network: PFrameNetwork | None = None, prior: FramePrior | None = None
    ) -> None:
        super().__init__()
        self.network = network or PFrameNetwork()
        self.prior = prior or PFramePrior()
        self.trade = TRADE

    def start(self, picture: Planes) -> "State":
        """The state right after an I frame."""
        b, _, h, w = picture.luma.shape
        return State(self.network.start(picture), self.prior.nothing(b, h, w, picture.luma.device))


@dataclass(frozen=True)
class State:
    """What both sides know before a P frame: decoded pictures, and the last frame's symbol
    magnitudes (``past``).
    """

    reference: Reference
    past: Mapping[str, Tensor]

    def detach(self) -> "State":
        return State(self.reference.detach(), {k: v.detach() for k, v in self.past.items()})


@dataclass(frozen=True)
class Coded:
    """A coded P frame.

    ``bits`` are estimates per plane, (B,); ``fine`` the levels the symbols were coded with.
    """

    state: State
    prediction: Prediction
    symbols: Mapping[str, Tensor]
    bits: Mapping[str, Tensor]
    fine: Mapping[str, Tensor]


def law_costs(_: str, fine: Tensor) -> Cost:
    """Costs under the law itself: what training uses."""
    zero, slope = bits_of_zero_and_slope(fine)
    return lambda symbols: zero + slope * symbols.abs()


def table_costs(prior: FramePrior, tables: Mapping[str, Tables]) -> CostOf:
    """Costs under the tables as they stand: what the encoder uses."""
    lengths = {name: torch.from_numpy(t.lengths()).reshape(-1) for name, t in tables.items()}
    escapes = torch.from_numpy(escape_bits(np.arange(REACH + 1024, dtype=np.float32)))
    offsets = {p.name: torch.tensor(p.groups).view(1, -1, 1, 1) * LEVELS for p in prior.planes}

    def of(name: str, fine: Tensor) -> Cost:
        row = (offsets[name] + index_of(fine)).long() * ALPHABET + REACH
        table = lengths[name]

        def cost(symbols: Tensor) -> Tensor:
            bits = table[row + symbols.clamp(-REACH, REACH).long()]
            if float(symbols.abs().max()) >= REACH:
                bits = bits + escapes[symbols.abs().clamp(max=len(escapes) - 1).long()]
            return bits

        return cost

    return of


def code_frame(
    codec: PFrameCodec, current: Planes, state: State, rate: Tensor, costs: CostOf = law_costs
) -> Coded:
    """Choose the symbols of a P frame and reconstruct it.

    Args:
        current: the picture to code.
        state: after the frame before.
        rate: (B,) rate indices.
        costs: bits of a symbol, for the choice and for ``Coded.bits``.
    """
    network = codec.network
    symbols: dict[str, Tensor] = {}
    bits: dict[str, Tensor] = {}
    fine: dict[str, Tensor] = {}

    def choose_planes(latents: Mapping[str, Latents]) -> None:
        for name, plane in latents.items():
            values, weight = plane.values, plane.weight
            chosen, levels = _choose_in_two_steps(
                codec, name, values, weight, symbols, state.past, costs
            )
            with_grad = with_gradient(chosen, values) if values.requires_grad else chosen
            symbols[name], fine[name] = with_grad, levels
            bits[name] = costs(name, levels)(with_grad).sum((1, 2, 3))

    choose_planes(network.motion_latents(current, state.reference, rate))
    prediction = network.predict(state.reference, symbols, rate)
    choose_planes(network.residual_latents(current, prediction, rate))
    reference = network.finish(state.reference, prediction, symbols, rate)
    past = {name: plane.detach().abs() for name, plane in symbols.items()}
    return Coded(State(reference, past), prediction, symbols, bits, fine)


def reconstruct(
    network: PFrameNetwork, reference: Reference, symbols: Mapping[str, Tensor], rate: Tensor
) -> Reference:
    """The decoder's half of :func:`code_frame`: the same calls, on symbols that were read."""
    return network.finish(reference, network.predict(reference, symbols, rate), symbols, rate)


def _choose_in_two_steps(
    codec: PFrameCodec,
    name: str,
    latents: Tensor,
    weight: Tensor | float,
    now: Mapping[str, Tensor],
    past: Mapping[str, Tensor],
    costs: CostOf,
) -> tuple[Tensor, Tensor]:
    """-> symbols without gradient, and the fine levels they are coded with (with the scale model's
    gradient).
    """
    scale = codec.prior.scale(name)
    side = codec.prior.side(name, now, past).detach()
    mask = first_step_mask(latents.shape[-2], latents.shape[-1], latents.device)
    clipped = latents.detach().clamp(-LARGEST, LARGEST)
    trade = codec.trade * weight
    first = scale.first(past[name], side)
    chosen = choose(clipped, costs(name, first.detach()), trade) * mask
    second = scale.second(past[name], side, chosen.abs())
    rest = choose(clipped, costs(name, second.detach()), trade)
    return torch.where(mask, chosen, rest), torch.where(mask, first, second)


def write_frame(
    prior: FramePrior, tables: Mapping[str, Tables], coded: Coded
) -> tuple[bytes, dict[str, int]]:
    """Entropy-code a frame and adapt the tables.

    -> payload, and bits by plane (to the coder's word).
    """
    writer = SymbolWriter()
    sizes: dict[str, int] = {}
    for plane in prior.planes:
        before = writer.bits()
        symbols = coded.symbols[plane.name][0]
        ids = _table_ids(plane.groups, coded.fine[plane.name][0])
        values = symbols.to(torch.int64).numpy()
        mask = first_step_mask(*symbols.shape[-2:]).numpy()
        for step in (mask, ~mask):
            writer.write(tables[plane.name], ids[:, step].ravel(), values[:, step].ravel())
        tables[plane.name].adapt(ids.ravel(), values.ravel())
        sizes[plane.name] = writer.bits() - before
    return writer.payload(), sizes


def read_frame(
    prior: FramePrior, tables: Mapping[str, Tables], payload: bytes, past: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """The inverse of :func:`write_frame`: symbols of every plane, and the tables adapted.

    Needs no picture.
    """
    reader = SymbolReader(payload)
    now: dict[str, Tensor] = {}
    for plane in prior.planes:
        scale, side = prior.scale(plane.name), prior.side(plane.name, now, past)
        before = past[plane.name]
        mask = first_step_mask(*before.shape[-2:]).numpy()
        values = np.zeros(before.shape[1:], np.int64)
        ids = np.zeros(before.shape[1:], np.int64)
        fine = scale.first(before, side)
        for step in (mask, ~mask):
            if step is not mask:
                fine = scale.second(before, side, torch.from_numpy(np.abs(values)).float()[None])
            ids[:, step] = _table_ids(plane.groups, fine[0])[:, step]
            read = reader.read(tables[plane.name], ids[:, step].ravel())
            values[:, step] = read.reshape(len(values), -1)
        tables[plane.name].adapt(ids.ravel(), values.ravel())
        now[plane.name] = torch.from_numpy(values).float()[None]
    return now


def _table_ids(groups: tuple[int, ...], fine: Tensor) -> NDArray[np.int64]:
    """(C, h, w) fine levels -> table ids."""
    index: NDArray[np.int64] = index_of(fine).numpy().astype(np.int64)
    ids: NDArray[np.int64] = index + np.asarray(groups)[:, None, None] * LEVELS
    return ids
