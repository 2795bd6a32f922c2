import pytest
import torch
from torch import Tensor

from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks.dvc2019 import Dvc2019Config, Dvc2019Network
from dvc_codec.networks.dvc2019.compensation import compensate
from dvc_codec.networks.dvc2019.flow import FlowPyramid
from dvc_codec.networks.dvc2019.gdn import GDN, at_least, gdn
from dvc_codec.networks.dvc2019.packing import pack, unpack
from dvc_codec.networks.planes import Planes, round_to_bytes
from tests.moving import panned_texture

RATE = torch.tensor([30])


def picture(width: int, height: int) -> Planes:
    """A soft texture."""
    return to_planes(panned_texture(size=(width, height), frames=1)[0])


@pytest.fixture
def network() -> Dvc2019Network:
    torch.manual_seed(1)
    return Dvc2019Network(Dvc2019Config.small())


@pytest.mark.parametrize(("width", "height"), [(64, 64), (192, 64), (128, 256)])
def test_any_multiple_of_64_keeps_its_shape(
    network: Dvc2019Network, width: int, height: int
) -> None:
    current = picture(width, height)
    reference = network.start(current)
    with torch.no_grad():
        latents = dict(network.motion_latents(current, reference, RATE))
        symbols = {"motion": latents["motion"].values.round()}
        prediction = network.predict(reference, symbols, RATE)
        latents |= network.residual_latents(current, prediction, RATE)
        symbols |= {name: plane.values.round() for name, plane in latents.items()}
        result = network.finish(reference, prediction, symbols, RATE)
    assert list(latents) == ["motion", "hyper", "residual"]
    assert latents["motion"].values.shape == (1, 16, height // 16, width // 16)
    assert latents["hyper"].values.shape == (1, 8, height // 64, width // 64)
    assert latents["residual"].values.shape == (1, 16, height // 16, width // 16)
    for shown in (prediction.warped, prediction.picture, result.picture):
        assert shown.luma.shape == current.luma.shape
        assert shown.chroma.shape == current.chroma.shape


def test_the_paper_sizes_are_the_default() -> None:
    network = Dvc2019Network()
    assert sum(p.numel() for p in network.parameters()) == 4_448_808
    assert sum(p.numel() for p in network.flow.parameters()) == 1_168_890


@pytest.mark.parametrize("width", [64, 128, 1920])
def test_zero_motion_is_the_identity_on_8_bits(width: int) -> None:
    still = picture(width, 64)
    warped = round_to_bytes(compensate(still, torch.zeros(1, 2, 64, width)))
    assert torch.equal(warped.luma, still.luma)
    assert torch.equal(warped.chroma, still.chroma)


def test_motion_symbols_of_zero_move_nothing(network: Dvc2019Network) -> None:
    still = network.start(picture(64, 64))
    prediction = network.predict(still, {"motion": torch.zeros(1, 16, 4, 4)}, RATE)
    assert torch.equal(round_to_bytes(prediction.warped).luma, still.picture.luma)


def test_flow_is_in_luma_pixels_for_luma_and_chroma_alike() -> None:
    before, after = panned_texture(size=(128, 64), frames=2, shift=(-2.0, 4.0))
    flow = torch.tensor([2.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 64, 128)
    warped = compensate(to_planes(before), flow)
    inside = (..., slice(8, -8), slice(8, -8))
    assert torch.allclose(warped.luma[inside], to_planes(after).luma[inside], atol=1.01 / 255)
    assert torch.allclose(warped.chroma[inside], to_planes(after).chroma[inside], atol=1.01 / 255)


def test_a_pyramid_hands_its_flow_down_in_pixels_of_each_level() -> None:
    flow = FlowPyramid(8)
    for level in flow.levels:
        torch.nn.init.zeros_(level[-1].weight)
        torch.nn.init.zeros_(level[-1].bias)
    flow.levels[0][-1].bias.data = torch.tensor([0.5, -0.25])  # of 16 luma pixels
    found = flow(torch.rand(1, 1, 64, 64), torch.rand(1, 1, 64, 64))
    assert torch.equal(found, torch.tensor([8.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 64, 64))


def test_packing_loses_nothing() -> None:
    whole = picture(128, 64)
    again = unpack(pack(whole))
    assert torch.equal(again.luma, whole.luma) and torch.equal(again.chroma, whole.chroma)


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_is_the_formula(inverse: bool) -> None:
    torch.manual_seed(1)
    x, beta, gamma = torch.randn(2, 3, 4, 5), torch.rand(3) + 0.1, torch.rand(3, 3)
    expected = torch.empty_like(x)
    for i in range(3):
        norm = (beta[i] + sum(gamma[i, j] * x[:, j] ** 2 for j in range(3))) ** 0.5
        expected[:, i] = x[:, i] * norm if inverse else x[:, i] / norm
    assert torch.allclose(gdn(x, beta, gamma, inverse), expected, rtol=1e-5)


def test_gdn_starts_as_published_and_its_parameters_cannot_leave_their_range() -> None:
    layer = GDN(3)
    assert torch.allclose(layer.beta, torch.ones(3))
    assert torch.allclose(layer.gamma, 0.1 * torch.eye(3), atol=1e-7)
    layer.root_beta.data.fill_(-5)
    layer.root_gamma.data.fill_(-5)
    assert torch.allclose(layer.beta, torch.full((3,), 1e-6), rtol=1e-3)
    assert torch.equal(layer.gamma, torch.zeros(3, 3))


def test_a_bounded_parameter_only_feels_what_leads_it_back() -> None:
    def gradient(value: float, slope: float) -> Tensor | None:
        x = torch.tensor(value, requires_grad=True)
        (slope * at_least(x, 1.0)).backward()
        return x.grad

    assert gradient(0.5, 1.0) == 0  # would lead further down
    assert gradient(0.5, -1.0) == -1
    assert gradient(2.0, 1.0) == 1
