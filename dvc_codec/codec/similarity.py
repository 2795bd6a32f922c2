"""How well pictures predict each other from afar, roughly: block matching on small pictures, before
anything is coded.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.video import Picture

WIDTH = 256  # of the small pictures, about; they are a quarter of the size at least
REACH = 8  # their pixels
BLOCK = 8


def small(picture: Picture) -> Tensor:
    """Luma in boxes of 4x4 samples or more, (1, 1, h, w)."""
    factor = max(4, round(picture.width / WIDTH))
    luma = torch.from_numpy(np.ascontiguousarray(picture.y))[None, None].float()
    padded = F.pad(luma, (0, -picture.width % factor, 0, -picture.height % factor), "replicate")
    return F.avg_pool2d(padded, factor)


def unlike(a: Tensor, b: Tensor) -> float:
    """Mean absolute difference of the blocks of ``b`` to what is most like them in ``a``, in 8-bit
    levels; both of :func:`small`.
    """
    h, w = b.shape[-2:]
    block = min(BLOCK, h, w)
    around = F.pad(a, (REACH,) * 4, mode="replicate")
    lowest: Tensor | None = None
    for y in range(2 * REACH + 1):
        for x in range(2 * REACH + 1):
            apart = (around[..., y : y + h, x : x + w] - b).abs_()
            error = F.avg_pool2d(apart, block)
            lowest = error if lowest is None else torch.minimum(lowest, error)
    assert lowest is not None
    return float(lowest.mean())
