"""Symbols to bytes and back: integers only, the same on any machine, with no picture at hand.

collected = collect(prior, symbols, levels)      what is sent, in order
data, sizes = write(tables, collected)           the payload of a frame
tables = adapt(tables, collected)                the next frame's tables
symbols, tables = read(prior, tables, data, past)
"""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.entropy.coder import Integers, SymbolReader, SymbolWriter
from dvc_codec.entropy.law import LEVELS
from dvc_codec.entropy.prior import FramePrior, Plane
from dvc_codec.entropy.scale import first_step_mask, index_of
from dvc_codec.entropy.tables import Tables

Step = tuple[Integers, Integers]  # table ids and symbols, each (n,)
Collected = Mapping[str, tuple[Step, Step]]  # plane -> its two coding steps


def collect(
    prior: FramePrior, symbols: Mapping[str, Tensor], levels: Mapping[str, Tensor]
) -> Collected:
    """Symbols and the fine levels they are coded with, (1, C, h, w) each, as lists for the coder.

    A symbol of scale index 0 is not sent, and must be zero.
    """

    def step(plane: Plane, cells: Integers) -> Step:
        ids = _table_ids(plane, levels[plane.name], cells)
        values = _cells(symbols[plane.name].to(torch.int64), cells)
        sent = ids >= 0
        return ids[sent], values[sent]

    return {
        plane.name: (step(plane, first), step(plane, second))
        for plane in prior.planes
        for first, second in [_steps(symbols[plane.name])]
    }


def write(tables: Mapping[str, Tables], collected: Collected) -> tuple[bytes, dict[str, int]]:
    """-> the payload, and bits by plane (to the coder's word)."""
    writer = SymbolWriter()
    sizes: dict[str, int] = {}
    for name, steps in collected.items():
        before = writer.bits()
        for ids, values in steps:
            writer.write(tables[name], ids, values)
        sizes[name] = writer.bits() - before
    return writer.payload(), sizes


def adapt(tables: Mapping[str, Tables], collected: Collected) -> dict[str, Tables]:
    """The tables after a frame."""
    adapted = dict(tables)
    for name, steps in collected.items():
        for ids, values in steps:
            adapted[name] = adapted[name].adapt(ids, values)
    return adapted


def read(
    prior: FramePrior, tables: Mapping[str, Tables], payload: bytes, past: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], dict[str, Tables]]:
    """The inverse of collect, write and adapt.

    Args:
        prior: of the model that wrote the payload.
        tables: as they were before the frame.
        payload: of :func:`write`.
        past: magnitudes of the last frame's symbols, (1, C, h, w) per plane.

    Returns:
        Symbols per plane, (1, C, h, w), and the tables after the frame.

    Raises:
        DamagedFile: where the coder notices that nobody wrote this.
    """
    reader = SymbolReader(payload)
    now: dict[str, Tensor] = {}
    adapted = dict(tables)
    for plane in prior.planes:
        name = plane.name
        scale, side, before = prior.scale(name), prior.side(name, now, past), past[name]
        values = np.zeros((plane.channels, before[0, 0].numel()), np.int64)
        levels = scale.first(before, side)
        steps: list[Step] = []
        for number, cells in enumerate(_steps(before)):
            if number:
                seen = torch.from_numpy(np.abs(values)).view_as(before).to(before.dtype)
                levels = scale.second(before, side, seen)
            ids = _table_ids(plane, levels, cells)
            sent = ids >= 0
            decoded = np.zeros(len(ids), np.int64)
            decoded[sent] = reader.read(tables[name], ids[sent])
            values[:, cells] = decoded.reshape(plane.channels, -1)
            steps.append((ids[sent], decoded[sent]))
        for ids, decoded in steps:
            adapted[name] = adapted[name].adapt(ids, decoded)
        now[name] = torch.from_numpy(values).view_as(before).to(before.dtype)
    return now, adapted


def _steps(plane: Tensor) -> tuple[Integers, Integers]:
    """Numbers of the cells (row by row) of the first and of the second coding step."""
    first = first_step_mask(plane.shape[-2], plane.shape[-1]).flatten().numpy()
    return np.flatnonzero(first), np.flatnonzero(~first)


def _cells(plane: Tensor, cells: Integers) -> Integers:
    """The values of these cells, channel by channel, (C * n,)."""
    flat: NDArray[np.int64] = plane[0].flatten(1).numpy()
    return flat.take(cells, axis=1).ravel()


def _table_ids(plane: Plane, levels: Tensor, cells: Integers) -> Integers:
    """Table id of every cell's symbol, channel by channel; -1 where it is not sent."""
    index: NDArray[np.uint8] = index_of(levels)[0].flatten(1).numpy()
    rows = np.asarray(plane.groups, np.int64)[:, None] * LEVELS
    chosen = index.take(cells, axis=1)
    ids: Integers = np.where(chosen > 0, chosen + rows, -1).ravel()
    return ids
