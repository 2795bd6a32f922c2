"""Everything learned starts as a correction that is zero, and can learn."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks import p_frame
from dvc_codec.networks.motion_search import MOTION, MOTION_DETAIL
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.reference import Prediction, Reference
from dvc_codec.networks.residual import CHROMA, LUMA
from tests.moving import panned_texture

RATE = torch.tensor([42])


def pictures() -> list[Planes]:
    return [to_planes(p) for p in panned_texture(size=(128, 64), frames=2)]


@pytest.fixture
def network() -> PFrameNetwork:
    torch.manual_seed(6)
    return PFrameNetwork()


def some_reference(network: PFrameNetwork, picture: Planes) -> Reference:
    """One in the middle of a sequence: it has moved, and features are not zero."""
    start = network.start(picture)
    flow = torch.full_like(start.flow, 0.3)
    return replace(start, flow=flow, features=torch.randn_like(start.features))


def some_symbols(height: int = 64, width: int = 128) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(7)

    def plane(channels: int, stride: int) -> Tensor:
        shape = (1, channels, height // stride, width // stride)
        return torch.randint(-2, 3, shape, generator=generator).float()

    return {
        MOTION: plane(2, 16),
        MOTION_DETAIL: plane(30, 16),
        LUMA: plane(64, 8),
        CHROMA: plane(128, 16),
    }


@pytest.mark.parametrize("fast", [False, True])
def test_untrained_prediction_is_the_warped_picture(network: PFrameNetwork, fast: bool) -> None:
    network.fast = fast
    with torch.no_grad():
        reference = some_reference(network, pictures()[0])
        prediction = network.predict(reference, some_symbols(), RATE)
    assert torch.equal(prediction.picture.luma, prediction.warped.luma)
    assert torch.equal(prediction.picture.chroma, prediction.warped.chroma)


@pytest.mark.parametrize("fast", [False, True])
def test_untrained_loop_filter_is_the_identity_but_for_rounding(
    network: PFrameNetwork, fast: bool
) -> None:
    network.fast = fast
    symbols = some_symbols()
    with torch.no_grad():
        reference = some_reference(network, pictures()[0])
        prediction = network.predict(reference, symbols, RATE)
        result = network.finish(reference, prediction, symbols, RATE)
        plain = prediction.picture.plus(
            network.residual.synthesise(symbols[LUMA], symbols[CHROMA], RATE)
        )
    for got, expected in zip(result.picture, plain, strict=True):
        assert float((got - expected.clamp(-0.5, 0.5)).abs().max()) < 0.5001 / 255


def test_untrained_learned_analysis_adds_nothing(network: PFrameNetwork) -> None:
    first, second = pictures()
    with torch.no_grad():
        prediction = network.predict(some_reference(network, first), some_symbols(), RATE)
        latents = network.residual_latents(second, prediction, RATE)
        luma, _ = network.residual.analyse(second.minus(prediction.picture), RATE)
    assert torch.equal(latents[LUMA].values, luma)


def test_where_the_filter_does_nothing_second_latents_are_the_first(
    network: PFrameNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever symbols were chosen: what these leave is what they do not say."""
    monkeypatch.setattr(p_frame, "MADE_GOOD", 1.0)
    first, second = pictures()
    symbols = some_symbols()
    with torch.no_grad():
        prediction = network.predict(some_reference(network, first), symbols, RATE)
        response = network.response(prediction, RATE)
        latents = network.residual_latents(second, prediction, RATE, response)
        again = network.second_latents(second, prediction, symbols, RATE, response)
    assert list(again) == list(latents)
    for name, one in latents.items():
        torch.testing.assert_close(again[name].values, one.values, atol=1e-3, rtol=0)


def test_second_latents_ask_for_what_the_filter_takes_away(network: PFrameNetwork) -> None:
    """A filter that darkens everything has luma ask for brighter blocks, by as much as is made
    good.
    """
    first, second = pictures()
    symbols = some_symbols()
    with torch.no_grad():
        prediction = network.predict(some_reference(network, first), symbols, RATE)
        response = network.response(prediction, RATE)
        before = network.second_latents(second, prediction, symbols, RATE, response)[LUMA].values
        assert network.filter.leave.bias is not None
        network.filter.leave.bias.fill_(-1)
        _, done = network._decoded(prediction, symbols, RATE)
        darker = -float(done.correction[0, 0].mean())
        after = network.second_latents(second, prediction, symbols, RATE, response)[LUMA].values
    asked = (after - before)[:, 0] * network.residual.luma_steps(RATE)[:, 0]
    expected = torch.full_like(asked, p_frame.MADE_GOOD * 8 * darker)  # of 64 samples
    torch.testing.assert_close(asked, expected, rtol=0.01, atol=0)
    others = (after - before)[:, 1:]
    torch.testing.assert_close(others, torch.zeros_like(others), atol=1e-3, rtol=0)


def test_untrained_motion_prediction_is_the_smoothed_last_flow(network: PFrameNetwork) -> None:
    flow = torch.full((1, 2, 16, 16), 0.5)
    with torch.no_grad():
        torch.testing.assert_close(network.motion.predict(flow), flow)


