"""MS-SSIM with gradients, fast enough to train on: windows as products with matrices.

Source: Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment"
(Asilomar Conference on Signals, Systems and Computers, 2003).
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.networks.structure import BETAS, C2, WINDOW, window

C1 = 0.01**2  # of samples in [0, 1]
SMALLEST = 176  # samples: so that a window fits into the last scale


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """MS-SSIM of luma around zero, (B, 1, H, W) each, H and W at least ``SMALLEST``; (B,), with
    gradient. As torchmetrics has it, which takes two to three times as long for it: windows lie
    inside the pictures, but at the last scale, where these go on mirrored.
    """
    a, b = a[:, 0].float() + 0.5, b[:, 0].float() + 0.5
    whole: Tensor | float = 1.0
    for number, beta in enumerate(BETAS):
        last = number == len(BETAS) - 1
        if last:
            a, b = (F.pad(x, (WINDOW // 2,) * 4, mode="reflect") for x in (a, b))
        rows, columns = (_windows(size, a.device) for size in a.shape[-2:])
        maps = torch.stack((a, b, a * a + b * b, a * b))
        mean_a, mean_b, squares, product = rows @ maps @ columns.t()
        means, both = mean_a * mean_b, mean_a.square() + mean_b.square()
        alike = (2 * (product - means) + C2) / (squares - both + C2)
        if last:
            alike = alike * (2 * means + C1) / (both + C1)
        whole = whole * alike.mean((-2, -1)).clamp(min=0) ** beta
        a, b = (F.avg_pool2d(x, 2) for x in (a, b))
    assert isinstance(whole, Tensor)
    return whole


def _windows(size: int, device: torch.device) -> Tensor:
    """(size - 10, size): rows are the windows that lie inside."""
    place = torch.arange(size, device=device)
    apart = place - place[: size - WINDOW + 1, None]  # from a window's first sample
    taps = F.pad(window().to(device).float(), (0, 1))
    return taps[torch.where((apart >= 0) & (apart < WINDOW), apart, WINDOW)]
