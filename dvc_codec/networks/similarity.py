"""SSIM and MS-SSIM of luma with gradients, fast enough to train on and to measure every frame with:
windows as products with matrices.

Sources: Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
structural similarity" (IEEE Transactions on Image Processing, 2004); Wang, Simoncelli and Bovik,
"Multi-scale structural similarity for image quality assessment" (Asilomar Conference on Signals,
Systems and Computers, 2003).
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.networks.structure import BETAS, C2, WINDOW, window

C1 = 0.01**2  # of samples in [0, 1]
BORDER = WINDOW // 2
SMALLEST = 176  # samples: so that a window fits into the last scale


def ssim(a: Tensor, b: Tensor) -> Tensor:
    """SSIM of luma around zero, (B, 1, H, W) each, H and W at least ``WINDOW``; (B,), with
    gradient. As torchmetrics has it: pictures go on mirrored.
    """
    return _Compared.of(_mirrored(_samples(a)), _mirrored(_samples(b))).ssim


def ms_ssim(a: Tensor, b: Tensor) -> Tensor:
    """MS-SSIM of luma around zero, (B, 1, H, W) each, H and W at least ``SMALLEST``; (B,), with
    gradient. As torchmetrics has it, which takes two to three times as long for it: windows lie
    inside the pictures, but at the last scale, where these go on mirrored.
    """
    a, b = _samples(a), _samples(b)
    return _over_scales(a, b, _Compared.of(a, b).contrasts)


def both(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`ssim` and :func:`ms_ssim`, whose first scale is shared."""
    a, b = _samples(a), _samples(b)
    first = _Compared.of(_mirrored(a), _mirrored(b))
    inside = first.contrasts[..., BORDER:-BORDER, BORDER:-BORDER]
    return first.ssim, _over_scales(a, b, inside)


def _over_scales(a: Tensor, b: Tensor, contrasts: Tensor) -> Tensor:
    """MS-SSIM of (B, H, W) in [0, 1], with the contrasts of the first scale."""
    whole: Tensor | float = 1.0
    for number, beta in enumerate(BETAS[:-1]):
        if number:
            a, b = (F.avg_pool2d(x, 2) for x in (a, b))
            contrasts = _Compared.of(a, b).contrasts
        whole = whole * contrasts.mean((-2, -1)).clamp(min=0) ** beta
    a, b = (_mirrored(F.avg_pool2d(x, 2)) for x in (a, b))
    return whole * _Compared.of(a, b).ssim.clamp(min=0) ** BETAS[-1]


@dataclass(frozen=True)
class _Compared:
    """Two pictures at one scale: maps over windows of luminance, and of contrast and structure."""

    luminance: Tensor
    contrasts: Tensor

    @property
    def ssim(self) -> Tensor:
        return (self.luminance * self.contrasts).mean((-2, -1))

    @classmethod
    def of(cls, a: Tensor, b: Tensor) -> "_Compared":
        rows, columns = (_windows(size, a.device) for size in a.shape[-2:])
        maps = torch.stack((a, b, a * a + b * b, a * b))
        mean_a, mean_b, squares, product = rows @ maps @ columns.t()
        means, mean_squares = mean_a * mean_b, mean_a.square() + mean_b.square()
        return cls(
            (2 * means + C1) / (mean_squares + C1),
            (2 * (product - means) + C2) / (squares - mean_squares + C2),
        )


def _samples(luma: Tensor) -> Tensor:
    """(B, 1, H, W) around zero -> (B, H, W) in [0, 1]."""
    return luma[:, 0].float() + 0.5


def _mirrored(pictures: Tensor) -> Tensor:
    """With as many more samples around them as windows need."""
    return F.pad(pictures, (BORDER,) * 4, mode="reflect")


def _windows(size: int, device: torch.device) -> Tensor:
    """(size - 10, size): rows are the windows that lie inside."""
    place = torch.arange(size, device=device)
    apart = place - place[: size - WINDOW + 1, None]  # from a window's first sample
    taps = F.pad(window().to(device).float(), (0, 1))
    return taps[torch.where((apart >= 0) & (apart < WINDOW), apart, WINDOW)]
