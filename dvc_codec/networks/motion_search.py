"""The encoder's half of motion: flow estimated, and transformed into what is sent of it.

How much an error of a motion matters is known here, where the pictures are: to_one() for P frames,
to_two() for B frames. No decoder runs this.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.networks.flow import FlowEstimator
from dvc_codec.networks.interface import Latents, LatentsOfPlanes
from dvc_codec.networks.motion import (
    BLOCK,
    MOST_STRUCTURAL,
    MOST_WEIGHT,
    MotionAutoencoder,
)
from dvc_codec.networks.rate import lagrangian, residual_scale
from dvc_codec.networks.structure import StructuralWeights
from dvc_codec.networks.warp import GRID, warp_overlapped

# planes of symbols, in coding order; B frames have motion back, to the picture that is shown later
MOTION, MOTION_DETAIL = "motion", "motion_detail"
MOTION_BACK, MOTION_BACK_DETAIL = "motion_back", "motion_back_detail"

# Mean squared error, over the squared closed-form step, at which a block is as far from its
# prediction as it will be from its decoded self (docs/experiments.md#unsure)
UNSURE = 0.01
# An error of one motion of two is halved in the mean of what they fetch, a squared one quartered
WEIGHT_OF_TWO = 0.25
# Times structure's weights: what errors of the prediction count in the search, beside the motion's
# smoothness; best of 1, 1.6, 2.5 and 5 (docs/experiments.md#ms-ssim-motion)
STRUCTURE_COUNTS = 2.5

Symbols = Mapping[str, Tensor]


@dataclass(frozen=True)
class MotionSearch:
    """From pictures to motion latents of one frame.

    Attributes:
        flow: estimates it.
        motion: transforms it.
        luma: (B, 1, H, W), of the frame.
        rate_index: (B,), of the frame.
        structure: weighs luma's errors where MS-SSIM is the metric; None: they count as in D.
    """

    flow: FlowEstimator
    motion: MotionAutoencoder
    luma: Tensor
    rate_index: Tensor
    structure: StructuralWeights | None = None

    def to_one(self, reference: Tensor, expected: Tensor) -> LatentsOfPlanes:
        """Of a P frame, from its reference's luma and the flow that is expected:

        "motion": (B, 2, H/16, W/16), "motion_detail": (B, 30, H/16, W/16).
        """
        found = self._find(reference, self.luma, expected)
        weight = self.weight(_fetched(reference, found.flow))
        return {
            MOTION: Latents(found.means, weight),
            MOTION_DETAIL: lambda symbols: self._detail(found, symbols[MOTION], weight),
        }

    def to_two(
        self,
        past: Tensor,
        future: Tensor,
        expected: Tensor,
        flow_of: Callable[[Symbols], Tensor],
        mirrored: Callable[[Tensor], Tensor],
    ) -> LatentsOfPlanes:
        """Of a B frame, likewise; "motion_back" and "motion_back_detail" too.

        Args:
            past, future: luma of its references.
            expected: of the flow to the past.
            flow_of: symbols of the motion to the past -> its decoded flow.
            mirrored: decoded flow to the past -> expected flow to the future.
        """
        found = self._find(past, self.luma, expected)
        # what is wrong with one of two counts half in their mean
        weight = WEIGHT_OF_TWO * self.weight((_fetched(past, found.flow) + self.luma) / 2)
        back: list[tuple[_Found, Tensor]] = []  # with its weight, once the motion to the past is

        def means_back(symbols: Symbols) -> Latents:
            flow = flow_of(symbols)
            earlier = _fetched(past, flow)
            # of the mean of two, the second is to make good what the first one fetched wrong
            second = self._find(future, 2 * self.luma - earlier, mirrored(flow))
            mean = (earlier + _fetched(future, second.flow)) / 2
            back[:] = [(second, WEIGHT_OF_TWO * self.weight(mean))]
            return Latents(second.means, back[0][1])

        def detail_back(symbols: Symbols) -> Latents:
            second, its_weight = back[0]
            return self._detail(second, symbols[MOTION_BACK], its_weight)

        return {
            MOTION: Latents(found.means, weight),
            MOTION_DETAIL: lambda symbols: self._detail(found, symbols[MOTION], weight),
            MOTION_BACK: means_back,
            MOTION_BACK_DETAIL: detail_back,
        }

    @cached_property
    def texture(self) -> Tensor:
        """How much motion matters where the picture is predicted perfectly, (B, 2, H/16, W/16)."""
        most = MOST_WEIGHT if self.structure is None else MOST_STRUCTURAL
        return self.motion.weight(self.luma, most)

    @cached_property
    def counted(self) -> Tensor | None:
        """What squared errors of the prediction count, (B, 1, H/8, W/8); None: as they do in D."""
        if self.structure is None:
            return None
        return STRUCTURE_COUNTS * self.structure.of_blocks(self.luma)

    def weight(self, prediction: Tensor) -> Tensor:
        """Of the motion of each block, (B, 2, H/16, W/16), where the picture is predicted so.

        Where ``E`` is left after the best motion, and ``D`` after coding, an error adds ``e`` to
        what is sent, bits per sample log2((E + D + e) / D) / 2: its weight is D / (D + E).
        """
        with torch.no_grad():
            left = F.avg_pool2d((prediction - self.luma).square(), GRID * BLOCK)
            usual = UNSURE * residual_scale(self.rate_index).square()
            return self.texture * (usual / (usual + left))

    def _find(self, reference: Tensor, luma: Tensor, expected: Tensor) -> "_Found":
        flow = self.flow(reference, luma, expected, lagrangian(self.rate_index), self.counted)
        return _Found(flow, *self.motion.analyse(flow, expected, self.rate_index))

    def _detail(self, found: "_Found", means: Tensor, weight: Tensor) -> Latents:
        left = found.detail - self.motion.expected_detail(means, self.rate_index)
        return Latents(left, torch.repeat_interleave(weight, left.shape[1] // 2, 1))


@dataclass(frozen=True)
class _Found:
    """A flow, and its latents."""

    flow: Tensor
    means: Tensor
    detail: Tensor


def _fetched(reference: Tensor, flow: Tensor) -> Tensor:
    return warp_overlapped(reference, flow.detach(), GRID)
