"""Symbols to bytes and back: integers only, the same on any machine, with no picture at hand.

collected = collect(prior, sent, levels, lifts)  in order
data, sizes = write(tables, collected)           the payload of a frame
tables = adapt(tables, collected)                the next frame's tables
symbols, sent, tables, lifts = read(prior, tables, data, past)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.entropy.coder import Integers, SymbolReader, SymbolWriter
from dvc_codec.entropy.law import LEVELS
from dvc_codec.entropy.prior import FramePrior, Plane
from dvc_codec.entropy.scale import ScaleModel, index_of, lifted
from dvc_codec.entropy.tables import Tables
from dvc_codec.networks.planes import GRID


class Step(NamedTuple):
    """What the coder codes at once."""

    ids: Integers  # of tables, (n,)
    values: Integers  # symbols, (n,)
    lift: int | None  # how far levels were lifted; None: of this plane they never are


Collected = Mapping[str, Sequence[Step]]  # plane -> its coding steps


def collect(
    prior: FramePrior,
    sent: Mapping[str, Tensor],
    levels: Mapping[str, Tensor],
    lifts: Mapping[str, Sequence[int]],
) -> Collected:
    """What is sent and the fine levels it is coded with, (1, C, h, w) each, and how far these were
    lifted in each step of the planes where they may be, as lists for the coder.

    A symbol of scale index 0 is not sent, and must be zero.
    """

    def step(plane: Plane, part: Part, number: int) -> Step:
        ids = _table_ids(plane, levels[plane.name].flatten(2)[0, part.channels], part)
        values = _cells(sent[plane.name].to(torch.int64).flatten(2)[0, part.channels], part)
        coded = ids >= 0
        lift = lifts[plane.name][number] if plane.lifts else None
        return Step(ids[coded], values[coded], lift)

    return {
        plane.name: [
            step(plane, part, number)
            for number, part in enumerate(_steps(prior.scale(plane.name), plane_sent))
        ]
        for plane in prior.planes
        for plane_sent in [sent[plane.name]]
    }


def write(tables: Mapping[str, Tables], collected: Collected) -> tuple[bytes, dict[str, int]]:
    """-> the payload, and bits by plane (to the coder's word)."""
    writer = SymbolWriter()
    sizes: dict[str, int] = {}
    for name, steps in collected.items():
        before = writer.bits()
        for step in steps:
            if step.lift is not None:
                writer.write_lift(step.lift)
            writer.write(tables[name], step.ids, step.values)
        sizes[name] = writer.bits() - before
    return writer.payload(), sizes


def adapt(tables: Mapping[str, Tables], collected: Collected) -> dict[str, Tables]:
    """The tables after a frame."""
    adapted = dict(tables)
    for name, steps in collected.items():
        for step in steps:
            adapted[name] = adapted[name].adapt(step.ids, step.values)
    return adapted


def read(
    prior: FramePrior, tables: Mapping[str, Tables], payload: bytes, past: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tables], dict[str, list[int]]]:
    """The inverse of collect, write and adapt.

    Args:
        prior: of the model that wrote the payload.
        tables: as they were before the frame.
        payload: of :func:`write`.
        past: magnitudes of what the last frame sent, (1, C, h, w) per plane.

    Returns:
        Symbols per plane (1, C, h, w), padded with zeros as the networks' pictures are; what was
        sent of them; the tables after the frame; and how far each step's levels were lifted.

    Raises:
        DamagedFile: where the coder notices that nobody wrote this.
    """
    reader = SymbolReader(payload)
    found: dict[str, Tensor] = {}
    now: dict[str, Tensor] = {}
    lifts: dict[str, list[int]] = {}
    adapted = dict(tables)
    for plane in prior.planes:
        name = plane.name
        scale, side, before = prior.scale(name), prior.side(name, now, past), past[name]
        sent = before.new_zeros(before.shape)
        values = before.new_zeros(before.shape) if plane.smooth else sent  # nothing is predicted
        steps: list[Step] = []
        for number, part in enumerate(_steps(scale, before)):
            mean, levels = scale.step(number, before, side, sent, values)
            lift = reader.read_lift() if plane.lifts else None
            levels = lifted(levels, lift or 0)
            ids = _table_ids(plane, levels[0].flatten(1), part)
            coded = ids >= 0
            decoded = np.zeros(len(ids), np.int64)
            decoded[coded] = reader.read(tables[name], ids[coded])
            steps.append(Step(ids[coded], decoded[coded], lift))
            new = decoded.reshape(len(part.channels), -1)
            _put(sent, part, new)
            if isinstance(mean, Tensor):
                _put(values, part, new + mean[0].flatten(1).numpy()[:, part.cells])
        for step in steps:
            adapted[name] = adapted[name].adapt(step.ids, step.values)
        now[name], lifts[name] = sent, [step.lift or 0 for step in steps]
        beyond = [-cells * plane.stride % GRID // plane.stride for cells in values.shape[-2:]]
        found[name] = F.pad(values, (0, beyond[1], 0, beyond[0]))
    return found, now, adapted, lifts


@dataclass(frozen=True)
class Part:
    """A coding step: numbers of its channels, and of its cells row by row."""

    channels: Integers
    cells: Integers


def _steps(scale: ScaleModel, plane: Tensor) -> list[Part]:
    """The coding steps of a plane of this shape."""
    everything = np.arange(plane.shape[1])
    return [
        Part(
            everything if step.channels is None else step.channels.numpy(),
            np.flatnonzero(step.cells.flatten().numpy()),
        )
        for step in scale.steps(*plane.shape[-2:])
    ]


def _put(plane: Tensor, part: Part, new: NDArray[Any]) -> None:
    """Set the part's cells of a plane (1, C, h, w) to ``new`` (channels, cells)."""
    flat = plane.numpy().reshape(plane.shape[1], -1)
    if new.shape[1] == flat.shape[1]:
        flat[part.channels] = new
    else:
        flat[part.channels[:, None], part.cells] = new


def _cells(plane: Tensor, part: Part) -> Integers:
    """The part's cells of a plane of its channels (n, h * w), channel by channel."""
    flat: NDArray[np.int64] = plane.numpy()
    return flat.take(part.cells, axis=1).ravel()


def _table_ids(plane: Plane, levels: Tensor, part: Part) -> Integers:
    """Table id of every symbol of a part, channel by channel; -1 where it is not sent.

    ``levels``: fine levels of the part's channels, (n, h * w).
    """
    index: NDArray[np.uint8] = index_of(levels).numpy()
    rows = np.asarray(plane.groups, np.int64)[part.channels, None] * LEVELS
    chosen = index.take(part.cells, axis=1)
    ids: Integers = np.where(chosen > 0, chosen + rows, -1).ravel()
    return ids
