"""How much a squared error of a DCT coefficient matters to MS-SSIM, in closed form: what scales the
quantiser's steps where weights are for that metric. The decoder knows the picture's texture well
enough from its prediction, so nothing is sent.

1 - MS-SSIM of two pictures that are nearly the same is, to first order, the sum over scales j of

    beta_j mean_x( var_j(error)(x) / (2 var_j(picture)(x) + C2) )

with var_j the variance in a Gaussian window at scale j (Wang et al., "Multi-scale structural
similarity for image quality assessment", 2003: contrast and structure; the luminance term is a
thousandth of it). So the error of a coefficient weighs what its basis function leaves in the
windows, over the picture's own texture there.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dvc_codec.networks.transform import dct_matrix

BETAS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
C2 = 0.03**2  # of samples in [0, 1]
WINDOW, SIGMA = 11, 1.5
BLOCK = 8
# 1 - MS-SSIM of luma that is as bad as a mean squared error of 1. At the same rates one is 77 to
# 130 times the other; 30 measured best, by what is then spent on I frames, motion and chroma
# (docs/experiments.md#ms-ssim). Steps depend on it, so files do
MS_SSIM_UNIT = 30.0


class StructuralWeights(nn.Module):
    """Luma of a picture -> weights of the squared errors of its blocks' coefficients; 1 is what
    D says of them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("share", _shares() / MS_SSIM_UNIT, persistent=False)
        self.share: Tensor

    def steps(self, luma: Tensor) -> Tensor:
        """Factors of the quantiser's steps at which all coefficients' errors weigh the same; shapes
        as in :meth:`forward`.
        """
        weights: Tensor = self(luma)
        return weights.rsqrt()

    def forward(self, luma: Tensor) -> Tensor:
        """(B, 1, H, W), H and W multiples of 16 -> (B, 64, H/8, W/8), without gradient."""
        return _weighed(luma, self.share)

    def of_blocks(self, luma: Tensor) -> Tensor:
        """The mean of the weights of a block's coefficients, (B, 1, H/8, W/8), without gradient:
        of errors that may be anything.
        """
        return _weighed(luma, self.share.mean(1, keepdim=True))


@torch.no_grad()
def _weighed(luma: Tensor, shares: Tensor) -> Tensor:
    """(B, 1, H, W) and a row of C shares for each scale -> (B, C, H/8, W/8)."""
    scale = luma.float()
    weights: Tensor | float = 0.0
    for number, share in enumerate(shares):
        inverse = 1 / (2 * _variance(scale) + C2)
        shrink = BLOCK >> number
        if shrink > 1:
            inverse = F.avg_pool2d(inverse, shrink)
        elif shrink == 0:
            inverse = inverse.repeat_interleave(2, -1).repeat_interleave(2, -2)
        weights = weights + inverse * share.view(1, -1, 1, 1)
        scale = F.avg_pool2d(scale, 2)
    assert isinstance(weights, Tensor)
    return weights


def _variance(x: Tensor) -> Tensor:
    """Variance in a Gaussian window around every sample; x: (B, 1, h, w)."""
    both = F.pad(torch.cat((x, x * x)), (WINDOW // 2,) * 4, mode="replicate")
    mean, square = _blurred(_blurred(both, -1), -2).chunk(2)
    return (square - mean * mean).clamp(min=0)


def _blurred(x: Tensor, dim: int) -> Tensor:
    """The window along one dimension, where it fits: sums of slices are ten times as fast as a
    convolution of a single channel.
    """
    taps, middle = window().tolist(), WINDOW // 2
    left = x.shape[dim] - WINDOW + 1
    out: Tensor = x.narrow(dim, middle, left) * taps[middle]
    for k in range(middle):
        pair = x.narrow(dim, k, left) + x.narrow(dim, WINDOW - 1 - k, left)
        out.add_(pair, alpha=taps[k])
    return out


def window() -> Tensor:
    """The Gaussian, (11,), float64."""
    taps = torch.exp(-((torch.arange(WINDOW) - WINDOW // 2).double() ** 2) / (2 * SIGMA**2))
    return taps / taps.sum()


def _shares() -> Tensor:
    """(5, 64): beta_j of every scale times the variance that a coefficient of 1 leaves in all of
    its windows, over samples of the whole.

    Windows' mean squares of a product of two functions are products, and so are squared means.
    """
    largest = 2 ** (len(BETAS) - 1)
    basis = F.pad(dct_matrix(BLOCK).double(), (0, largest - BLOCK))[:, None]  # (8, 1, samples)
    shares = []
    for number, beta in enumerate(BETAS):
        seen = F.avg_pool1d(basis, 2**number)
        blurred = F.conv1d(seen, window().view(1, 1, -1), padding=WINDOW - 1)
        square, mean = (x.square().sum((1, 2)) for x in (seen, blurred))
        left = square[:, None] * square - mean[:, None] * mean
        shares.append(beta * 4**number * left.flatten())
    return torch.stack(shares).float()
