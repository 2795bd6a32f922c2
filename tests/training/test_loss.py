"""lambda D + R as design.md has it."""

import pytest
import torch

from dvc_codec.codec.p_frame import PFrameCodec, code_frame
from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import lagrangian
from dvc_codec.training.loss import distortion, rollout_loss
from tests.moving import panned_texture


def grey(luma: float, u: float, v: float) -> Planes:
    chroma = torch.tensor([float(u), float(v)]).view(1, 2, 1, 1).expand(1, 2, 32, 32)
    return Planes(torch.full((1, 1, 64, 64), float(luma)), chroma.contiguous())


@pytest.mark.parametrize(
    ("luma", "u", "v", "expected"),
    [(0.1, 0, 0, 6 / 8 * 0.01), (0, 0.1, 0, 0.01 / 8), (0, 0, 0.2, 0.04 / 8)],
)
def test_distortion_weights_planes_six_one_one(
    luma: float, u: float, v: float, expected: float
) -> None:
    found = distortion(grey(luma, u, v), grey(0, 0, 0))
    assert found.shape == (1,) and float(found) == pytest.approx(expected, rel=1e-5)


def test_the_loss_is_lambda_d_plus_r_over_the_root_of_lambda() -> None:
    torch.manual_seed(1)
    codec = PFrameCodec()
    first, second = (to_planes(p) for p in panned_texture(size=(64, 64), frames=2))
    rate = torch.tensor([30])
    measured, state = rollout_loss(codec, [second], codec.start(first), rate, 0.0)
    coded = code_frame(codec, second, codec.start(first), rate)
    d = distortion(coded.state.reference.picture, second).detach()
    bits = sum(float(b.detach()) for b in coded.bits.values()) / 64**2
    lam = float(lagrangian(rate))
    assert measured.rd == pytest.approx(lam * float(d) + bits, rel=1e-4)
    assert measured.motion + measured.residual == pytest.approx(bits, rel=1e-4)
    assert float(measured.loss.detach()) == pytest.approx(measured.rd / lam**0.5, rel=1e-4)
    assert torch.equal(state.reference.picture.luma, coded.state.reference.picture.luma)
    assert len(measured.numbers()) == 6


def test_the_prediction_s_weight_adds_its_distortion() -> None:
    torch.manual_seed(1)
    codec = PFrameCodec()
    first, second = (to_planes(p) for p in panned_texture(size=(64, 64), frames=2))
    rate = torch.tensor([30])
    losses = [
        float(rollout_loss(codec, [second], codec.start(first), rate, w)[0].loss.detach())
        for w in (0.0, 1.0)
    ]
    predicted = code_frame(codec, second, codec.start(first), rate).prediction.picture
    expected = float(lagrangian(rate)) ** 0.5 * float(distortion(predicted, second).detach())
    assert losses[1] - losses[0] == pytest.approx(expected, rel=1e-3)
