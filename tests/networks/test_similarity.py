"""Our SSIM and MS-SSIM against torchmetrics'."""

import pytest
import torch
from torch import Tensor

from dvc_codec.networks.similarity import both, ms_ssim, ssim
from tests.networks.test_structure import uneven


def noisy(picture: Tensor, noise: float) -> Tensor:
    chance = torch.Generator().manual_seed(3)
    return (picture + noise * torch.randn(picture.shape, generator=chance)).clamp(-0.5, 0.5)


@pytest.mark.parametrize("noise", [0.003, 0.05, 0.4])
def test_they_are_those_of_torchmetrics_and_so_are_gradients(noise: float) -> None:
    from torchmetrics.functional.image import (
        multiscale_structural_similarity_index_measure,
        structural_similarity_index_measure,
    )

    a = torch.cat((uneven(1), uneven(2)))[..., :200, :]
    b = noisy(a, noise).requires_grad_()
    for ours_of, theirs_of in (
        (ssim, structural_similarity_index_measure),
        (ms_ssim, multiscale_structural_similarity_index_measure),
    ):
        theirs = theirs_of(b + 0.5, a + 0.5, data_range=1.0, reduction="none").reshape(-1)
        ours = ours_of(b, a)
        assert torch.allclose(ours, theirs, atol=2e-5)
        (gradient,) = torch.autograd.grad(ours.sum(), b, retain_graph=True)
        (wanted,) = torch.autograd.grad(theirs.sum(), b)
        assert torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-7)


def test_both_at_once_are_each_alone() -> None:
    a = uneven(1)
    b = noisy(a, 0.05)
    assert torch.allclose(torch.stack(both(a, b)), torch.stack((ssim(a, b), ms_ssim(a, b))))


def test_flat_pictures_and_their_opposites() -> None:
    grey, white = torch.zeros(1, 1, 192, 192), torch.full((1, 1, 192, 192), 0.5)
    assert float(ms_ssim(grey, grey)) == pytest.approx(1, abs=1e-6)
    assert float(ssim(grey, white)) == pytest.approx(2 * 0.5 / 1.25, abs=1e-3)
    a = uneven(1)
    assert float(ms_ssim(a, -a)) == 0  # the opposite structure, which no power may make negative
