"""What a network is built from.

A configuration is stored with its weights as JSON and rebuilt from it.
"""

from dataclasses import dataclass
from typing import Literal

# What weights are trained for: the plain squared error, or MS-SSIM of luma
Metric = Literal["mse", "ms-ssim"]
METRICS: tuple[Metric, ...] = ("mse", "ms-ssim")


@dataclass(frozen=True)
class PFrameConfig:
    """Sizes of the default network; at these the decoder spends about 25 kMAC per luma pixel."""

    quarter: int = 48  # channels on the 1/4 grid
    eighth: int = 64
    sixteenth: int = 96
    features: int = 32  # propagated from frame to frame, on the 1/4 grid
    flow: int = 32  # of the encoder's flow refinement
    metric: Metric = "mse"  # "ms-ssim": luma's steps follow structure, see networks.structure
    stills: int = 0  # channels of the filter of I frames, on the 1/2 grid; 0: there is none
    post: int = 0  # channels of the post-filter of P and B frames, on the 1/2 grid; 0: none
