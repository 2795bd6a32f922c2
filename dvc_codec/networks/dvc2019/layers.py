"""Convolutions of the autoencoders: stride 2 down and up, variance kept, biases at zero."""

from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", nn.Conv2d, nn.ConvTranspose2d)


def down(inputs: int, outputs: int, size: int) -> nn.Conv2d:
    """(B, inputs, h, w) -> (B, outputs, h/2, w/2)."""
    layer = nn.Conv2d(inputs, outputs, size, 2, size // 2)
    return _start(layer, inputs * size**2)


def up(inputs: int, outputs: int, size: int) -> nn.ConvTranspose2d:
    """(B, inputs, h, w) -> (B, outputs, 2h, 2w)."""
    layer = nn.ConvTranspose2d(inputs, outputs, size, 2, size // 2, output_padding=1)
    return _start(layer, inputs * size**2 // 4)  # a quarter of the taps meet each output


def small(layer: nn.Conv2d) -> nn.Conv2d:
    """A last layer that starts as a tenth of itself: nearly no correction, yet with gradients."""
    layer.weight.data.mul_(0.1)
    return layer


def _start(layer: Layer, terms: int) -> Layer:
    nn.init.normal_(layer.weight, std=terms**-0.5)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
