"""The post-filter: what it may change, what it knows, and what it can learn."""

from dataclasses import replace

import pytest
import torch

from dvc_codec.codec.registry import build, describe
from dvc_codec.networks.blocks import join
from dvc_codec.networks.compensation import Context
from dvc_codec.networks.config import PFrameConfig
from dvc_codec.networks.p_frame import PFrameNetwork, post_filtered, unit_of_samples
from dvc_codec.networks.planes import Planes, halve, pack, unhalve, unpack
from dvc_codec.networks.post_filter import PostFilter, joined, seen
from dvc_codec.networks.reference import Prediction

SMALL = PFrameConfig(quarter=8, eighth=8, sixteenth=8, features=4, post=8)


def planes(seed: int, height: int = 64, width: int = 128) -> Planes:
    g = torch.Generator().manual_seed(seed)
    return Planes(
        torch.rand(1, 1, height, width, generator=g) - 0.5,
        torch.rand(1, 2, height // 2, width // 2, generator=g) - 0.5,
    )


def prediction(picture: Planes, config: PFrameConfig = SMALL) -> Prediction:
    h, w = picture.luma.shape[-2:]
    g = torch.Generator().manual_seed(9)
    context = Context(
        torch.randn(1, config.quarter, h // 4, w // 4, generator=g),
        torch.randn(1, config.eighth, h // 8, w // 8, generator=g),
    )
    return Prediction(picture, pack(picture), context, torch.zeros(1, 2, h // 4, w // 4))


@torch.inference_mode()
def test_it_starts_as_nothing() -> None:
    torch.manual_seed(1)
    network, rate = PFrameNetwork(SMALL).eval(), torch.tensor([30])
    assert network.post is not None
    given = prediction(planes(1)), planes(2), rate
    done = network.loop_filtered(*given)
    plain = unpack(done.packed)
    started = post_filtered(network.post, plain, done, *given)
    torch.nn.init.normal_(network.post.leave.weight)
    changed = post_filtered(network.post, plain, done, *given)
    for one, other, plane in zip(started, changed, plain, strict=True):
        assert torch.equal(one, plane)
        assert not torch.equal(other, plane)


@pytest.mark.parametrize("of_samples", [False, True])
@torch.inference_mode()
def test_what_it_sees_is_the_same_compiled(of_samples: bool) -> None:
    g = torch.Generator().manual_seed(3)
    known = torch.randn(1, 4 * 5, 16, 32, generator=g).bfloat16()
    unit = torch.rand(1, 6, 32, 64, generator=g) + 0.1 if of_samples else torch.rand(1, 1, 1, 1)
    rate = torch.full((1, 1, 1, 1), 0.3)
    given = planes(1), planes(2), planes(3), known, rate, unit
    expected = join(joined(*given), torch.bfloat16)
    found = seen(*given)
    assert found.shape == expected.shape == (1, 30, 32, 64)
    # the last bit of bfloat16 may hang on the order of a sum, before that nothing does
    torch.testing.assert_close(found, expected, rtol=2**-7, atol=1e-5)
    assert (found != expected).float().mean() < 0.01
    assert found.is_contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def test_nothing_is_predicted_from_what_it_makes() -> None:
    torch.manual_seed(1)
    network, rate = PFrameNetwork(SMALL).eval(), torch.tensor([30])
    assert network.post is not None
    torch.nn.init.normal_(network.post.leave.weight)
    symbols = {"luma": torch.ones(1, 64, 8, 16), "chroma": torch.ones(1, 128, 4, 8)}
    given = network.start(planes(1)), prediction(planes(1)), symbols, rate
    trained = network.finish(*given)
    assert trained.shown is None  # training has no need of it
    network.displays = True
    used = network.finish(*given)
    assert used.shown is not None and not torch.equal(used.shown.luma, used.picture.luma)
    levels = (used.shown.luma + 0.5) * 255
    assert torch.allclose(levels, levels.round(), atol=1e-4)
    for one, other in zip(used.picture, trained.picture, strict=True):
        assert torch.equal(one, other)
    assert torch.equal(used.features, trained.features)


def test_half_size_samples_are_one_place_of_the_picture() -> None:
    """Luma and chroma of a 2x2 block lie in the same cell: misplaced chroma is overlooked."""
    luma, chroma = torch.zeros(1, 1, 64, 64), torch.zeros(1, 2, 32, 32)
    luma[..., 20:22, 8:10], chroma[..., 10, 4] = 1, 1
    cells = halve(Planes(luma, chroma))
    assert cells.sum() == 6 and torch.equal(cells[0, :, 10, 4], torch.ones(6))
    back = unhalve(cells)
    assert torch.equal(back.luma, luma) and torch.equal(back.chroma, chroma)


@torch.inference_mode()
def test_it_knows_where_blocks_begin() -> None:
    """The same picture everywhere: what differs is the place in the block of 16x16 luma samples,
    and that comes again with the next one.
    """
    torch.manual_seed(2)
    post = PostFilter(8, 4).eval()
    torch.nn.init.normal_(post.leave.weight)
    torch.nn.init.normal_(post.phases)
    flat = Planes(torch.zeros(1, 1, 128, 128), torch.zeros(1, 2, 64, 64))
    one = torch.ones(1, 1, 1, 1)
    luma = post(flat, flat, flat, torch.zeros(1, 4, 32, 32), one, one).luma[..., 32:96, 32:96]
    assert luma.std() > 0.01
    assert torch.allclose(luma[..., :32], luma[..., 32:], atol=1e-5)
    assert torch.allclose(luma[..., :32, :], luma[..., 32:, :], atol=1e-5)
    assert not torch.allclose(luma[..., 8:40], luma[..., 16:48], atol=1e-2)


def test_lumas_unit_follows_its_steps() -> None:
    unit = torch.full((1, 1, 1, 1), 0.1)
    plain = prediction(planes(1))
    assert unit_of_samples(unit, plain) is unit
    steps = torch.ones(1, 64, 8, 16)
    steps[:, :, 2, 5] = 3
    units = unit_of_samples(unit, replace(plain, luma_steps=steps))
    assert units.shape == (1, 6, 32, 64)
    assert torch.allclose(units[:, :4, 8:12, 20:24], torch.tensor(0.3))
    assert torch.allclose(units[:, 4:], torch.tensor(0.1))
    assert int((units > 0.2).sum()) == 4 * 16


def test_it_learns_to_take_back_blocking() -> None:
    """Steps at the borders of 8x8 blocks go, as no filter that is blind for them could do it."""
    torch.manual_seed(3)
    post, unit, rate = PostFilter(8, 4), torch.full((1, 1, 1, 1), 0.05), torch.zeros(1, 1, 1, 1)
    optimiser = torch.optim.Adam(post.parameters(), 1e-2)
    memory, ratios = torch.zeros(1, 4, 16, 16), []
    g = torch.Generator().manual_seed(4)
    for _ in range(60):
        smooth = torch.rand(1, 1, 9, 9, generator=g) - 0.5
        luma = torch.nn.functional.interpolate(smooth, size=(64, 64), mode="bicubic")
        chroma = torch.zeros(1, 2, 32, 32)
        offsets = 0.05 * torch.randn(1, 1, 8, 8, generator=g)
        blocky = luma + offsets.repeat_interleave(8, 2).repeat_interleave(8, 3)
        zero = Planes(torch.zeros_like(luma), chroma)
        residual = Planes(blocky - luma.roll(1, 3), chroma)
        done = post(Planes(blocky, chroma), zero, residual, memory, rate, unit)
        ratio = (done.luma - luma).square().mean() / (blocky - luma).square().mean()
        ratios.append(ratio.item())
        optimiser.zero_grad()
        ratio.backward()
        optimiser.step()
    assert ratios[0] == pytest.approx(1)
    assert sum(ratios[-10:]) / 10 < 0.8


def test_weights_say_that_they_have_it() -> None:
    assert "post" not in describe(build("dvc", {"post": 0}))[1]
    name, said = describe(build("dvc", {"post": 16}))
    assert said["post"] == 16
    network = build(name, said).network
    assert isinstance(network, PFrameNetwork) and network.post is not None
    with pytest.raises(ValueError, match="post"):
        build("dvc", {"post": -1})
