"""Symbols to bytes and back: integers only, the same on any machine, with no picture at hand.

payload, sizes, statistics = write(prior, statistics, sent, levels, lifts, past, width)
symbols, sent, statistics, lifts = read(prior, statistics, payload, past)

Both give the next frame's statistics beside what they are asked for; those given stay as they were.
"""

from collections.abc import Mapping, Sequence
from copy import copy

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.container import FrameKind
from dvc_codec.entropy.mixing import WIDTHS, FrameReader, FrameWriter, PlaneCoder, Statistics, Step
from dvc_codec.entropy.prior import FramePrior
from dvc_codec.entropy.scale import CodingStep, lifted
from dvc_codec.networks.planes import GRID

# half octaves, as floats that are the same everywhere
WIDTHS_OF_STEPS = (0.5, 0.70703125, 1.0, 1.4140625, 2.0)

StatisticsOfPlanes = dict[str, Statistics]
StatisticsOfKinds = Mapping[FrameKind, StatisticsOfPlanes]


def write(
    prior: FramePrior,
    statistics: Mapping[str, Statistics],
    sent: Mapping[str, Tensor],
    levels: Mapping[str, Tensor],
    lifts: Mapping[str, Sequence[int]],
    past: Mapping[str, Tensor],
    width: int = 0,
) -> tuple[bytes, dict[str, int], StatisticsOfPlanes]:
    """A frame's payload.

    Args:
        prior: of the model.
        statistics: as the frames before left them.
        sent: what is sent, (1, C, h, w) per plane. A symbol of scale index 0 is not, and must be
            zero.
        levels: the fine levels it is coded with, likewise.
        lifts: how far these were lifted in each step of the planes where they may be.
        past: magnitudes of what the last frame sent, likewise.
        width: of the steps of planes that are scaled, -WIDTHS to WIDTHS.

    Returns:
        The payload, bits by plane, rounded, and the statistics after the frame.
    """
    writer = SymbolWriter(prior, statistics, past, width)
    for plane in prior.planes:
        name, given, fine = plane.name, sent[plane.name], levels[plane.name]
        writer.begin(name, given)
        for number, part in enumerate(prior.scale(name).steps(*fine.shape[-2:])):
            lift = lifts[name][number] if plane.lifts else 0
            writer.step(number, part, part.of(fine), lift)
    return writer.end()


class SymbolWriter:
    """Writes a frame's payload plane by plane, in the prior's order, and step by step; and chooses
    the symbols, where it is not given them, by what the coder that has come so far makes each cost.

    Args:
        prior, statistics, past, width: as of :func:`write`.
    """

    def __init__(
        self,
        prior: FramePrior,
        statistics: Mapping[str, Statistics],
        past: Mapping[str, Tensor],
        width: int = 0,
    ) -> None:
        self._left, self._statistics, self._past = prior.planes, statistics, past
        self.width = width
        self._writer = FrameWriter()
        self._sizes: dict[str, int] = {}
        self._after: StatisticsOfPlanes = {}
        self._written = 0

    def begin(self, name: str, sent: Tensor | None = None) -> None:
        """The next plane; ``sent``: its symbols (1, C, h, w), if they are not to be chosen."""
        self._end_plane()
        self._plane, *left = self._left
        self._left = tuple(left)
        assert self._plane.name == name, "planes are written in the prior's order"
        if self._plane.says:
            self._writer.write_width(self.width)
        self._after[name] = self._statistics[name].copy()
        past = self._past[name]
        symbols = np.zeros(past.shape[1:], np.float32) if sent is None else _numbers(sent)
        self._coder = PlaneCoder(self._after[name], symbols, _numbers(past))

    def step(
        self,
        number: int,
        part: CodingStep,
        levels: Tensor,
        lift: int,
        symbols: Tensor | None = None,
        trade: Tensor | float | None = None,
    ) -> Tensor:
        """The plane's next step.

        Args:
            number: of the step.
            part: where its symbols are.
            levels: the fine levels of its channels, (1, m, h, w), lifted so far.
            symbols: of the step, likewise, or with a ``trade`` what they are to be chosen for, in
                quantiser steps. None: the plane's are known already.
            trade: bits that a squared error of one step is worth, one or broadcast against these.

        Returns:
            The step's symbols, likewise.
        """
        if self._plane.lifts:
            self._writer.write_lift(lift)
        channels = _channels(part, self._plane.channels)
        step = Step(number, channels, part.cells.numpy(), _numbers(levels))
        sent = torch.from_numpy(self._coder.sent[None])
        if trade is not None and symbols is not None:
            trades = torch.as_tensor(trade, dtype=torch.float32).expand_as(symbols)
            chosen = (plane[0].float().contiguous().numpy() for plane in (symbols, trades))
            step = Step(*step[:4], *chosen)
        elif symbols is not None:
            sent.copy_(part.put(sent, symbols))
        self._writer.write(self._coder, step)
        return part.of(sent)

    def bits(self) -> float:
        """Written so far."""
        return self._writer.bits()

    def copy(self) -> "SymbolWriter":
        """One that goes on from here, between two planes."""
        other = copy(self)
        other._writer = self._writer.copy()
        other._sizes, other._after = dict(self._sizes), dict(self._after)
        return other

    def end(self) -> tuple[bytes, dict[str, int], StatisticsOfPlanes]:
        """What :func:`write` returns."""
        self._end_plane()
        assert not self._left, "every plane is written"
        return self._writer.payload(), self._sizes, self._after

    def _end_plane(self) -> None:
        if self._after:
            written = round(self._writer.bits())
            self._sizes[self._plane.name] = written - self._written
            self._written = written


