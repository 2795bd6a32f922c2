"""A temporal filter along motion, before coding: a picture that others are predicted from is
averaged with what motion brings there from the pictures around it.

Noise is another in each picture, and what was filmed is the same. So the mean of several takes
fewer bits, and predicts the others better than any of them. Only the encoder does this, and
quality is still that against the source as it was.

Source: Wennersten et al., Encoder-only GOP-based temporal filter (JVET-O0549, 2019), as in VTM and
VVenC. The weights are ours; measured in docs/experiments.md#temporal-filter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec.pictures import to_picture, to_planes
from dvc_codec.codec.predictability import halved, motion
from dvc_codec.container import FrameKind
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.warp import compensate, enlarge
from dvc_codec.video import Picture

# The pictures that a kind of frame is averaged with, so many frames to each side, and what those
# next to it weigh at most, its own being 1
REACHES: Mapping[FrameKind, int] = {FrameKind.I: 3, FrameKind.P: 2}
WEIGHTS: Mapping[FrameKind, float] = {FrameKind.I: 0.6, FrameKind.P: 0.24}
REACH = max(REACHES.values())
FURTHER = (1.0, 0.83, 0.67)  # of that weight, one, two and three frames away
# 8-bit levels that a sample may be off, about, and still be the same but for noise: of luma at
# lambda 1024, falling as the error of what is coded does, and of chroma
LUMA_RANGE, CHROMA_RANGE = 16.0, 7.5
WIDENING, NARROWING = 0.5, 1.0  # powers of lambda
OF_CHROMA = 1.4  # chroma's weights over luma's
# A block that fits worse than the best of its place counts by (best + USUAL) / (its own + USUAL),
# and one that fits badly by MISFIT / (MISFIT + its own), all of mean squared levels
BLOCK, USUAL, MISFIT = 8, 3.0, 200.0


@dataclass(frozen=True, eq=False)
class Neighbour:
    """A picture of the same scene, and how many frames later it is shown: negative is earlier."""

    picture: Picture
    away: int


@torch.inference_mode()
def filtered(
    picture: Picture, around: Sequence[Neighbour], kind: FrameKind, lagrangian: float
) -> Picture:
    """What to code instead of ``picture``.

    Args:
        picture: the source.
        around: its neighbours; those beyond the kind's reach are left alone.
        kind: of frame that it is to be.
        lagrangian: lambda of its group: the finer it is coded, the less it may be changed.

    Returns:
        A picture of the same size; ``picture`` itself where there is nothing around it.
    """
    near = [n for n in around if abs(n.away) <= REACHES[kind]]
    if not near:
        return picture
    current = to_planes(picture)
    small = halved(current.luma)
    fetched = [_fetched(to_planes(n.picture), small) for n in near]
    errors = [_block_errors(one.luma, current.luma) for one in fetched]
    best = torch.stack(errors).amin(0)
    wider = (1024 / lagrangian) ** (NARROWING if lagrangian > 1024 else WIDENING)
    luma = _Mean(current.luma, LUMA_RANGE * wider)
    chroma = _Mean(current.chroma, CHROMA_RANGE * wider)
    for neighbour, one, error in zip(near, fetched, errors, strict=True):
        weight = WEIGHTS[kind] * FURTHER[abs(neighbour.away) - 1]
        fit = weight * (best + USUAL) / (error + USUAL) * MISFIT / (MISFIT + error)
        luma.add(one.luma, enlarge(fit, BLOCK))
        chroma.add(one.chroma, OF_CHROMA * enlarge(fit, BLOCK // 2))
    height, width = picture.y.shape
    return to_picture(Planes(luma.value(), chroma.value()), height, width)


class _Mean:
    """Of a plane and others, whose samples count less the more they differ from its own."""

    def __init__(self, plane: Tensor, spread: float) -> None:
        self._plane, self._total = plane, plane.clone()
        self._weight = torch.ones_like(plane)
        self._sharpness = 0.5 * (255 / spread) ** 2

    def add(self, other: Tensor, weight: Tensor) -> None:
        like = torch.exp(-self._sharpness * (other - self._plane).square())
        self._total += like * weight * other
        self._weight += like * weight

    def value(self) -> Tensor:
        return self._total / self._weight


def _fetched(other: Planes, small: Tensor) -> Planes:
    """``other`` along its motion to the picture whose luma at half the size is ``small``. Motion
    at full size gains little more (6.8 % instead of 6.4 in all), for four times the work.
    """
    flow = motion(halved(other.luma), small)
    return compensate(other, 2 * enlarge(flow, 2), "overlapped")


def _block_errors(one: Tensor, other: Tensor) -> Tensor:
    """Mean squared differences of blocks, in squared 8-bit levels."""
    return F.avg_pool2d((one - other).square(), BLOCK) * 255**2
