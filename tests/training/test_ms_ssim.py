"""Our MS-SSIM against torchmetrics'."""

import pytest
import torch

from dvc_codec.training.ms_ssim import ms_ssim
from tests.networks.test_structure import uneven


@pytest.mark.parametrize("noise", [0.003, 0.05, 0.4])
def test_ms_ssim_is_that_of_torchmetrics(noise: float) -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms

    a = torch.cat((uneven(1), uneven(2)))[..., :200, :]
    b = (a + noise * torch.randn(a.shape, generator=torch.Generator().manual_seed(3))).clamp(
        -0.5, 0.5
    )
    b.requires_grad_()
    theirs = ms(b + 0.5, a + 0.5, data_range=1.0, reduction="none").reshape(-1)
    ours = ms_ssim(b, a)
    assert torch.allclose(ours, theirs, atol=2e-5)
    (gradient,) = torch.autograd.grad(ours.sum(), b, retain_graph=True)
    (wanted,) = torch.autograd.grad(theirs.sum(), b)
    assert torch.allclose(gradient, wanted, rtol=1e-3, atol=1e-7)
