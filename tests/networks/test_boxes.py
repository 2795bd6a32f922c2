import pytest
import torch
import torch.nn.functional as F

from dvc_codec.networks.boxes import tile_means, window_means


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("side", [1, 2, 4, 8, 16])
def test_tiles_are_what_pooling_gives(side: int) -> None:
    x = noise(2, 3, 48, 80)
    kept = x.clone()
    assert torch.allclose(tile_means(x, side), F.avg_pool2d(x, side), atol=1e-6)
    assert torch.equal(x, kept)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (30, 52), (7, 9)])
@pytest.mark.parametrize(
    ("window", "stride", "margin"),
    [(5, 1, 2), (7, 1, 3), (8, 2, 3), (4, 2, 1), (3, 1, 1), (1, 1, 0)],
)
def test_windows_are_what_pooling_gives(
    window: int, stride: int, margin: int, height: int, width: int
) -> None:
    x = noise(2, 3, height, width)
    kept = x.clone()
    expected = F.avg_pool2d(x, window, stride, margin, count_include_pad=False)
    assert torch.allclose(window_means(x, window, stride, margin), expected, atol=1e-6)
    assert torch.equal(x, kept)
