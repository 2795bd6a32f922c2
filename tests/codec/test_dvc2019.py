"""The dvc2019 network and its prior in the codec's loop: what training, encoder and decoder do."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from torch import Tensor

from dvc_codec.codec.choosing import Quantiser
from dvc_codec.codec.costs import law_costs, learned_costs, noise_costs
from dvc_codec.codec.model import load_model, save_model
from dvc_codec.codec.p_frame import Coded, PFrameCodec, State, code_frame, reconstruct
from dvc_codec.codec.pictures import to_planes
from dvc_codec.codec.registry import build, describe
from dvc_codec.codec.symbols import read, write
from dvc_codec.networks.distortion import distortion
from dvc_codec.networks.dvc2019 import Dvc2019Config
from dvc_codec.networks.planes import Planes
from dvc_codec.networks.rate import lagrangian
from tests.moving import panned_texture

RATE = torch.tensor([42])
SMALL = asdict(Dvc2019Config.small())


@pytest.fixture
def codec() -> PFrameCodec:
    torch.manual_seed(1)
    return build("dvc2019", SMALL)


def clip(width: int, height: int, frames: int) -> list[Planes]:
    """A texture that moves by 1.5 pixels a frame."""
    return [to_planes(p) for p in panned_texture(size=(width, height), frames=frames)]


def coded_frames(
    codec: PFrameCodec, width: int, height: int, frames: int = 2
) -> list[tuple[State, Coded, bytes]]:
    """P frames as an encoder codes them: (state before, coded, payload)."""
    first, *rest = clip(width, height, frames + 1)
    state, statistics = codec.start(first), codec.prior.statistics()
    result = []
    for picture in rest:
        with torch.no_grad():
            coded = code_frame(codec, picture, state, RATE, learned_costs(statistics))
        payload, _, statistics = write(
            codec.prior, statistics, coded.sent, coded.fine, coded.lifts, state.past
        )
        result.append((state, coded, payload))
        state = coded.state
    return result


def loss(coded: Coded, picture: Planes) -> Tensor:
    """lambda D + R, and a tenth of the prediction's lambda D, as in training."""
    rate = torch.stack(list(coded.bits.values())).sum(0) / picture.luma[0].numel()
    d = distortion(coded.state.reference.picture, picture)
    predicted = distortion(coded.prediction.picture, picture)
    return ((lagrangian(RATE) * (d + 0.1 * predicted) + rate) / lagrangian(RATE).sqrt()).mean()


@pytest.mark.parametrize(("width", "height"), [(64, 64), (192, 128)])
def test_what_is_read_is_what_was_written(codec: PFrameCodec, width: int, height: int) -> None:
    statistics = codec.prior.statistics()
    for state, coded, payload in coded_frames(codec, width, height):
        with torch.no_grad():
            symbols, _, statistics, _ = read(codec.prior, statistics, payload, state.past)
        assert list(symbols) == ["motion", "hyper", "residual"]
        assert sum(int((plane != 0).sum()) for plane in symbols.values()) > 0
        for name, plane in symbols.items():
            assert torch.equal(plane, coded.symbols[name])


def test_the_decoder_reconstructs_to_the_bit(codec: PFrameCodec) -> None:
    for state, coded, _ in coded_frames(codec, 128, 64):
        with torch.no_grad():
            again = reconstruct(
                codec.network,
                state.reference,
                coded.symbols,
                RATE,
                state.reference.picture.luma.shape[-2:],
            )
        assert torch.equal(again.picture.luma, coded.state.reference.picture.luma)
        assert torch.equal(again.picture.chroma, coded.state.reference.picture.chroma)


def test_estimated_bits_are_the_law_s_and_bytes_are_fewer_for_what_is_learned(
    codec: PFrameCodec,
) -> None:
    (_, first, payload), (_, second, more) = coded_frames(codec, 512, 384)
    estimated = [sum(float(bits) for bits in coded.bits.values()) for coded in (first, second)]
    by_law = sum(float(law_costs(n, first.fine[n])(s).sum()) for n, s in first.symbols.items())
    assert estimated[0] == pytest.approx(by_law, rel=0.01)
    shares = 8 * len(payload) / estimated[0], 8 * len(more) / estimated[1]
    assert 0.5 < shares[0] < shares[1] < 1


def test_use_rounds_and_training_adds_noise(codec: PFrameCodec) -> None:
    first, second = clip(64, 64, 2)
    with torch.no_grad():
        used = code_frame(codec, second, codec.start(first), RATE)
    trained = code_frame(codec, second, codec.start(first), RATE)
    codec.quantiser = "round"
    rounded = code_frame(codec, second, codec.start(first), RATE)
    motion = codec.network.motion_latents(second, codec.start(first).reference, RATE)["motion"]
    assert torch.equal(used.symbols["motion"], motion.values.round())
    assert torch.equal(rounded.symbols["motion"], motion.values.round())
    noise = (trained.symbols["motion"] - motion.values).detach()
    assert 0.4 < float(noise.max()) <= 0.5 and -0.5 <= float(noise.min()) < -0.4


