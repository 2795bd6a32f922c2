"""The motion autoencoder: flow minus its prediction <-> latents; a 4x4 DCT bypass and a learned
prediction that starts at zero.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.networks.blocks import activate, conv
from dvc_codec.networks.rate import Steps
from dvc_codec.networks.transform import BlockTransform
from dvc_codec.networks.warp import enlarge, smooth, warp

BLOCK = 4
ASSUMED_GRADIENT = 1e-3  # mean squared luma gradient behind the closed-form step
# Uniform weights cost 2 % more lambda D + R (docs/experiments.md#motion-weight). For squared errors
# a most of 8 costs half a percent; for MS-SSIM 64 gains nothing (docs/experiments.md#texture)
LEAST_WEIGHT, MOST_WEIGHT, MOST_STRUCTURAL = 0.02, 64.0, 8.0


class MotionAutoencoder(nn.Module):
    """Flow (B, 2, H/4, W/4), in cells of that grid <-> latents on the 1/16 grid in quantiser steps:
    means of 16x16 blocks (2 channels), and what differs inside them (30).
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.transform = BlockTransform(BLOCK, 2)
        self.steps = Steps(2 * BLOCK**2, 22.5)
        self.first = conv(4, channels)
        self.last = conv(channels, 2, zero=True)
        # channels of the transform that are means of x and y, the others, and back
        of_means = [0, BLOCK**2]
        others = [c for c in range(2 * BLOCK**2) if c not in of_means]
        self.means, self.details = of_means, others
        self.detail_channels = len(others)
        self.order = [(of_means + others).index(c) for c in range(2 * BLOCK**2)]

    def predict(self, previous: Tensor) -> Tensor:
        """The last frame's flow -> what this frame's is expected to be.

        Zero flow predicts zero flow.
        """
        steady = smooth(previous)
        carried = warp(previous, previous)  # the motion found where this motion comes from
        x = torch.cat((steady, carried - steady), 1) * 0.5
        # where nothing moved there is nothing to correct
        present: Tensor = previous.abs().sum(1, keepdim=True).clamp(max=1)
        correction: Tensor = self.last(activate(self.first(x)))
        return steady + 0.1 * present * correction.float()

    def analyse(self, flow: Tensor, predicted: Tensor, rate_index: Tensor) -> tuple[Tensor, Tensor]:
        """-> latents (B, 2, H/16, W/16) of the blocks' means, (B, 30, H/16, W/16) of the rest."""
        latents: Tensor = self.transform(flow - predicted) / self.steps(rate_index)
        return latents[:, self.means], latents[:, self.details]

    def expected_detail(self, means: Tensor, rate_index: Tensor) -> Tensor:
        """What smooth motion between the means' symbols (B, 2, H/16, W/16) says of the rest, in
        steps.
        """
        steps = self.steps(rate_index)
        smooth_flow = enlarge(means * steps[:, self.means] / BLOCK, BLOCK)
        latents: Tensor = self.transform(smooth_flow) / steps
        return latents[:, self.details]

    @staticmethod
    def weight(luma: Tensor, most: float = MOST_WEIGHT) -> Tensor:
        """Luma (B, 1, H, W) -> (B, 2, H/16, W/16): mean squared gradient of each block, along x and
        along y, over ASSUMED_GRADIENT; ``most`` at most.

        A flow error of d pixels costs gradient^2 d^2: nothing in flat blocks, whose motion is then
        not worth a bit.
        """
        with torch.no_grad():
            dx = F.pad(luma[..., 1:] - luma[..., :-1], (0, 1, 0, 0)).square()
            dy = F.pad(luma[..., 1:, :] - luma[..., :-1, :], (0, 0, 0, 1)).square()
            energy = F.avg_pool2d(torch.cat((dx, dy), 1), 4 * BLOCK)
            return (energy / ASSUMED_GRADIENT).clamp(LEAST_WEIGHT, most)

    def synthesise(
        self, means: Tensor, detail: Tensor, predicted: Tensor, rate_index: Tensor
    ) -> Tensor:
        """Symbols -> flow."""
        detail = detail + self.expected_detail(means, rate_index)
        latents = torch.cat((means, detail), 1)[:, self.order]
        return self.transform.inverse(latents * self.steps(rate_index)) + predicted
