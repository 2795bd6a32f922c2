"""Block transforms start as the orthonormal DCT."""

import math

import pytest
import torch
from torch import Tensor

from dvc_codec.networks.transform import BlockTransform, dct_matrix, frequencies


def direct_dct(block: Tensor) -> Tensor:
    """DCT-II of an n x n block by its definition, a sum over every sample."""
    n = len(block)
    result = torch.zeros(n, n, dtype=torch.float64)
    for u in range(n):
        for v in range(n):
            total = 0.0
            for i in range(n):
                for j in range(n):
                    total += (
                        float(block[i, j])
                        * math.cos(math.pi * (2 * i + 1) * u / (2 * n))
                        * math.cos(math.pi * (2 * j + 1) * v / (2 * n))
                    )
            scale = (math.sqrt(0.5) if u == 0 else 1) * (math.sqrt(0.5) if v == 0 else 1)
            result[u, v] = total * scale * 2 / n
    return result


def noise(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(4)) - 0.5


@pytest.mark.parametrize("size", [4, 8])
def test_it_is_the_dct(size: int) -> None:
    plane = noise(1, 1, 3 * size, 3 * size)
    with torch.no_grad():
        latents = BlockTransform(size, 1)(plane)
    middle = direct_dct(plane[0, 0, size : 2 * size, size : 2 * size])
    found = latents[0, :, 1, 1].view(size, size).double()
    torch.testing.assert_close(found, middle, atol=1e-5, rtol=0)


@pytest.mark.parametrize(("size", "planes"), [(4, 2), (8, 1), (8, 2)])
def test_it_is_orthonormal(size: int, planes: int) -> None:
    plane, transform = noise(2, planes, 64, 128), BlockTransform(size, planes)
    with torch.no_grad():
        latents = transform(plane)
        back = transform.inverse(latents)
    assert latents.shape == (2, planes * size**2, 64 // size, 128 // size)
    assert float(latents.square().sum()) == pytest.approx(float(plane.square().sum()), rel=1e-5)
    torch.testing.assert_close(back, plane, atol=1e-5, rtol=0)


def test_basis_functions_are_orthonormal() -> None:
    m = dct_matrix(8)
    torch.testing.assert_close(m @ m.t(), torch.eye(8), atol=1e-6, rtol=0)


def test_channels_are_ordered_as_frequencies_says() -> None:
    """A wave of vertical frequency u and horizontal frequency v fills channel 8 u + v alone."""
    u, v = 2, 5
    m = dct_matrix(8)
    block = torch.outer(m[u], m[v])
    planes = torch.stack((torch.zeros(24, 24), block.repeat(3, 3)))[None]
    with torch.no_grad():
        latents = BlockTransform(8, 2)(planes)[0, :, 1, 1]
    channel = 64 + 8 * u + v
    assert latents.abs().argmax() == channel and float(latents[channel]) == pytest.approx(1, 1e-5)
    assert frequencies(8, 2)[channel] == u + v
    assert len(frequencies(8, 2)) == 128
    assert frequencies(4, 1)[:5] == [0, 1, 2, 3, 1]
