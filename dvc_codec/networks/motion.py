"""The motion autoencoder: flow minus its prediction <-> latents; a 4x4 DCT bypass and a learned
prediction that starts at zero.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.networks.blocks import activate, conv
from dvc_codec.networks.rate import Steps
from dvc_codec.networks.transform import BlockTransform
from dvc_codec.networks.warp import smooth, warp

BLOCK = 4
ASSUMED_GRADIENT = 1e-3  # mean squared luma gradient behind the closed-form step
LEAST_WEIGHT, MOST_WEIGHT = (
    0.02,
    2.0,
)  # uniform weights cost 2 % more lambda D + R (docs/experiments.md#motion-weight)


class MotionAutoencoder(nn.Module):
    """Flow (B, 2, H/4, W/4), in cells of that grid <-> latents (B, 32, H/16, W/16) in quantiser
    steps.
    """

    def __init__(self, channels: int = 16) -> None:
        super().__init__()
        self.transform = BlockTransform(BLOCK, 2)
        self.steps = Steps(2 * BLOCK**2, 45.0)
        self.first = conv(4, channels)
        self.last = conv(channels, 2, zero=True)

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

    def analyse(self, flow: Tensor, predicted: Tensor, rate_index: Tensor) -> Tensor:
        latents: Tensor = self.transform(flow - predicted)
        steps: Tensor = self.steps(rate_index)
        return latents / steps

    @staticmethod
    def weight(luma: Tensor) -> Tensor:
        """Luma (B, 1, H, W) -> (B, 32, H/16, W/16): mean squared gradient of each latent's block
        over ASSUMED_GRADIENT.

        A flow error of d pixels costs gradient^2 d^2: nothing in flat blocks, whose motion is then
        not worth a bit.
        """
        with torch.no_grad():
            dx = F.pad(luma[..., 1:] - luma[..., :-1], (0, 1, 0, 0)).square()
            dy = F.pad(luma[..., 1:, :] - luma[..., :-1, :], (0, 0, 0, 1)).square()
            energy = F.avg_pool2d(torch.cat((dx, dy), 1), 4 * BLOCK)
            weight = (energy / ASSUMED_GRADIENT).clamp(LEAST_WEIGHT, MOST_WEIGHT)
            return torch.repeat_interleave(weight, BLOCK**2, 1)

    def synthesise(self, symbols: Tensor, predicted: Tensor, rate_index: Tensor) -> Tensor:
        return self.transform.inverse(symbols * self.steps(rate_index)) + predicted
