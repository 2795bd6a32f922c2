"""lambda D + R as design.md has it."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from dvc_codec.codec.importance import of_frame, rate_shift
from dvc_codec.codec.p_frame import PFrameCodec, code_frame
from dvc_codec.codec.pictures import to_planes
from dvc_codec.container import Place
from dvc_codec.errors import OutOfRange
from dvc_codec.networks.distortion import (
    distortion,
    one_minus_ms_ssim,
    structural_distortion,
)
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import lagrangian
from dvc_codec.networks.structure import MS_SSIM_UNIT
from dvc_codec.training.loss import Loss, rollout_loss
from dvc_codec.training.optimisation import parameter_groups
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


def soft_and_sharp(size: int) -> tuple[Planes, Planes]:
    """A texture and a blurred copy of it, of another chroma."""
    sharp = to_planes(panned_texture(size=(size, size), frames=1)[0])
    luma = F.avg_pool2d(F.pad(sharp.luma, (2, 2, 2, 2), mode="replicate"), 5, stride=1)
    return Planes(luma, sharp.chroma * 0.5), sharp


def test_ms_ssim_is_torchmetrics_of_luma() -> None:
    """As its metric gives it for 8-bit levels, one value per sample; chroma counts for nothing."""
    metric = pytest.importorskip("torchmetrics.image").MultiScaleStructuralSimilarityIndexMeasure
    soft, sharp = soft_and_sharp(192)
    levels = [255 * (planes.luma + 0.5) for planes in (soft, sharp)]
    expected = 1 - float(metric(data_range=255.0)(*levels))
    found = one_minus_ms_ssim(soft, sharp)
    assert found.shape == (1,) and float(found) == pytest.approx(expected, rel=1e-3)
    assert 0.005 < expected < 0.5
    pair = Planes(*(torch.cat(planes) for planes in zip(soft, sharp, strict=True)))
    twice = Planes(*(torch.cat((plane, plane)) for plane in sharp))
    both = one_minus_ms_ssim(pair, twice).tolist()
    assert both == pytest.approx([expected, 0.0], rel=1e-3, abs=1e-5)


def test_chroma_counts_beside_ms_ssim_of_luma_as_it_does_beside_squared_errors() -> None:
    soft, sharp = soft_and_sharp(192)
    of_luma = structural_distortion(Planes(soft.luma, sharp.chroma), sharp)
    assert of_luma.tolist() == pytest.approx(
        (6 / 8 / MS_SSIM_UNIT * one_minus_ms_ssim(soft, sharp)).tolist()
    )
    off = Planes(sharp.luma, sharp.chroma + 0.1)
    assert structural_distortion(off, sharp).tolist() == pytest.approx(
        distortion(off, sharp).tolist(), abs=1e-7
    )


def test_ms_ssim_can_be_learned() -> None:
    """The loss has its D, gradients reach what is trained, and steps lower it."""
    torch.manual_seed(1)
    codec = PFrameCodec()
    first, second = (to_planes(p) for p in panned_texture(size=(192, 192), frames=2))
    rate, what = torch.tensor([30]), Loss(prediction=0.0, metric="ms-ssim")
    groups = parameter_groups(codec, 1e-3)
    optimiser = torch.optim.AdamW(groups, weight_decay=0.0)
    losses = []
    for _ in range(4):
        measured, state = rollout_loss(codec, [second], codec.start(first), rate, loss=what)
        losses.append(float(measured.loss.detach()))
        if len(losses) == 1:
            d = float(structural_distortion(state.reference.picture, second).detach())
            lam = float(lagrangian(rate))
            expected = (lam * d + measured.motion + measured.residual) / lam**0.5
            assert losses[0] == pytest.approx(expected, rel=1e-4)
        optimiser.zero_grad()
        measured.loss.backward()
        gradients = [p.grad for g in groups for p in g["params"] if p.grad is not None]
        assert gradients and all(bool(g.isfinite().all()) for g in gradients)
        assert any(
            bool(p.grad.any()) for p in codec.network.filter.parameters() if p.grad is not None
        )
        optimiser.step()
    assert losses[-1] < losses[0], losses


@pytest.mark.parametrize("size", [64, 128])
def test_ms_ssim_of_small_crops_is_refused(size: int) -> None:
    soft, sharp = soft_and_sharp(size)
    with pytest.raises(OutOfRange, match="at least 176"):
        one_minus_ms_ssim(soft, sharp)


@pytest.mark.parametrize("distance", [2, 4])
@pytest.mark.parametrize("warp_gradients", [False, True])
def test_b_frames_learn_and_the_state_is_the_last_anchor_s(
    distance: int, warp_gradients: bool
) -> None:
    torch.manual_seed(1)
    codec = PFrameCodec()
    codec.network.warp_gradients = warp_gradients
    first, *others = (to_planes(p) for p in panned_texture(size=(64, 64), frames=5))
    rate = torch.tensor([50])
    what = Loss(prediction=0.1, frames=(1.0, 1.0, 1.0, 3.0))
    measured, state = rollout_loss(
        codec, others, codec.start(first), rate, loss=what, distance=distance
    )
    measured.loss.backward()
    for part in (codec.network.compensation_between, codec.prior_between):
        gradients = [p.grad for p in part.parameters() if p.grad is not None]
        assert all(bool(g.isfinite().all()) for g in gradients)
        assert any(bool(g.any()) for g in gradients)
    gradients = [p.grad for p in codec.parameters() if p.grad is not None]
    assert all(bool(g.isfinite().all()) for g in gradients)
    # anchors alone, which B frames must not change; with a gradient, or levels would be lifted
    alone = codec.start(first)
    for number in range(distance, 5, distance):
        ahead = codec.network.ahead(alone.reference, distance)
        about = Place(number, number - distance), distance, 5
        index, importance = rate + rate_shift(*about), of_frame(*about, None)
        known = replace(alone, reference=ahead)
        coded = code_frame(codec, others[number - 1], known, index, importance=importance)
        alone = coded.state
    assert torch.equal(state.reference.picture.luma, alone.reference.picture.luma)
    assert torch.equal(state.reference.span, torch.full((1, 1, 1, 1), float(distance)))
    assert all(torch.equal(state.past[name], plane) for name, plane in alone.past.items())
    assert set(state.between) > set(state.past)


def test_frames_with_many_to_follow_are_coded_better() -> None:
    codec = PFrameCodec()
    first, *others = (to_planes(p) for p in panned_texture(size=(64, 64), frames=5))

    def last(following: int) -> tuple[float, float]:
        with torch.no_grad():
            measured, state = rollout_loss(
                codec,
                others,
                codec.start(first),
                torch.tensor([30]),
                distance=4,
                following=following,
            )
        return measured.residual, float(distortion(state.reference.picture, others[-1]))

    (few_bits, few_error), (many_bits, many_error) = last(0), last(28)
    assert many_bits > few_bits and many_error < few_error


def test_a_roll_out_that_distances_do_not_divide_ends_with_a_nearer_anchor() -> None:
    torch.manual_seed(1)
    codec = PFrameCodec()
    first, *others = (to_planes(p) for p in panned_texture(size=(64, 64), frames=4))
    with torch.no_grad():
        _, state = rollout_loss(codec, others, codec.start(first), torch.tensor([50]), distance=2)
    assert float(state.reference.span) == 1
    error = distortion(state.reference.picture, others[-1])
    assert float(error) < float(distortion(first, others[-1]))


def test_gradients_stay_in_their_frame_unless_they_may_go_through_time() -> None:
    """Of a B frame's features, which the next B frame is given."""
    gradients = []
    for through_time in (False, True):
        torch.manual_seed(1)
        codec = PFrameCodec()
        with torch.no_grad():  # corrections that are zero let no gradient through
            for parameter in codec.network.parameters():
                parameter.add_(0.01 * torch.randn_like(parameter))
        first, *others = (to_planes(p) for p in panned_texture(size=(64, 64), frames=5))
        what = Loss(through_time=through_time)
        measured, _ = rollout_loss(
            codec, others, codec.start(first), torch.tensor([50]), loss=what, distance=4
        )
        measured.loss.backward()
        gradients.append([p.grad for p in codec.network.filter.parameters()])
    apart = [
        not torch.equal(a, b)
        for a, b in zip(*gradients, strict=True)
        if a is not None and b is not None
    ]
    assert any(apart)
