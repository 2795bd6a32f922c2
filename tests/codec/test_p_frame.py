"""The P frame: chosen, written, read and reconstructed, with nothing trained."""

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.choosing import Quantiser
from dvc_codec.codec.costs import NEVER, law_costs, learned_costs
from dvc_codec.codec.p_frame import (
    Choice,
    Coded,
    FrameCoding,
    PFrameCodec,
    State,
    code_frame,
    reconstruct,
)
from dvc_codec.codec.pictures import to_planes
from dvc_codec.entropy import quantise
from dvc_codec.entropy.law import FINE, LEVELS
from dvc_codec.entropy.mixing import LARGEST, Statistics, escape_bits
from dvc_codec.entropy.mixing_kernel import REACH
from dvc_codec.entropy.scale import index_of
from dvc_codec.errors import DamagedFile
from dvc_codec.networks.distortion import distortion
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.planes import Planes
from dvc_codec.video import Picture
from tests.moving import moving_square, noise, panned_texture, still
from tests.shaken import shaken

RATE = torch.tensor([42])
SIZE = (64, 128)  # of clip()


@pytest.fixture
def codec() -> PFrameCodec:
    torch.manual_seed(1)
    return PFrameCodec()


def clip(frames: int = 4, size: tuple[int, int] = (128, 64)) -> list[Planes]:
    """A texture that moves by 1.5 pixels a frame."""
    return [to_planes(p) for p in panned_texture(size=size, frames=frames)]


class Encoded:
    """One frame as an encoder leaves it."""

    def __init__(
        self,
        codec: PFrameCodec,
        picture: Planes,
        state: State,
        rate: Tensor,
        statistics: Mapping[str, Statistics],
    ) -> None:
        self.before, self.statistics = state, statistics
        with torch.no_grad():
            self.coded: Coded = code_frame(codec, picture, state, rate, learned_costs(statistics))
        self.payload, self.sizes, self.statistics_after = symbols.write(
            codec.prior,
            statistics,
            self.coded.sent,
            self.coded.fine,
            self.coded.lifts,
            state.past,
        )


def encode(codec: PFrameCodec, pictures: list[Planes], rate: Tensor = RATE) -> list[Encoded]:
    """A group of pictures, the first one as it is."""
    state, statistics = codec.start(pictures[0]), codec.prior.statistics()
    frames = []
    for picture in pictures[1:]:
        frames.append(Encoded(codec, picture, state, rate, statistics))
        state, statistics = frames[-1].coded.state, frames[-1].statistics_after
    return frames


def read_frame(
    codec: PFrameCodec,
    statistics: Mapping[str, Statistics],
    payload: bytes,
    past: Mapping[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Statistics], dict[str, list[int]]]:
    with torch.no_grad():
        return symbols.read(codec.prior, statistics, payload, past)


def assert_same(ours: Mapping[str, Statistics], theirs: Mapping[str, Statistics]) -> None:
    for name, mine in ours.items():
        np.testing.assert_array_equal(mine.counters, theirs[name].counters, name)
        np.testing.assert_array_equal(mine.weights, theirs[name].weights, name)


def mean_distortion(frames: list[Encoded], pictures: list[Planes]) -> float:
    pairs = zip(frames, pictures[1:], strict=True)
    return float(np.mean([float(distortion(f.coded.state.reference.picture, p)) for f, p in pairs]))


def test_an_untrained_codec_codes_and_pays_for_quality(codec: PFrameCodec) -> None:
    pictures, found = clip(), []
    for index in (0, 21, 42, 63):
        frames = encode(codec, pictures, torch.tensor([index]))
        d = mean_distortion(frames, pictures)
        found.append((sum(len(f.payload) for f in frames), -10 * math.log10(d)))
    sizes, psnr = zip(*found, strict=True)
    assert list(sizes) == sorted(set(sizes)), f"bytes by lambda: {sizes}"
    assert list(psnr) == sorted(set(psnr)), f"PSNR by lambda: {psnr}"
    assert psnr[0] > 33 and psnr[-1] > 40
    assert sizes[-1] * 8 / (3 * 128 * 64) < 1  # bits per pixel; 12 without any coding


