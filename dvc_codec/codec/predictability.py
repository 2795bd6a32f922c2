"""How well a picture predicts another, before anything is coded: the encoder's own motion search,
at half the size, where a quarter of the time is enough.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks.flow import GRID, find
from dvc_codec.networks.planes import GRID as MULTIPLE
from dvc_codec.networks.warp import quarter_samples, warp_overlapped
from dvc_codec.video import Picture

LAGRANGIAN = 1024.0  # what roughness of motion is weighed by


def half_size(picture: Picture) -> Tensor:
    """Luma in boxes of 2x2 samples, (1, 1, h, w)."""
    half = F.avg_pool2d(to_planes(picture).luma, 2)
    return half.contiguous()


@torch.inference_mode()
def predict(reference: Tensor, current: Tensor) -> Tensor:
    """``current`` as ``reference`` gives it along its motion; all of :func:`half_size`."""
    height, width = current.shape[-2:]
    assert not height % (MULTIPLE // 2) and not width % (MULTIPLE // 2)
    still = current.new_zeros(1, 2, height // GRID, width // GRID)
    lagrangian = torch.tensor([LAGRANGIAN])
    flow = find(reference, quarter_samples(reference), current, still, lagrangian)
    return warp_overlapped(reference, flow, GRID)


def error_of(prediction: Tensor, current: Tensor) -> float:
    """Mean squared error in squared 8-bit levels."""
    return float((prediction - current).square().mean()) * 255**2