def test_what_is_never_sent_is_rounded_to_zero(codec: PFrameCodec) -> None:
    torch.nn.init.zeros_(codec.prior.get_parameter("scales.motion.level"))
    for _, coded, _ in coded_frames(codec, 64, 64):
        assert not coded.symbols["motion"].any()
        assert coded.bits["motion"] == 0


def test_noisy_symbols_cost_what_whole_ones_cost_where_they_meet() -> None:
    fine = torch.tensor([100.0, 300.0, 500.0])[:, None]
    whole = torch.arange(-4.0, 5.0).expand(3, -1)
    law, noisy = law_costs("", fine), noise_costs("", fine)
    assert torch.allclose(noisy(whole), law(whole), rtol=1e-5)
    between = torch.exp2(-noisy(torch.full((3, 1), 1.25)))
    ends = torch.exp2(-law(torch.tensor([1.0, 2.0]).expand(3, -1)))
    assert torch.allclose(between, ends @ torch.tensor([[0.75], [0.25]]), rtol=1e-5)


# Rounded, a fresh network's hyper symbols are all zero: their weights have nothing to multiply.
IDLE = {f"prior.scales.residual.{layer}.weight" for layer in ("enter", "middle", "leave")}


@pytest.mark.parametrize(("quantiser", "exceptions"), [("noise", set()), ("round", IDLE)])
def test_gradient_reaches_every_parameter(
    codec: PFrameCodec, quantiser: Quantiser, exceptions: set[str]
) -> None:
    codec.quantiser = quantiser
    first, second = clip(128, 128, 2)
    loss(code_frame(codec, second, codec.start(first), RATE), second).backward()
    untouched = {name for name, p in codec.named_parameters() if p.grad is None or not p.grad.any()}
    assert untouched == exceptions


def test_hyper_symbols_feel_the_bits_they_save(codec: PFrameCodec) -> None:
    first, second = clip(64, 64, 2)
    coded = code_frame(codec, second, codec.start(first), RATE)
    (gradient,) = torch.autograd.grad(coded.bits["residual"].sum(), coded.sent["hyper"])
    assert gradient.any()


def test_training_lowers_the_loss(codec: PFrameCodec) -> None:
    first, *rest = clip(64, 64, 3)
    optimiser = torch.optim.Adam(codec.parameters(), lr=2e-3)
    losses = []
    for _ in range(20):
        state = codec.start(first)
        total = torch.zeros(())
        for picture in rest:
            coded = code_frame(codec, picture, state, RATE)
            total = total + loss(coded, picture)
            state = coded.state
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        losses.append(float(total.detach()))
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])


def test_parsing_needs_whole_numbers_only(codec: PFrameCodec) -> None:
    codec.prior.bake()
    hyper = torch.randint(-40, 41, (1, 8, 2, 3)).float()
    fine = codec.prior.scale("residual").first(torch.zeros(1, 16, 8, 12), hyper)
    assert fine.shape == (1, 16, 8, 12)
    assert torch.equal(fine, fine.round())
    assert fine.unique().numel() > 4


def test_weights_too_large_to_be_exact_are_refused(codec: PFrameCodec) -> None:
    torch.nn.init.constant_(codec.prior.get_parameter("scales.residual.middle.weight"), 0.99)
    codec.prior.bake()  # 8 channels are few enough for anything
    large = build("dvc2019", SMALL | {"hyper": 128})
    torch.nn.init.constant_(large.prior.get_parameter("scales.residual.middle.weight"), 0.99)
    with pytest.raises(OverflowError):
        large.prior.bake()


def test_a_codec_is_built_from_what_describes_it(codec: PFrameCodec) -> None:
    name, config = describe(codec)
    again = build(name, json.loads(json.dumps(config)))
    again.load_state_dict(codec.state_dict())
    assert describe(again) == ("dvc2019", SMALL)
    assert describe(build("dvc", {}))[0] == "dvc"
    with pytest.raises(ValueError, match="dvc2019"):
        build("dvc2018", {})


def test_stored_weights_parse_what_trained_ones_wrote(codec: PFrameCodec, tmp_path: Path) -> None:
    levels: Mapping[str, Tensor] = dict(codec.prior.named_parameters())
    for name, parameter in levels.items():
        if name.endswith("level"):
            parameter.data += torch.randn_like(parameter) * 0.1
    save_model(codec, tmp_path / "small.safetensors", "small")  # bakes
    stored = load_model(tmp_path / "small.safetensors").codec
    statistics = stored.prior.statistics()
    for state, coded, payload in coded_frames(codec, 128, 64):
        symbols, _, statistics, _ = read(stored.prior, statistics, payload, state.past)
        assert all(torch.equal(plane, coded.symbols[name]) for name, plane in symbols.items())
