"""The closed form of MS-SSIM against the measure itself."""

import pytest
import torch
import torch.nn.functional as F

from dvc_codec.codec.costs import law_costs
from dvc_codec.codec.p_frame import PFrameCodec, code_frame, reconstruct
from dvc_codec.codec.pictures import to_planes
from dvc_codec.codec.registry import build
from dvc_codec.networks.structure import MS_SSIM_UNIT, StructuralWeights
from dvc_codec.networks.transform import BlockTransform
from tests.moving import panned_texture

SIZE = 256


def uneven(seed: int) -> torch.Tensor:
    """Luma (1, 1, 256, 256) that is rough on the right and nearly flat on the left."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(1, 1, SIZE // 4, SIZE // 4, generator=generator)
    rough = F.interpolate(noise, scale_factor=4, mode="bicubic")
    contrast = torch.linspace(0.01, 0.12, SIZE)
    return (rough * contrast).clamp(-0.5, 0.5)


@pytest.mark.parametrize("channels", [slice(0, 1), slice(1, 3), slice(9, 10), slice(0, 64)])
def test_weights_are_the_metrics_first_order(channels: slice) -> None:
    from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms

    luma, transform = uneven(1), BlockTransform(8, 1)
    error = torch.zeros(1, 64, SIZE // 8, SIZE // 8)
    drawn = torch.randn(error.shape, generator=torch.Generator().manual_seed(2))
    error[:, channels] = 0.01 * drawn[:, channels]
    weighed = (StructuralWeights()(luma) * error.square()).sum() / luma.numel()
    with torch.no_grad():
        changed = luma + transform.inverse(error)
    lost = 1 - ms((changed + 0.5).double(), (luma + 0.5).double(), data_range=1.0)
    assert float(weighed) * MS_SSIM_UNIT == pytest.approx(float(lost), rel=0.2)


def test_steps_are_finer_where_little_hides_errors() -> None:
    steps = StructuralWeights().steps(uneven(1))
    assert (steps[..., :8].mean((0, 2, 3)) < 0.5 * steps[..., -8:].mean((0, 2, 3))).all()
    assert steps[:, 0].mean() < steps[:, 63].mean()


def test_a_decoder_finds_the_encoders_steps() -> None:
    codec: PFrameCodec = build("dvc", {"metric": "ms-ssim"}).eval()
    first, second = (to_planes(picture) for picture in panned_texture(size=(96, 64), frames=2))
    rate = torch.tensor([42])
    with torch.inference_mode():
        state = codec.start(first, (64, 96))
        coded = code_frame(codec, second, state, rate, law_costs)
        decoded = reconstruct(codec.network, state.reference, coded.symbols, rate, (64, 96))
        usual = code_frame(build("dvc", {}), second, state, rate, law_costs)
    assert torch.equal(decoded.picture.luma, coded.state.reference.picture.luma)
    assert not torch.equal(usual.symbols["luma"], coded.symbols["luma"])


def test_a_blocks_weight_is_the_mean_of_its_coefficients() -> None:
    luma = uneven(3)
    weights = StructuralWeights()
    torch.testing.assert_close(weights.of_blocks(luma), weights(luma).mean(1, keepdim=True))
