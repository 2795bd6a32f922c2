"""What is known of a frame's symbols before they are read: planes in coding order, each with its
scale model and its statistics.

A plane of symbols is a tensor (B, C, h, w). Only symbols as they are sent go in (this frame's
earlier planes, the last frame's magnitudes), never a picture, so that parsing is exact on every
machine and needs no network of the picture side.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.entropy.frequency import Formula, FrequencyScale
from dvc_codec.entropy.mixing import PARENTS, Integers, Statistics
from dvc_codec.entropy.neighbours import NeighbourScale
from dvc_codec.entropy.scale import IntegerConv, ScaleModel

Symbols = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plane:
    """``stride``: luma pixels per symbol; ``side``: channels of side information; ``parents``: what
    the coder's contexts of each channel look at, see :func:`parents`; ``smooth``: predicted from
    neighbours; ``frequencies``: of each channel, where low ones are to be coded first; ``lifts``:
    whether every step says how far its levels are lifted; ``scaled``: whether a frame says how
    wide the plane's quantiser steps are; ``says``: whether it does so right before this plane.
    """

    name: str
    channels: int
    stride: int
    side: int
    parents: tuple[tuple[int, ...], ...] = ()
    smooth: bool = False
    frequencies: tuple[int, ...] = ()
    lifts: bool = False
    scaled: bool = False
    says: bool = False

    def statistics(self) -> Statistics:
        """Fresh ones."""
        return Statistics.fresh(self.all_parents())

    def all_parents(self) -> Integers:
        """(channels, PARENTS)."""
        nothing = ((-1,) * PARENTS,) * self.channels
        return np.array(self.parents or nothing, np.int64)


class FramePrior(nn.Module):
    """Scale models and starting statistics of every plane, in coding order.

    Subclasses say what the planes know of each other.

    Attributes:
        grid: planes cover a picture up to the next multiple of so many luma pixels. Cells beyond,
            where the networks' padded pictures go on, are zero and not sent.
    """

    grid = 64

    def __init__(self, planes: tuple[Plane, ...], hidden: int = 32, formula: bool = True) -> None:
        super().__init__()
        self.planes = planes

        def scale(plane: Plane) -> ScaleModel:
            if plane.smooth:
                return NeighbourScale(plane.channels, plane.side, hidden)
            if plane.frequencies:
                return FrequencyScale(plane.frequencies, plane.side, hidden)
            return ScaleModel(plane.channels, plane.side, hidden, formula)

        self.scales = nn.ModuleDict({p.name: scale(p) for p in planes})
        self._register_statistics()

    def _register_statistics(self) -> None:
        for plane in self.planes:
            counters, weights = plane.statistics().packed()
            self.register_buffer(f"counters_{plane.name}", torch.from_numpy(counters))
            self.register_buffer(f"weights_{plane.name}", torch.from_numpy(weights))

    def scale(self, name: str) -> ScaleModel:
        model = self.scales[name]
        assert isinstance(model, ScaleModel)
        return model

    def side(self, name: str, now: Symbols, past: Symbols) -> Tensor:
        """(B, side, h, w) integers in [0, 127] for plane ``name``, from what this frame's earlier
        planes sent and the magnitudes that the last frame sent.
        """
        raise NotImplementedError

    def nothing(
        self, batch: int, height: int, width: int, device: torch.device | None = None
    ) -> dict[str, Tensor]:
        """The past after an I frame of this luma size: zeros for every plane."""
        height, width = self.covered(height, width)
        return {
            p.name: torch.zeros(
                batch, p.channels, height // p.stride, width // p.stride, device=device
            )
            for p in self.planes
        }

    def covered(self, height: int, width: int) -> tuple[int, int]:
        """What the planes cover of a picture of this luma size."""
        return height + -height % self.grid, width + -width % self.grid

    def statistics(self) -> dict[str, Statistics]:
        """Of every plane, as at the start of a group of pictures."""
        return {
            plane.name: Statistics.unpacked(
                plane.all_parents(), *(kept.cpu().numpy() for kept in self._kept(plane.name))
            )
            for plane in self.planes
        }

    def set_statistics(self, name: str, statistics: Statistics) -> None:
        """Replace what a plane starts with, as training does by what it has seen."""
        for kept, new in zip(self._kept(name), statistics.packed(), strict=True):
            kept.copy_(torch.from_numpy(new))

    def _kept(self, name: str) -> tuple[Tensor, Tensor]:
        """Counters and weights, packed."""
        counters, weights = getattr(self, f"counters_{name}"), getattr(self, f"weights_{name}")
        assert isinstance(counters, Tensor) and isinstance(weights, Tensor)
        return counters, weights

    def bake(self) -> None:
        """Make every weight the integer it stands for.

        Raises OverflowError if parsing could depend on the machine.
        """
        for module in self.modules():
            if isinstance(module, IntegerConv | Formula):
                module.bake()
        for p in self.planes:
            self.scale(p.name).check_exact()


def parents(size: int, planes: int) -> list[tuple[int, ...]]:
    """Of every channel of an n x n transform of so many planes, those that its statistics look at
    beside it, or -1: one lower in u, in v; two lower in u, in v; one in both; the same of the plane
    before.

    >>> parents(4, 2)[16 + 4 + 2]
    (18, 21, -1, 20, 17, 6)
    """

    def channel(plane: int, u: int, v: int) -> int:
        return (plane * size + u) * size + v if min(plane, u, v) >= 0 else -1

    steps = ((0, 1, 0), (0, 0, 1), (0, 2, 0), (0, 0, 2), (0, 1, 1), (1, 0, 0))
    return [
        tuple(channel(plane - p, u - a, v - b) for p, a, b in steps)
        for plane in range(planes)
        for u in range(size)
        for v in range(size)
    ]


class PFramePrior(FramePrior):
    """Of the default network's P frames: motion (means of blocks, then 4x4 DCT of the rest), luma
    (8x8 DCT), chroma (8x8 DCT of U and V).
    """

    grid = 16

    def __init__(self, hidden: int = 32) -> None:
        super().__init__((*_motion_planes("motion"), *_residual_planes()), hidden)

    def side(self, name: str, now: Symbols, past: Symbols) -> Tensor:
        def busy(x: Tensor, name: str) -> Tensor:
            """Compressed activity (sum over channels of magnitudes), one channel."""
            return self.scale(name).compress(x.sum(1, keepdim=True))

        def blocks(x: Tensor) -> Tensor:
            """Sum over 2x2 symbols: from the 1/8 to the 1/16 grid."""
            rows = x[..., ::2, :] + x[..., 1::2, :]  # pooling takes five times as long
            return rows[..., ::2] + rows[..., 1::2]

        if name in (MOTION, BACK):
            return busy(blocks(past["luma"]), "luma")
        if name in (MOTION + DETAIL, BACK + DETAIL):
            means = name.removesuffix(DETAIL)
            sent = self.scale(means).compress(now[means].abs())
            return torch.cat((sent, busy(blocks(past["luma"]), "luma")), 1)
        moved = busy(torch.cat((now[MOTION], now[MOTION + DETAIL]), 1).abs(), MOTION)
        if name == "luma":
            changed = busy(torch.cat((past[MOTION], past[MOTION + DETAIL]), 1), MOTION)
            return F.interpolate(torch.cat((moved, changed), 1), scale_factor=2, mode="nearest")
        luma = blocks(now["luma"].abs())
        low = self.scale("luma").compress(luma[:, :1])
        return torch.cat((moved, low, busy(luma, "luma")), 1)


class BFramePrior(PFramePrior):
    """Of its B frames, which have a second motion: back, to the picture that is shown later."""

    def __init__(self, hidden: int = 32) -> None:
        planes = (*_motion_planes(MOTION), *_motion_planes(BACK), *_residual_planes())
        FramePrior.__init__(self, planes, hidden)

    def after_p(self, own: Symbols, past: Symbols) -> dict[str, Tensor]:
        """What B frames know after a P frame: ``own``, what they knew before it; but where that is
        nothing at all, as it is until there was a P frame, ``past``, the P frame's magnitudes.
        """
        nothing = torch.stack([plane.sum((1, 2, 3)) for plane in own.values()]).sum(0) == 0
        return {
            name: torch.where(nothing.view(-1, 1, 1, 1), past[name], plane)
            if name in past
            else plane
            for name, plane in own.items()
        }


MOTION, BACK, DETAIL = "motion", "motion_back", "_detail"


def _motion_planes(name: str) -> tuple[Plane, Plane]:
    others = [c for c in range(32) if c % 16]  # all but the means
    number = {c: n for n, c in enumerate(others)} | dict.fromkeys((-1, 0, 16), -1)
    detail = tuple(tuple(number[p] for p in parents(4, 2)[c]) for c in others)
    frequencies = tuple(_frequencies(4, 2)[c] for c in others)
    return (
        Plane(name, 2, 16, 1, tuple(parents(1, 2)), smooth=True, scaled=True, says=name == MOTION),
        Plane(name + DETAIL, len(others), 16, 3, detail, frequencies=frequencies, scaled=True),
    )


def _residual_planes() -> tuple[Plane, Plane]:
    luma, chroma = tuple(_frequencies(8, 1)), tuple(_frequencies(8, 2))
    return (
        Plane("luma", 64, 8, 2, tuple(parents(8, 1)), frequencies=luma, lifts=True),
        Plane("chroma", 128, 16, 3, tuple(parents(8, 2)), frequencies=chroma),
    )


def _frequencies(size: int, planes: int) -> list[int]:
    """u + v of every channel of an n x n transform of so many planes."""
    return [u + v for _ in range(planes) for u in range(size) for v in range(size)]
