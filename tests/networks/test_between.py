"""B frames of the default network: two motions, their mean, and what is expected of motion."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec, code_frame
from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks.motion_search import MOTION, MOTION_BACK, MOTION_BACK_DETAIL, MOTION_DETAIL
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.reference import Reference
from dvc_codec.networks.residual import CHROMA, LUMA
from tests.moving import noise, panned_texture

RATE = torch.tensor([42])
HEIGHT, WIDTH = 64, 128


@pytest.fixture
def network() -> PFrameNetwork:
    torch.manual_seed(6)
    return PFrameNetwork().requires_grad_(False)


def pictures(frames: int, shift: tuple[float, float] = (1.5, 0.0)) -> list[Planes]:
    return [to_planes(p) for p in panned_texture(size=(WIDTH, HEIGHT), frames=frames, shift=shift)]


def silence() -> dict[str, Tensor]:
    """No symbol of any plane."""
    strides = {MOTION: (2, 16), MOTION_DETAIL: (30, 16), LUMA: (64, 8), CHROMA: (128, 16)}
    strides |= {MOTION_BACK: (2, 16), MOTION_BACK_DETAIL: (30, 16)}
    return {
        name: torch.zeros(1, channels, HEIGHT // stride, WIDTH // stride)
        for name, (channels, stride) in strides.items()
    }


def moved(reference: Reference, x: float, y: float, span: int) -> Reference:
    """As if all of the picture had moved so far over so many frames; in cells of the flow."""
    flow = torch.tensor([x, y]).view(1, 2, 1, 1).expand_as(reference.flow).contiguous()
    return replace(reference, flow=flow, span=torch.full_like(reference.span, span))


@pytest.mark.parametrize("fast", [False, True])
def test_between_two_equal_pictures_without_motion_is_that_picture(
    network: PFrameNetwork, fast: bool
) -> None:
    network.fast = fast
    start = network.start(to_planes(noise(size=(WIDTH, HEIGHT), frames=1)[0]))
    between = network.between(start, start, 3, 1)
    prediction = network.predict(between, silence(), RATE)
    done = network.finish(between, prediction, silence(), RATE)
    for got in (prediction.warped, prediction.picture, done.picture):
        assert torch.equal(got.luma, start.picture.luma)
        assert torch.equal(got.chroma, start.picture.chroma)


@pytest.mark.parametrize("fast", [False, True])
def test_untrained_prediction_is_the_mean_of_what_both_motions_fetch(
    network: PFrameNetwork, fast: bool
) -> None:
    """Each fetched as a P frame's; the motion to the future is sent beside the mirrored one."""
    network.fast = fast
    past, future = (network.start(p) for p in pictures(2, (7.0, 3.0)))
    generator = torch.Generator().manual_seed(3)
    symbols = silence()
    ahead, turned = silence(), silence()
    for name, back in ((MOTION, MOTION_BACK), (MOTION_DETAIL, MOTION_BACK_DETAIL)):
        first, second = (
            torch.randint(-3, 4, symbols[name].shape, generator=generator).float() for _ in range(2)
        )
        symbols[name], symbols[back] = first, second
        ahead[name] = first
        turned[name] = second - first
    # what the means say of the rest is a sum of theirs, so it is mirrored with them
    prediction = network.predict(network.between(past, future, 2, 2), symbols, RATE)
    earlier = network.predict(past, ahead, RATE).warped
    later = network.predict(future, turned, RATE).warped
    for got, a, b in zip(prediction.picture, earlier, later, strict=True):
        torch.testing.assert_close(got, (a + b) / 2, atol=2e-4, rtol=0)
        assert float((a - b).abs().max()) > 0.05  # they are not the same anyway
    assert torch.equal(prediction.picture.luma, prediction.warped.luma)
    assert torch.equal(prediction.picture.chroma, prediction.warped.chroma)