def test_motion_is_worth_it(codec: PFrameCodec) -> None:
    """The prediction of a moving texture is far better than the picture before."""
    first, second = clip(2)
    frame = encode(codec, [first, second])[0]
    moved = float(distortion(frame.coded.prediction.picture, second))
    assert moved < 0.1 * float(distortion(first, second))


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("make", [panned_texture, moving_square, noise])
def test_what_is_written_is_read_frame_after_frame(
    codec: PFrameCodec, make: Callable[..., list[Picture]], trained: bool
) -> None:
    if trained:
        shaken(codec)
    pictures = [to_planes(p) for p in make(size=(120, 50), frames=4)]
    statistics = codec.prior.statistics()
    past = codec.start(pictures[0]).past
    for frame in encode(codec, pictures, torch.tensor([55])):
        read, sent, statistics, lifts = read_frame(codec, statistics, frame.payload, past)
        for name, plane in frame.coded.symbols.items():
            assert torch.equal(read[name], plane), name
            assert torch.equal(sent[name], frame.coded.sent[name]), name
            assert lifts[name] == frame.coded.lifts[name], name
        assert_same(statistics, frame.statistics_after)
        past = {name: plane.abs() for name, plane in sent.items()}
        for name, plane in frame.coded.state.past.items():
            assert torch.equal(past[name], plane), name


def test_padding_is_not_coded_and_repeats_the_border(codec: PFrameCodec) -> None:
    """A picture of 72x40 takes what a covered one of 80x48 does, whatever lies beyond, and both
    sides go on from the same reference.
    """
    shaken(codec)
    height, width = 40, 72
    pictures = [to_planes(p) for p in panned_texture(size=(width, height), frames=4)]
    assert pictures[0].luma.shape[-2:] == (64, 128)
    state, statistics = codec.start(pictures[0], (height, width)), codec.prior.statistics()
    covered = codec.prior.covered(height, width)
    assert covered == (48, 80)
    reference, past = state.reference, state.past
    for picture in pictures[1:]:
        dirty = Planes(picture.luma.clone(), picture.chroma.clone())
        dirty.luma[..., 48:, :] += 0.2 * torch.randn_like(dirty.luma[..., 48:, :])
        frame = Encoded(codec, dirty, state, RATE, statistics)
        read, sent, statistics, _ = read_frame(codec, statistics, frame.payload, past)
        assert sent["luma"].shape[-2:] == (6, 10) and read["luma"].shape[-2:] == (8, 16)
        assert not read["luma"][..., 6:, :].any() and not read["motion"][..., 5:].any()
        with torch.no_grad():
            reference = reconstruct(codec.network, reference, read, RATE, covered)
        state, past = frame.coded.state, {name: plane.abs() for name, plane in sent.items()}
        seen, luma = state.reference.picture, reference.picture.luma
        assert torch.equal(luma, seen.luma)
        assert torch.equal(reference.picture.chroma, seen.chroma)
        assert torch.equal(luma[..., 48:, :80], luma[..., 47:48, :80].expand(1, 1, 16, 80))
        assert torch.equal(luma[..., 80:], luma[..., 79:80].expand(1, 1, 64, 48))


