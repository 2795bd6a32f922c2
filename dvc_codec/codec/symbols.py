"""Symbols to bytes and back: integers only, the same on any machine, with no picture at hand.

payload, sizes, statistics = write(prior, statistics, sent, levels, lifts, past)
symbols, sent, statistics, lifts = read(prior, statistics, payload, past)

Both give the next frame's statistics beside what they are asked for; those given stay as they were.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.container import FrameKind
from dvc_codec.entropy.mixing import FrameReader, FrameWriter, PlaneCoder, Statistics, Step
from dvc_codec.entropy.prior import FramePrior
from dvc_codec.entropy.scale import CodingStep, lifted
from dvc_codec.networks.planes import GRID

StatisticsOfPlanes = dict[str, Statistics]
StatisticsOfKinds = Mapping[FrameKind, StatisticsOfPlanes]


def write(
    prior: FramePrior,
    statistics: Mapping[str, Statistics],
    sent: Mapping[str, Tensor],
    levels: Mapping[str, Tensor],
    lifts: Mapping[str, Sequence[int]],
    past: Mapping[str, Tensor],
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

    Returns:
        The payload, bits by plane, rounded, and the statistics after the frame.
    """
    writer = FrameWriter()
    sizes: dict[str, int] = {}
    after: StatisticsOfPlanes = {}
    begun = 0
    for plane in prior.planes:
        name = plane.name
        after[name] = statistics[name].copy()
        coder = PlaneCoder(after[name], _numbers(sent[name]), _numbers(past[name]))
        fine = _numbers(levels[name])
        for number, part in enumerate(prior.scale(name).steps(*fine.shape[-2:])):
            if plane.lifts:
                writer.write_lift(lifts[name][number])
            channels = _channels(part, plane.channels)
            writer.write(coder, Step(number, channels, part.cells.numpy(), fine[channels]))
        written = round(writer.bits())
        sizes[name], begun = written - begun, written
    return writer.payload(), sizes, after


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
        Symbols per plane (1, C, h, w), padded with zeros as the networks' pictures are; what was
        sent of them; the statistics after the frame; and how far each step's levels were lifted.

    Raises:
        DamagedFile: where it is not the payload that a writer of these symbols ends with.
    """
    reader = FrameReader(payload)
    found: dict[str, Tensor] = {}
    now: dict[str, Tensor] = {}
    lifts: dict[str, list[int]] = {}
    after: StatisticsOfPlanes = {}
    for plane in prior.planes:
        name = plane.name
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
        found[name] = F.pad(values, (0, beyond[1], 0, beyond[0]))
    reader.end()
    return found, now, after, lifts


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