@pytest.mark.parametrize(("to_past", "to_future"), [(1, 1), (1, 3), (3, 1)])
def test_steady_motion_need_not_be_sent(
    network: PFrameNetwork, to_past: int, to_future: int
) -> None:
    """Where the later picture came from the earlier one by steady motion, both motions follow."""
    frames = pictures(to_past + to_future + 1, (4.0, 0.0))  # a cell a frame, to the right
    distance = to_past + to_future
    past = network.start(frames[0])
    future = moved(network.start(frames[-1]), -distance, 0.0, distance)
    prediction = network.predict(network.between(past, future, to_past, to_future), silence(), RATE)
    torch.testing.assert_close(prediction.flow[:, 0], torch.full((1, 16, 32), -float(to_past)))
    inside = (..., slice(8, -8), slice(24, -24))
    error = (prediction.picture.luma - frames[to_past].luma)[inside].square().mean()
    assert float(-10 * error.log10()) > 45  # rounding of both pictures is all there is


@pytest.mark.parametrize(("distance", "times"), [(1, 0.5), (2, 1.0), (6, 3.0)])
def test_the_motion_expected_of_a_p_frame_grows_with_its_distance(
    network: PFrameNetwork, distance: int, times: float
) -> None:
    reference = moved(network.start(pictures(1)[0]), 0.5, -0.25, 2)
    prediction = network.predict(network.ahead(reference, distance), silence(), RATE)
    expected = reference.flow * times
    torch.testing.assert_close(prediction.flow, expected, atol=1e-5, rtol=0)


def test_a_reference_knows_how_far_its_flow_goes(network: PFrameNetwork) -> None:
    first, second = pictures(2)
    past = network.start(first)
    assert float(past.span) == float(past.distance) == 1
    ahead = network.ahead(past, 4)
    future = network.finish(ahead, network.predict(ahead, silence(), RATE), silence(), RATE)
    assert float(future.span) == 4 and float(future.distance) == 1
    future = moved(replace(future, picture=second), 2.0, 0.0, 4)
    assert float(future.velocity[0, 0, 0, 0]) == 0.5
    between = network.between(past, future, 3, 1)
    done = network.finish(between, network.predict(between, silence(), RATE), silence(), RATE)
    assert float(done.span) == 3 and float(done.distance) == 1
    assert torch.equal(done.older.luma, first.luma)
    torch.testing.assert_close(done.velocity[:, 0], torch.full((1, 16, 32), 0.5))


@pytest.mark.parametrize("shift", [(1.5, 0.0), (3.0, -2.0)])
def test_a_moving_picture_is_found_half_way(shift: tuple[float, float]) -> None:
    torch.manual_seed(1)
    codec = PFrameCodec()
    first, middle, last = pictures(3, shift)
    rate = torch.tensor([55])
    with torch.no_grad():
        start = codec.start(first)
        ahead = replace(start, reference=codec.network.ahead(start.reference, 2))
        future = code_frame(codec, last, ahead, rate).state
        between = codec.network.between(start.reference, future.reference, 1, 1)
        coded = code_frame(codec, middle, replace(future, reference=between), rate)

    def psnr(planes: Planes) -> float:
        inside = (..., slice(8, -8), slice(8, -8))  # what came in at an edge is in one picture only
        return float(-10 * (planes.luma - middle.luma)[inside].square().mean().log10())

    assert psnr(coded.prediction.picture) > 38
    assert psnr(first) < 33


def test_both_motions_and_the_network_of_b_frames_learn() -> None:
    torch.manual_seed(9)
    network = PFrameNetwork()
    network.warp_gradients = True
    first, middle, last = pictures(3)
    between = network.between(network.start(first), network.start(last), 1, 1)
    symbols = silence()
    motions = [name for name in symbols if name.startswith("motion")]
    for name in motions:
        symbols[name].requires_grad_()
    prediction = network.predict(between, symbols, RATE)
    error = prediction.picture.luma - middle.luma
    error.square().mean().backward()
    for name in motions:
        gradient = symbols[name].grad
        assert gradient is not None and gradient.isfinite().all() and gradient.any(), name
    learns = [p.grad for p in network.compensation_between.parameters() if p.grad is not None]
    assert any(bool(g.any()) for g in learns) and all(bool(g.isfinite().all()) for g in learns)
    assert all(p.grad is None for p in network.compensation.parameters())