def test_reading_needs_no_network(codec: PFrameCodec, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = encode(codec, clip(2))[0]

    def never(*_: object) -> None:
        raise AssertionError("the network was asked")

    for call in ("start", "motion_latents", "predict", "residual_latents", "finish"):
        monkeypatch.setattr(PFrameNetwork, call, never)
    read, *_ = read_frame(codec, frame.statistics, frame.payload, frame.before.past)
    for name, plane in frame.coded.symbols.items():
        assert torch.equal(read[name], plane), name


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("trained", [False, True])
def test_the_decoder_reconstructs_the_encoder_s_state(
    codec: PFrameCodec, fast: bool, trained: bool
) -> None:
    if trained:
        shaken(codec)
    codec.network.fast = fast
    pictures = clip()
    reference = codec.start(pictures[0]).reference
    for frame in encode(codec, pictures):
        with torch.no_grad():
            reference = reconstruct(codec.network, reference, frame.coded.symbols, RATE, SIZE)
        theirs = frame.coded.state.reference
        for mine, other in (
            (reference.picture.luma, theirs.picture.luma),
            (reference.picture.chroma, theirs.picture.chroma),
            (reference.older.luma, theirs.older.luma),
            (reference.flow, theirs.flow),
            (reference.features, theirs.features),
        ):
            assert torch.equal(mine, other)


def test_the_state_holds_pictures_on_the_8_bit_grid(codec: PFrameCodec) -> None:
    picture = encode(codec, clip(2))[0].coded.state.reference.picture
    levels = (picture.luma + 0.5) * 255
    assert float((levels - levels.round()).abs().max()) < 1e-3
    assert float(picture.luma.min()) >= -0.5 and float(picture.luma.max()) <= 0.5


def test_a_batch_of_two_is_two_batches_of_one(codec: PFrameCodec) -> None:
    shaken(codec)
    a, b = clip(2), [to_planes(p) for p in moving_square(size=(128, 64), frames=2)]
    rates = torch.tensor([20, 50])
    together = [
        Planes(torch.cat((x.luma, y.luma)), torch.cat((x.chroma, y.chroma)))
        for x, y in zip(a, b, strict=True)
    ]
    with torch.no_grad():
        both = code_frame(codec, together[1], codec.start(together[0]), rates)
        for number, pictures in enumerate((a, b)):
            one = code_frame(
                codec, pictures[1], codec.start(pictures[0]), rates[number : number + 1]
            )
            for name in one.bits:
                got = float(both.bits[name][number])
                assert got == pytest.approx(float(one.bits[name]), rel=1e-3, abs=0.1)
            prediction = both.prediction.picture.luma[number : number + 1]
            torch.testing.assert_close(prediction, one.prediction.picture.luma, atol=1e-4, rtol=0)
            luma = both.state.reference.picture.luma[number : number + 1]
            # a rounding edge may fall the other way: then it is a level apart, rarely
            apart = (luma - one.state.reference.picture.luma).abs() > 1e-4
            assert float(apart.float().mean()) < 1e-3


def estimate(frame: Encoded) -> float:
    return sum(float(bits) for bits in frame.coded.bits.values())


@pytest.mark.parametrize("make", [panned_texture, noise])
def test_sizes_add_up_to_the_bytes(codec: PFrameCodec, make: Callable[..., list[Picture]]) -> None:
    pictures = [to_planes(p) for p in make(size=(192, 128), frames=3)]
    for frame in encode(codec, pictures, torch.tensor([60])):
        assert list(frame.sizes) == [plane.name for plane in codec.prior.planes]
        assert min(frame.sizes.values()) >= 0
        assert sum(frame.sizes.values()) == pytest.approx(8 * len(frame.payload), abs=16)


def test_a_plane_of_which_nothing_is_sent_has_no_size(codec: PFrameCodec) -> None:
    frame = encode(codec, clip(2), torch.tensor([60]))[0]
    sent = {**frame.coded.sent, "luma": torch.zeros_like(frame.coded.sent["luma"])}
    lifts = {**frame.coded.lifts, "luma": [0] * len(frame.coded.lifts["luma"])}
    payload, sizes, _ = symbols.write(
        codec.prior, frame.statistics, sent, frame.coded.fine, lifts, frame.before.past
    )
    assert sizes["luma"] < 0.1 * frame.sizes["luma"]
    before = ("motion", "motion_detail")
    assert [sizes[name] for name in before] == [frame.sizes[name] for name in before]
    saved = frame.sizes["luma"] - sizes["luma"]
    assert 8 * (len(frame.payload) - len(payload)) > 0.9 * saved


def test_estimated_bits_come_near_the_bytes_as_statistics_learn(codec: PFrameCodec) -> None:
    """From above: contexts know more than a channel and a scale index."""
    pictures = [to_planes(p) for p in panned_texture(size=(192, 128), frames=7)]
    frames = encode(codec, pictures, torch.tensor([60]))
    shares = [8 * len(frame.payload) / estimate(frame) for frame in frames]
    assert shares[0] < shares[1] < shares[-1]
    assert 0.85 < shares[-1] < 1


def test_fresh_statistics_cost_what_the_law_says(codec: PFrameCodec) -> None:
    frame = encode(codec, clip(2), torch.tensor([60]))[0]
    for name in ("luma", "chroma"):
        sent, fine = frame.coded.sent[name], frame.coded.fine[name]
        by_law = law_costs(name, fine)(sent)[index_of(fine) > 0].sum()
        assert float(frame.coded.bits[name]) == pytest.approx(float(by_law), rel=0.02), name


def test_costs_of_some_cells_are_those_of_the_whole(codec: PFrameCodec) -> None:
    """Of each channel's own statistics, and whichever channels a step has."""
    statistics = encode(codec, clip(3), torch.tensor([60]))[-1].statistics_after
    generator = torch.Generator().manual_seed(1)
    sent = torch.randint(-20, 21, (1, 64, 3, 5), generator=generator).float()
    fine = torch.randint(FINE, (LEVELS - 1) * FINE, sent.shape, generator=generator).float()
    whole = learned_costs(statistics)("luma", fine)(sent)
    lengths = statistics["luma"].lengths().reshape(64, LEVELS, -1)
    for _ in range(50):
        c, y, x = (int(torch.randint(n, (1,), generator=generator)) for n in (64, 3, 5))
        level, symbol = int(index_of(fine)[0, c, y, x]), int(sent[0, c, y, x])
        expected = lengths[c, level, REACH + max(-REACH, min(symbol, REACH))]
        expected += escape_bits(np.array([abs(symbol)], np.float32))[0]
        assert float(whole[0, c, y, x]) == pytest.approx(float(expected), rel=1e-5)
    cells = torch.randperm(sent.numel(), generator=generator)[:200]
    some = learned_costs(statistics)("luma", fine)(sent.flatten()[cells], cells)
    assert torch.equal(some, whole.flatten()[cells])
    channels = torch.tensor([3, 17, 40])
    cost = learned_costs(statistics)("luma", fine[:, channels], channels)
    assert torch.equal(cost(sent[:, channels]), whole[:, channels])
    cells = torch.arange(0, 45, 2)
    assert torch.equal(
        cost(sent[:, channels].flatten()[cells], cells), whole[:, channels].flatten()[cells]
    )


def test_what_has_no_scale_is_too_dear_to_send(codec: PFrameCodec) -> None:
    fine = torch.tensor([0.0, FINE / 2 - 1, FINE]).view(1, 1, 1, 3).expand(1, 64, 1, 3)
    cost = learned_costs(codec.prior.statistics())("luma", fine)
    assert not cost(torch.zeros(1, 64, 1, 3))[..., :2].any()
    assert bool((cost(torch.ones(1, 64, 1, 3))[..., :2] >= NEVER).all())
    assert bool((cost(torch.ones(1, 64, 1, 3))[..., 2] < 100).all())


def test_motion_of_all_the_picture_costs_the_first_step_s_bits(codec: PFrameCodec) -> None:
    """A pan: what every fourth block says holds for the others, but for a few."""
    pictures = [to_planes(p) for p in panned_texture(size=(256, 192), frames=2)]
    frame = encode(codec, pictures)[0]
    name = next(plane.name for plane in codec.prior.planes if plane.smooth)
    values, sent, fine = (
        planes[name] for planes in (frame.coded.symbols, frame.coded.sent, frame.coded.fine)
    )
    first, *others = (s.cells for s in codec.prior.scale(name).steps(*values.shape[-2:]))
    later = torch.stack(others).any(0)
    assert bool((values[:, 0] != 0).all())  # all of it moves
    assert bool((sent[:, 0, first] != 0).all())
    assert float((sent[..., later] != 0).float().mean()) < 0.03
    bits = learned_costs(frame.statistics)(name, fine)(sent)
    assert float(bits[..., later].sum()) < 0.25 * float(bits[..., first].sum())


def test_latents_that_no_symbol_reaches_are_clipped(
    codec: PFrameCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up and down from step to step: differences from predictions are what must fit the coder."""
    assert isinstance(codec.network, PFrameNetwork)
    analyse = codec.network.motion.analyse

    def far(*args: Tensor) -> tuple[Tensor, Tensor]:
        means, detail = analyse(*args)
        cells = torch.arange(means[0, 0].numel()).view_as(means[0, 0])
        return 1e6 * torch.cos(2.0 * cells).sign().expand_as(means), detail

    monkeypatch.setattr(codec.network.motion, "analyse", far)
    frame = encode(codec, clip(2))[0]
    assert max(float(s.abs().max()) for s in frame.coded.sent.values()) == LARGEST
    assert max(float(s.abs().max()) for s in frame.coded.symbols.values()) > LARGEST
    read, *_ = read_frame(codec, frame.statistics, frame.payload, frame.before.past)
    for name, plane in frame.coded.symbols.items():
        assert torch.equal(read[name], plane), name


def test_estimated_bits_count_escapes(codec: PFrameCodec) -> None:
    pictures = [to_planes(p) for p in noise(size=(128, 64), frames=4)]
    frame = encode(codec, pictures, torch.tensor([63]))[-1]
    assert max(float(s.abs().max()) for s in frame.coded.sent.values()) > REACH
    assert 8 * len(frame.payload) == pytest.approx(estimate(frame), rel=0.03)


def test_a_still_picture_costs_nothing_to_repeat(codec: PFrameCodec) -> None:
    pictures = [to_planes(p) for p in still(panned_texture(size=(128, 64), frames=1)[0], 4)]
    frames = encode(codec, pictures)
    for frame in frames:
        assert all(float(plane.abs().max()) == 0 for plane in frame.coded.symbols.values())
        assert torch.equal(frame.coded.state.reference.picture.luma, pictures[0].luma)
    assert len(frames[-1].payload) <= 16


@pytest.mark.parametrize("quantiser", ["rdo", "round"])
def test_nothing_is_sent_at_the_lowest_scale(
    codec: PFrameCodec, quantiser: Quantiser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quantise, "LIFTS", 0)
    with torch.no_grad():
        for plane in codec.prior.planes:
            for name, parameter in codec.prior.scale(plane.name).named_parameters():
                if name.endswith("bias") and ("_out" in name or name.startswith("leave")):
                    parameter.fill_(-600)
    codec.quantiser = quantiser
    frame = encode(codec, clip(2))[0]
    assert len(frame.payload) <= 4
    assert all(float(plane.abs().max()) == 0 for plane in frame.coded.symbols.values())


def test_rate_distortion_choice_is_better_than_rounding(codec: PFrameCodec) -> None:
    pictures, found = clip(), {}
    quantisers: tuple[Quantiser, ...] = "rdo", "round"
    for quantiser in quantisers:
        codec.quantiser = quantiser
        frames = encode(codec, pictures)
        d = 3 * mean_distortion(frames, pictures)
        found[quantiser] = 1024 * d + sum(8 * len(f.payload) for f in frames) / (128 * 64)
    assert found["rdo"] < 0.95 * found["round"]


def test_training_and_encoder_choose_alike(
    codec: PFrameCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a gradient asked for, the same symbols come out of the same costs."""
    monkeypatch.setattr(quantise, "LIFTS", 0)  # which training does without
    first, second = clip(2)
    state = codec.start(first)
    learning = code_frame(codec, second, state, RATE, law_costs)
    with torch.no_grad():
        coding = code_frame(codec, second, state, RATE, law_costs)
    assert learning.symbols["luma"].requires_grad
    for name, plane in coding.symbols.items():
        torch.testing.assert_close(learning.symbols[name].detach(), plane, atol=1e-4, rtol=0)


def test_coding_leaves_the_statistics_it_is_given_alone(codec: PFrameCodec) -> None:
    """Both ways: what a group begins with is kept for the next one."""
    statistics = codec.prior.statistics()
    kept = {name: each.copy() for name, each in statistics.items()}
    first, second = clip(2)
    frame = Encoded(codec, second, codec.start(first), RATE, statistics)
    assert_same(statistics, kept)
    read_frame(codec, statistics, frame.payload, frame.before.past)
    assert_same(statistics, kept)
    for name, after in frame.statistics_after.items():
        if frame.coded.sent[name].any():
            assert (after.counters != kept[name].counters).any(), name
            assert (after.weights != kept[name].weights).any(), name
    assert frame.coded.sent["luma"].any()


def test_a_damaged_payload_reads_as_something_or_is_damaged(codec: PFrameCodec) -> None:
    frame = encode(codec, clip(2), torch.tensor([60]))[0]
    random = np.random.default_rng(1)
    examples = [b"", b"\xff" * 300, frame.payload[: len(frame.payload) // 2]]
    for _ in range(20):
        examples.append(random.bytes(int(random.integers(1, 400))))
        flipped = bytearray(frame.payload)
        flipped[int(random.integers(len(flipped)))] ^= 1 << int(random.integers(8))
        examples.append(bytes(flipped))
    damaged = 0
    for payload in examples:
        try:
            read, *_ = read_frame(codec, frame.statistics, payload, frame.before.past)
        except DamagedFile:
            damaged += 1
            continue
        with torch.no_grad():  # whatever was read can be shown
            result = reconstruct(codec.network, frame.before.reference, read, RATE, SIZE)
        assert bool(result.picture.luma.isfinite().all())
    assert 0 < damaged < len(examples)


def test_the_writer_chooses_cheaper_symbols_than_costs_do(codec: PFrameCodec) -> None:
    """Of the same frame, once the coder has learned from some; errors and real bits together."""
    pictures = clip(4)
    *_, last = encode(codec, pictures)
    state, statistics = last.before, last.statistics
    with torch.no_grad():
        coding = FrameCoding(codec, pictures[-1], state, RATE, learned_costs(statistics))
        ours = coding.choose(0, symbols.SymbolWriter(codec.prior, statistics, state.past))
        theirs = coding.choose()
        again = symbols.SymbolWriter(codec.prior, statistics, state.past)
        for plane in codec.prior.planes:
            name, scale = plane.name, codec.prior.scale(plane.name)
            again.begin(name, theirs.sent[name])
            for number, part in enumerate(scale.steps(*theirs.fine[name].shape[-2:])):
                lift = theirs.lifts[name][number]
                again.step(number, part, part.of(theirs.fine[name]), lift)
    assert ours.writer is not None
    payload, _, after = ours.writer.end()
    read, sent, learned, lifts = read_frame(codec, statistics, payload, state.past)
    for name, chosen in ours.sent.items():
        assert torch.equal(sent[name], chosen), name
        assert torch.equal(read[name], ours.symbols[name]), name
    assert lifts == ours.lifts
    assert_same(after, learned)
    assert ours.errors > 0 and ours.size == ours.writer.bits()

    def cost(choice: Choice, bits: float) -> float:
        with torch.no_grad():
            d = distortion(coding.finish(choice).state.reference.picture, pictures[-1])
        return 1.4 * 1024 * float(d) * pictures[-1].luma.numel() + bits

    assert ours.size != again.bits()
    assert cost(ours, ours.size) < 1.005 * cost(theirs, again.bits())


def test_a_second_look_at_the_residual_leaves_motion_and_the_first_choice_alone(
    codec: PFrameCodec,
) -> None:
    """Its payload is as good as any: what is read is what was chosen. So is the first one's, which
    may be ended after it.
    """
    codec = deepcopy(codec)
    assert codec.network.filter.leave.bias is not None
    codec.network.filter.leave.bias.data.fill_(-1)  # else the first choice is as good as it gets
    pictures = clip(3)
    *_, last = encode(codec, pictures)
    state, statistics = last.before, last.statistics
    with torch.no_grad():
        coding = FrameCoding(codec, pictures[-1], state, RATE, learned_costs(statistics))
        first = coding.choose(0, symbols.SymbolWriter(codec.prior, statistics, state.past))
        second = coding.again(first)
    assert first.prediction is second.prediction
    assert not torch.equal(first.symbols["luma"], second.symbols["luma"])
    for choice in (second, first):
        assert choice.writer is not None
        payload, sizes, _ = choice.writer.end()
        assert abs(sum(sizes.values()) - choice.size) < 1
        read, *_ = read_frame(codec, statistics, payload, state.past)
        for name, chosen in choice.symbols.items():
            assert torch.equal(read[name], chosen), name
            assert name in ("luma", "chroma") or torch.equal(chosen, first.symbols[name])


@pytest.mark.parametrize("width", [-2, -1, 1, 2])
def test_steps_of_motion_can_be_wider(codec: PFrameCodec, width: int) -> None:
    """Motion that is read is what was chosen, on a grid as much wider; wide ones cost fewer bits
    and say less.
    """
    shown = panned_texture(size=(128, 64), frames=2, shift=(1.3, -0.8))
    first, second = (to_planes(picture) for picture in shown)
    state, statistics = codec.start(first), codec.prior.statistics()
    with torch.no_grad():
        coding = FrameCoding(codec, second, state, RATE, learned_costs(statistics))
        writers = [symbols.SymbolWriter(codec.prior, statistics, state.past, w) for w in (0, width)]
        usual, other = (coding.choose(w.width, w) for w in writers)
    assert usual.writer is not None and other.writer is not None
    payload, sizes, _ = other.writer.end()
    read, *_ = read_frame(codec, statistics, payload, state.past)
    for name in ("motion", "motion_detail", "luma", "chroma"):
        assert torch.equal(read[name], other.symbols[name]), name
    steps = other.symbols["motion"] / symbols.step_width(width)
    torch.testing.assert_close(steps, steps.round(), atol=1e-6, rtol=0)
    assert symbols.step_width(width) == pytest.approx(2 ** (width / 2), rel=1e-3)
    before = usual.writer.end()[1]
    assert (sizes["motion"] < before["motion"]) == (width > 0)
    with torch.no_grad():
        flows = [coding.finish(choice).state.reference.flow for choice in (usual, other)]
    assert not torch.equal(*flows)
    torch.testing.assert_close(*flows, atol=0.3, rtol=0)


def test_other_steps_are_better_only_where_that_does_not_hang_on_what_errors_count() -> None:
    def choice(size: float, errors: float) -> Choice:
        nothing = cast(Any, None)
        return Choice(*6 * (nothing,), size, errors, 0, None, nothing)

    usual = choice(1000.0, 4000.0)
    assert choice(990.0, 3990.0).better(usual)
    assert choice(1010.0, 3900.0).better(usual)  # where even a little of the errors counts
    assert not choice(1020.0, 3900.0).better(usual)  # only where much of them counts
    assert not choice(990.0, 4020.0).better(usual)  # only where little does
    assert not usual.better(usual)