@torch.no_grad()
def read(
    prior: FramePrior,
    statistics: Mapping[str, Statistics],
    payload: bytes,
    past: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor], StatisticsOfPlanes, dict[str, list[int]]]:
    """The inverse of :func:`write`.

    Args:
        prior: of the model that wrote the payload.
        statistics: as they were before the frame.
        payload: of :func:`write`.
        past: magnitudes of what the last frame sent, (1, C, h, w) per plane.

    Returns:
        Symbols per plane (1, C, h, w) in the network's own steps, padded with zeros as its
        pictures are; what was sent of them; the statistics after the frame; and how far each
        step's levels were lifted.

    Raises:
        DamagedFile: where it is not the payload that a writer of these symbols ends with.
    """
    reader = FrameReader(payload)
    found: dict[str, Tensor] = {}
    now: dict[str, Tensor] = {}
    lifts: dict[str, list[int]] = {}
    after: StatisticsOfPlanes = {}
    width = 0
    for plane in prior.planes:
        name = plane.name
        width = reader.read_width() if plane.says else width
        scale, side, before = prior.scale(name), prior.side(name, now, past), past[name]
        sent = before.new_zeros(before.shape)
        values = before.new_zeros(before.shape) if plane.smooth else sent  # nothing is predicted
        after[name] = statistics[name].copy()
        coder = PlaneCoder(after[name], sent[0].numpy(), _numbers(before))
        lifts[name] = []
        for number, part in enumerate(scale.steps(*before.shape[-2:])):
            mean, levels = scale.step(number, before, side, sent, values)
            lift = reader.read_lift() if plane.lifts else 0
            lifts[name].append(lift)
            fine = _numbers(lifted(levels, lift))
            channels = _channels(part, plane.channels)
            reader.read(coder, Step(number, channels, part.cells.numpy(), fine))
            if isinstance(mean, Tensor):
                values = part.put(values, part.of(sent) + mean)
        now[name] = sent
        beyond = [-cells * plane.stride % GRID // plane.stride for cells in values.shape[-2:]]
        values = values * step_width(width) if plane.scaled else values
        found[name] = F.pad(values, (0, beyond[1], 0, beyond[0]))
    reader.end()
    return found, now, after, lifts


def step_width(width: int) -> float:
    """How much wider than the network's own the steps of a plane are that is scaled so."""
    return WIDTHS_OF_STEPS[width + WIDTHS]


def _numbers(plane: Tensor) -> NDArray[np.float32]:
    """(1, C, h, w) -> (C, h, w), laid out so: whole numbers, where gradients left the last bits
    of them undone too.
    """
    numbers: NDArray[np.float32] = plane[0].detach().float().round().contiguous().numpy()
    return numbers


def _channels(part: CodingStep, channels: int) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = (
        np.arange(channels) if part.channels is None else part.channels.numpy()
    )
    return numbers