def test_residual_comes_back_as_sent(network: PFrameNetwork) -> None:
    """Latents without rounding give the very residual back."""
    first, second = pictures()
    residual = second.minus(first)
    with torch.no_grad():
        back = network.residual.synthesise(*network.residual.analyse(residual, RATE), RATE)
    torch.testing.assert_close(back.luma, residual.luma, atol=1e-5, rtol=0)
    torch.testing.assert_close(back.chroma, residual.chroma, atol=1e-5, rtol=0)


def test_flow_comes_back_as_sent(network: PFrameNetwork) -> None:
    flow = torch.randn(1, 2, 16, 32, generator=torch.Generator().manual_seed(8))
    with torch.no_grad():
        predicted = network.motion.predict(flow * 0.5)
        means, detail = network.motion.analyse(flow, predicted, RATE)
        left = detail - network.motion.expected_detail(means, RATE)
        back = network.motion.synthesise(means, left, predicted, RATE)
    torch.testing.assert_close(back, flow, atol=1e-5, rtol=0)


@pytest.mark.parametrize("rate", [0, 42, 63])
def test_constant_motion_says_nothing_of_the_rest(network: PFrameNetwork, rate: int) -> None:
    means = torch.tensor([37.0, -12.0]).view(1, 2, 1, 1).expand(1, 2, 4, 8)
    with torch.no_grad():
        expected = network.motion.expected_detail(means, torch.tensor([rate]))
    assert expected.shape == (1, 30, 4, 8) and float(expected.abs().max()) < 1e-4


def test_motion_that_changes_evenly_has_no_rest_to_send(network: PFrameNetwork) -> None:
    """A zoom: inside, what the means say is all of it."""
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(48.0), indexing="ij")
    flow = torch.stack((0.1 * x + 0.02 * y, 0.05 * y - 0.03 * x))[None]
    with torch.no_grad():
        means, detail = network.motion.analyse(flow, torch.zeros_like(flow), RATE)
        left = detail - network.motion.expected_detail(means, RATE)
    inside = (..., slice(1, -1), slice(1, -1))
    assert float(detail[inside].abs().max()) > 1  # a step and more, were nothing expected
    assert float(left[inside].abs().max()) < 1e-3


def test_rest_stays_in_its_channels(network: PFrameNetwork) -> None:
    """Symbols of the rest change no block's mean; those of the means change it by their step."""
    symbols = some_symbols()
    zero, nothing = torch.zeros_like(symbols[MOTION]), torch.zeros(1, 2, 16, 32)
    with torch.no_grad():
        flow = network.motion.synthesise(zero, symbols[MOTION_DETAIL], nothing, RATE)
        assert float(torch.nn.functional.avg_pool2d(flow, 4).abs().max()) < 1e-5
        detail = -network.motion.expected_detail(symbols[MOTION], RATE)
        flow = network.motion.synthesise(symbols[MOTION], detail, nothing, RATE)
        steps = network.motion.steps(RATE)[:, network.motion.means]
    expected = symbols[MOTION] * steps / 4
    torch.testing.assert_close(flow[..., ::4, ::4], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(flow[..., 3::4, 3::4], expected, atol=1e-5, rtol=0)


def test_chroma_moves_half_as_far_as_luma(network: PFrameNetwork) -> None:
    """The same ramp in luma pixels stays aligned with itself in chroma after motion."""
    x = torch.arange(128.0).expand(1, 1, 64, 128) / 256
    half = torch.nn.functional.avg_pool2d(x, 2).expand(-1, 2, -1, -1)
    reference = network.start(Planes(x.contiguous(), half.contiguous()))
    flow = torch.full_like(reference.flow, 0.5)  # two luma pixels
    with torch.no_grad():
        means, detail = network.motion.analyse(flow, network.motion.predict(reference.flow), RATE)
        symbols = {MOTION: means, MOTION_DETAIL: torch.zeros_like(detail)}
        warped = network.predict(reference, symbols, RATE).warped
    inside = (..., slice(16, -16), slice(16, -16))
    assert float((warped.luma - x)[inside].mean()) == pytest.approx(2 / 256, rel=1e-3)
    inside = (..., slice(8, -8), slice(8, -8))
    assert float((warped.chroma - half)[inside].mean()) == pytest.approx(2 / 256, rel=1e-3)


def outputs(network: PFrameNetwork) -> tuple[Prediction, Reference, Tensor]:
    first, second = pictures()
    symbols = some_symbols()
    reference = some_reference(network, first)
    prediction = network.predict(reference, symbols, RATE)
    latents = network.residual_latents(second, prediction, RATE)[LUMA].values
    return prediction, network.finish(reference, prediction, symbols, RATE), latents


def test_every_correction_learns(network: PFrameNetwork) -> None:
    """One optimiser step, and prediction, filter, analysis and motion prediction all differ."""
    torch.manual_seed(9)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    before, filtered, latents = outputs(network)
    loss = before.picture.luma.square().mean() + filtered.picture.luma.square().mean()
    flow = torch.full((1, 2, 16, 32), 0.3)
    motion = network.motion.predict(flow)
    (loss + latents.square().mean() + motion.square().mean()).backward()
    optimiser.step()
    with torch.no_grad():
        prediction, result, after = outputs(network)
        assert not torch.equal(prediction.picture.luma, prediction.warped.luma)
        assert not torch.equal(after, latents)
        assert not torch.equal(result.picture.luma, filtered.picture.luma)
        assert not torch.equal(network.motion.predict(flow), motion)
