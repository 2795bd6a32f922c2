"""How well a picture predicts another, before anything is coded: the encoder's own motion search,
at half the size, where a quarter of the time is enough.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks.flow import find
from dvc_codec.networks.planes import GRID as MULTIPLE
from dvc_codec.networks.warp import GRID, quarter_samples, warp_overlapped
from dvc_codec.video import Picture

LAGRANGIAN = 1024.0  # what roughness of motion is weighed by


def half_size(picture: Picture) -> Tensor:
    """Luma in boxes of 2x2 samples, (1, 1, h, w)."""
    return halved(to_planes(picture).luma)


def halved(luma: Tensor) -> Tensor:
    """(1, 1, H, W) -> (1, 1, H/2, W/2), means of boxes."""
    return F.avg_pool2d(luma, 2).contiguous()


@torch.inference_mode()
def predict(reference: Tensor, current: Tensor) -> Tensor:
    """``current`` as ``reference`` gives it along its motion; all of :func:`half_size`."""
    return warp_overlapped(reference, motion(reference, current), GRID)


@torch.inference_mode()
def motion(reference: Tensor, current: Tensor) -> Tensor:
    """Where ``current`` is found in ``reference``, both as :func:`half_size` gives them: flow
    (1, 2, h/4, w/4) in cells of that grid.
    """
    height, width = current.shape[-2:]
    assert not height % (MULTIPLE // 2) and not width % (MULTIPLE // 2)
    still = current.new_zeros(1, 2, height // GRID, width // GRID)
    lagrangian = torch.tensor([LAGRANGIAN])
    return find(reference, quarter_samples(reference), current, still, lagrangian)


def error_of(prediction: Tensor, current: Tensor) -> float:
    """Mean squared error in squared 8-bit levels."""
    return float((prediction - current).square().mean()) * 255**2
