"""What is known of a frame's symbols before they are read: planes in coding order, each with its
scale model and its tables.

A plane of symbols is a tensor (B, C, h, w). Only symbols as they are sent go in (this frame's
earlier planes, the last frame's magnitudes), never a picture, so that parsing is exact on every
machine and needs no network of the picture side.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dvc_codec.entropy.frequency import Formula, FrequencyScale
from dvc_codec.entropy.neighbours import NeighbourScale
from dvc_codec.entropy.scale import IntegerConv, ScaleModel
from dvc_codec.entropy.tables import ALPHABET, Tables, starting_counts

Symbols = Mapping[str, Tensor]


@dataclass(frozen=True)
class Plane:
    """``groups``: the table group of every channel; ``stride``: luma pixels per symbol; ``side``:
    channels of side information; ``smooth``: predicted from neighbours; ``frequencies``: of each
    channel, where low ones are to be coded first; ``lifts``: whether every step says how far its
    levels are lifted.
    """

    name: str
    groups: tuple[int, ...]
    stride: int
    side: int
    smooth: bool = False
    frequencies: tuple[int, ...] = ()
    lifts: bool = False

    @property
    def channels(self) -> int:
        return len(self.groups)


class FramePrior(nn.Module):
    """Scale models and starting tables of every plane, in coding order.

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
        for p in planes:
            counts = torch.from_numpy(starting_counts(max(p.groups) + 1))
            self.register_buffer(f"counts_{p.name}", counts)

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

    def tables(self) -> dict[str, Tables]:
        """Fresh tables, as at the start of a group of pictures."""
        return {p.name: Tables(self._counts(p.name).clone().cpu().numpy()) for p in self.planes}

    def set_tables(self, name: str, counts: NDArray[np.int64]) -> None:
        """Replace a plane's starting counts, as training does from what it has seen."""
        self._counts(name).copy_(torch.from_numpy(counts))

    def _counts(self, name: str) -> Tensor:
        counts = getattr(self, f"counts_{name}")
        assert isinstance(counts, Tensor) and counts.shape[1] == ALPHABET
        return counts

    def bake(self) -> None:
        """Make every weight the integer it stands for.

        Raises OverflowError if parsing could depend on the machine.
        """
        for module in self.modules():
            if isinstance(module, IntegerConv | Formula):
                module.bake()
        for p in self.planes:
            self.scale(p.name).check_exact()


def frequency_groups(frequencies: list[int], size: int, groups: int) -> tuple[int, ...]:
    """Log-spaced groups of u + v for an n x n transform."""
    f = np.asarray(frequencies)
    return tuple(
        int(g)
        for g in np.minimum(groups - 1, np.floor(np.log2(f + 1) * groups / np.log2(2 * size)))
    )


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
    groups = frequency_groups(_frequencies(4, 2), 4, 4)
    others = [c for c in range(len(groups)) if c % 16]
    detail = tuple(groups[c] - 1 for c in others)
    frequencies = tuple(_frequencies(4, 2)[c] for c in others)
    return (
        Plane(name, (0, 0), 16, 1, smooth=True),
        Plane(name + DETAIL, detail, 16, 3, frequencies=frequencies),
    )


def _residual_planes() -> tuple[Plane, Plane]:
    luma, chroma = _frequencies(8, 1), _frequencies(8, 2)
    return (
        Plane("luma", frequency_groups(luma, 8, 7), 8, 2, frequencies=tuple(luma), lifts=True),
        Plane("chroma", frequency_groups(chroma, 8, 5), 16, 3, frequencies=tuple(chroma)),
    )


def _frequencies(size: int, planes: int) -> list[int]:
    """u + v of every channel of an n x n transform of so many planes."""
    return [u + v for _ in range(planes) for u in range(size) for v in range(size)]
