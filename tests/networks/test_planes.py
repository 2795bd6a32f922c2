"""Pictures inside the networks: packing, padding, 8 bits."""

import pytest
import torch
from torch import Tensor

from dvc_codec.networks.planes import (
    PACKED_CHANNELS,
    Planes,
    from_bytes,
    pack,
    round_to_bytes,
    to_bytes,
    unpack,
)


def samples(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


@pytest.mark.parametrize(("height", "width"), [(1, 1), (37, 51), (64, 64), (65, 130), (48, 63)])
def test_bytes_come_back(height: int, width: int) -> None:
    luma = samples(2, 1, height, width)
    chroma = samples(2, 2, (height + 1) // 2, (width + 1) // 2)
    planes = from_bytes(luma, chroma)
    assert planes.luma.shape[-2] % 64 == 0 and planes.luma.shape[-1] % 64 == 0
    assert planes.chroma.shape[-2:] == tuple(n // 2 for n in planes.luma.shape[-2:])
    back = to_bytes(planes, height, width)
    assert torch.equal(back[0], luma) and torch.equal(back[1], chroma)


def test_padding_repeats_the_last_samples() -> None:
    luma, chroma = samples(1, 1, 37, 51), samples(1, 2, 19, 26)
    y, c = to_bytes(from_bytes(luma, chroma), 64, 64)
    assert torch.equal(y[..., :37, 51:], luma[..., -1:].expand(-1, -1, -1, 13))
    assert torch.equal(y[..., 37:, :51], luma[..., -1:, :].expand(-1, -1, 27, -1))
    assert torch.equal(c[..., :19, 26:], chroma[..., -1:].expand(-1, -1, -1, 6))


def test_unpacking_undoes_packing() -> None:
    planes = Planes(torch.rand(2, 1, 64, 128), torch.rand(2, 2, 32, 64))
    packed = pack(planes)
    assert packed.shape == (2, PACKED_CHANNELS, 16, 32)
    back = unpack(packed)
    assert torch.equal(back.luma, planes.luma) and torch.equal(back.chroma, planes.chroma)


def test_packed_channels_are_one_place_of_the_picture() -> None:
    """Luma and chroma of a 4x4 block lie in the same cell: misplaced chroma is overlooked."""
    luma, chroma = torch.zeros(1, 1, 64, 64), torch.zeros(1, 2, 32, 32)
    luma[..., 20:24, 8:12], chroma[..., 10:12, 4:6] = 1, 1
    cells = pack(Planes(luma, chroma))[0]
    assert torch.equal(cells[:, 5, 2], torch.ones(PACKED_CHANNELS))
    assert float(cells.sum()) == PACKED_CHANNELS


def test_values_are_centred() -> None:
    grey = from_bytes(torch.full((1, 1, 64, 64), 255, dtype=torch.uint8), samples(1, 2, 32, 32))
    assert float(grey.luma.max()) == 0.5


def test_rounding_keeps_bytes_and_clips() -> None:
    luma, chroma = samples(1, 1, 64, 64), samples(1, 2, 32, 32)
    exact = from_bytes(luma, chroma)
    off = Planes(exact.luma + 0.4 / 255, exact.chroma - 0.4 / 255)
    rounded = round_to_bytes(off)
    back = to_bytes(rounded, 64, 64)
    assert torch.equal(back[0], luma) and torch.equal(back[1], chroma)
    assert torch.equal(round_to_bytes(rounded).luma, rounded.luma)
    assert float(round_to_bytes(Planes(exact.luma + 9, exact.chroma)).luma.max()) == 0.5


def test_rounding_passes_gradients_straight_through() -> None:
    luma = torch.rand(1, 1, 8, 8, requires_grad=True)
    round_to_bytes(Planes(luma, torch.zeros(1, 2, 4, 4))).luma.sum().backward()
    assert luma.grad is not None and torch.equal(luma.grad, torch.ones_like(luma))
