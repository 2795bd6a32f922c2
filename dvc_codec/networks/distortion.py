"""D: how far a picture is from another, per picture of a batch, with gradients."""

import torch
from torch import Tensor

from dvc_codec.errors import OutOfRange
from dvc_codec.networks.config import Metric
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.similarity import SMALLEST, ms_ssim
from dvc_codec.networks.structure import MS_SSIM_UNIT


def distortion(a: Planes, b: Planes) -> Tensor:
    """D = (6 MSE_Y + MSE_U + MSE_V) / 8 of samples in [0, 1]; (B,)."""
    return _with_chroma((a.luma - b.luma).pow(2).mean((1, 2, 3)), a, b)


def one_minus_ms_ssim(a: Planes, b: Planes) -> Tensor:
    """1 - MS-SSIM of luma, (B,). Raises OutOfRange below 176 samples wide or high."""
    if min(a.luma.shape[-2:]) < SMALLEST:
        raise OutOfRange(
            f"MS-SSIM of {a.luma.shape[-1]}x{a.luma.shape[-2]}: needs at least "
            f"{SMALLEST} samples wide and high"
        )
    return 1 - ms_ssim(a.luma, b.luma)


def structural_distortion(a: Planes, b: Planes) -> Tensor:
    """:func:`distortion` with (1 - MS-SSIM) / ``MS_SSIM_UNIT`` in place of luma's mean squared
    error; (B,). Raises OutOfRange as :func:`one_minus_ms_ssim`.
    """
    return _with_chroma(one_minus_ms_ssim(a, b) / MS_SSIM_UNIT, a, b)


def plane_distortions(a: Planes, b: Planes, metric: Metric) -> Tensor:
    """Of Y, U and V each, (B, 3): mean squared errors, Y's for "ms-ssim" 1 - MS-SSIM. Raises
    OutOfRange as :func:`one_minus_ms_ssim`.
    """
    if metric == "mse":
        luma = (a.luma - b.luma).pow(2).mean((1, 2, 3))
    else:
        luma = one_minus_ms_ssim(a, b)
    return torch.cat((luma[:, None], (a.chroma - b.chroma).pow(2).mean((2, 3))), 1)


def _with_chroma(luma: Tensor, a: Planes, b: Planes) -> Tensor:
    """Luma's distortion (B,) and the squared errors of chroma, weighed."""
    chroma = (a.chroma - b.chroma).pow(2).mean((1, 2, 3))  # the mean of U's and V's
    return (6 * luma + 2 * chroma) / 8
