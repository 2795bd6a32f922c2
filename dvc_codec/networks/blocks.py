"""The few building blocks everything learned is made of: 3x3 convolutions, LeakyReLU(1/8), pixel
shuffle, residual adds.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SLOPE = 0.125


def conv(inputs: int, outputs: int, stride: int = 1, zero: bool = False) -> nn.Conv2d:
    """3x3 convolution, same size (or halved with stride 2).

    ``zero``: a last layer that starts as no correction at all.
    """
    layer = nn.Conv2d(inputs, outputs, 3, stride, 1)
    if zero:
        nn.init.zeros_(layer.weight)
    else:
        nn.init.kaiming_normal_(layer.weight, a=SLOPE)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def activate(x: Tensor) -> Tensor:
    """LeakyReLU(1/8): exact in bfloat16, cheap, and an integer shift one day."""
    return F.leaky_relu(x, SLOPE)


def use_channels_last(module: nn.Module) -> None:
    """Lay out convolution weights as the fast kernels want them; values stay."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


def join(parts: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    """Concatenate channels of (B, C, h, w) tensors, as ``dtype`` and channels_last, in one pass."""
    if torch.is_grad_enabled():
        whole = torch.cat([part.to(dtype) for part in parts], 1)
        return whole.contiguous(memory_format=torch.channels_last)
    b, _, h, w = parts[0].shape
    channels = [part.shape[1] for part in parts]
    whole = parts[0].new_empty((b, h, w, sum(channels)), dtype=dtype).permute(0, 3, 1, 2)
    for place, part in zip(whole.split(channels, 1), parts, strict=True):
        place.copy_(part)
    return whole


def plain(x: Tensor) -> Tensor:
    """As float32 in the default memory layout, that of pictures: mixed layouts add slowly."""
    return x.to(torch.float32, memory_format=torch.contiguous_format)


class ResidualBlock(nn.Module):
    """x + conv(act(conv(act(x)))), same shape.

    The second convolution starts small, the block near the identity.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = conv(channels, channels)
        with torch.no_grad():
            self.second.weight.mul_(0.3)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.leaky_relu_(self.first(activate(x)), SLOPE)  # in place: nobody else has it
        correction: Tensor = self.second(inner)
        return correction.add_(x)


class Up(nn.Module):
    """1x1 convolution and pixel shuffle: (B, inputs, h, w) -> (B, outputs, 2h, 2w)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(inputs, 4 * outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.pixel_shuffle(self.expand(x), 2)


class RateGain(nn.Module):
    """Multiplies each channel by 1 + a + b * rate; a and b start at zero.

    How one network serves every rate.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.offset = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, rate: Tensor) -> Tensor:
        """x (B, C, h, w), rate (B, 1, 1, 1) in [-1, 1]. In inference mode x itself is changed."""
        gain = 1 + self.offset.view(1, -1, 1, 1) + self.slope.view(1, -1, 1, 1) * rate
        gain = gain.to(x.dtype)
        return x.mul_(gain) if torch.is_inference_mode_enabled() else x * gain
