"""The B frame: chosen, written, read and reconstructed, with nothing trained."""

import numpy as np
import pytest
import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.costs import learned_costs
from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.p_frame import Coded, PFrameCodec, State, code_frame, reconstruct
from dvc_codec.codec.pictures import to_planes
from dvc_codec.codec.registry import build
from dvc_codec.container import FrameKind, Place, group_order
from dvc_codec.entropy.mixing import Statistics
from dvc_codec.errors import WrongVersion
from dvc_codec.networks.distortion import distortion
from dvc_codec.networks.planes import Planes
from tests.moving import moving_square, noise, panned_texture, still
from tests.shaken import shaken

P, B = FrameKind.P, FrameKind.B


@pytest.fixture
def codec() -> PFrameCodec:
    torch.manual_seed(1)
    return build("dvc", {})


class Encoded:
    """A frame of a group as an encoder leaves it."""

    def __init__(self, place: Place, coded: Coded, before: State) -> None:
        self.place, self.coded, self.before = place, coded, before
        self.kind = P if place.future is None else B
        self.payload = b""
        self.sizes: dict[str, int] = {}
        self.statistics_after: dict[str, Statistics] = {}


def encode(codec: PFrameCodec, shown: list[Planes], distance: int, rate: int = 42) -> list[Encoded]:
    """A group in coding order, the first picture as it is."""
    known, pictures = SymbolMemory(codec), PictureMemory(codec)
    pictures.begin(shown[0])
    known.begin(*shown[0].luma.shape[-2:])
    frames = []
    for place in group_order(len(shown), distance)[1:]:
        kind = P if place.future is None else B
        prior, statistics = codec.prior_of(kind), known.statistics(kind)
        before = State(pictures.of(place), known.past(P), known.past(B))
        with torch.no_grad():
            coded = code_frame(
                codec,
                shown[place.number],
                before,
                torch.tensor([rate]),
                learned_costs(statistics),
            )
        frame = Encoded(place, coded, before)
        frame.payload, frame.sizes, frame.statistics_after = symbols.write(
            prior, statistics, coded.sent, coded.fine, coded.lifts, known.past(kind)
        )
        known.add(kind, coded.sent, frame.statistics_after)
        pictures.add(place, coded.state.reference)
        frames.append(frame)
    return frames


def same(a: object, b: object) -> bool:
    """Whether two references are the same to the bit."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return torch.equal(a, b)
    assert type(a) is type(b)
    if a is None:
        return True
    values = (
        zip(a, b, strict=True)
        if isinstance(a, tuple) and isinstance(b, tuple)
        else zip(vars(a).values(), vars(b).values(), strict=True)
    )
    return all(same(x, y) for x, y in values)


@pytest.mark.parametrize("trained", [False, True])
@pytest.mark.parametrize("make", [panned_texture, moving_square, noise])
def test_what_is_written_is_read_in_coding_order(
    codec: PFrameCodec, make: object, trained: bool
) -> None:
    if trained:
        shaken(codec)
    shown = [to_planes(p) for p in make(size=(120, 50), frames=6)]  # type: ignore[operator]
    frames = encode(codec, shown, 4, 55)
    assert [frame.place.number for frame in frames] == [4, 2, 1, 3, 5]
    known = SymbolMemory(codec)
    known.begin(*shown[0].luma.shape[-2:])
    for frame in frames:
        prior, statistics = codec.prior_of(frame.kind), known.statistics(frame.kind)
        with torch.no_grad():
            read, sent, statistics, lifts = symbols.read(
                prior, statistics, frame.payload, known.past(frame.kind)
            )
        for name, plane in frame.coded.symbols.items():
            assert torch.equal(read[name], plane), name
            assert torch.equal(sent[name], frame.coded.sent[name]), name
            assert lifts[name] == frame.coded.lifts[name], name
            mine, other = statistics[name], frame.statistics_after[name]
            np.testing.assert_array_equal(mine.counters, other.counters)
            np.testing.assert_array_equal(mine.weights, other.weights)
        known.add(frame.kind, sent, statistics)
        after = frame.coded.state
        for kind, past in ((P, after.past), (B, after.between)):
            assert all(torch.equal(known.past(kind)[name], past[name]) for name in past)


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("trained", [False, True])
def test_the_decoder_reconstructs_the_encoder_s_pictures(
    codec: PFrameCodec, fast: bool, trained: bool
) -> None:
    if trained:
        shaken(codec)
    codec.network.fast = fast
    shown = [to_planes(p) for p in panned_texture(size=(128, 64), frames=6)]
    pictures = PictureMemory(codec)
    pictures.begin(shown[0])
    for frame in encode(codec, shown, 4):
        with torch.no_grad():
            reference = reconstruct(
                codec.network,
                pictures.of(frame.place),
                frame.coded.symbols,
                torch.tensor([42]),
                (64, 128),
            )
        assert same(reference, frame.coded.state.reference)
        pictures.add(frame.place, reference)


def test_sizes_add_up_to_the_bytes(codec: PFrameCodec) -> None:
    shown = [to_planes(p) for p in panned_texture(size=(192, 128), frames=3)]
    frames = encode(codec, shown, 2, 63)
    assert [frame.kind for frame in frames] == [P, B]
    for frame in frames:
        assert list(frame.sizes) == [plane.name for plane in codec.prior_of(frame.kind).planes]
        assert sum(frame.sizes.values()) == pytest.approx(8 * len(frame.payload), abs=16)


def test_estimated_bits_of_what_nothing_predicts_come_near_the_bytes(codec: PFrameCodec) -> None:
    """P and B frames learn apart: each needs some to learn from."""
    shown = [to_planes(p) for p in noise(size=(128, 64), frames=7)]
    frames = encode(codec, shown, 2, 60)
    for kind in (P, B):
        first, *_, last = (frame for frame in frames if frame.kind is kind)
        of_first, of_last = (sum(float(b) for b in f.coded.bits.values()) for f in (first, last))
        assert of_last > 10_000
        assert 8 * len(last.payload) == pytest.approx(of_last, rel=0.03)
        assert 8 * len(first.payload) < 0.95 * of_first


def test_between_two_equal_pictures_nothing_is_sent(codec: PFrameCodec) -> None:
    shown = [to_planes(p) for p in still(panned_texture(size=(128, 64), frames=1)[0], 5)]
    for frame in encode(codec, shown, 4):
        assert all(float(plane.abs().max()) == 0 for plane in frame.coded.symbols.values())
        assert torch.equal(frame.coded.state.reference.picture.luma, shown[0].luma)
        assert len(frame.payload) <= 48


def test_a_b_frame_of_a_pan_takes_less_than_a_p_frame_and_is_predicted_better(
    codec: PFrameCodec,
) -> None:
    shown = [to_planes(p) for p in panned_texture(size=(128, 64), frames=3, shift=(3.0, 1.0))]
    _, between = encode(codec, shown, 2)
    (alone, _) = encode(codec, shown, 1)
    assert len(between.payload) < len(alone.payload)
    predicted = [
        float(distortion(frame.coded.prediction.picture, shown[1])) for frame in (between, alone)
    ]
    assert predicted[0] < predicted[1]


def test_a_b_frame_leaves_what_p_frames_know_as_it_was(codec: PFrameCodec) -> None:
    shown = [to_planes(p) for p in panned_texture(size=(128, 64), frames=3)]
    _, between = encode(codec, shown, 2)
    before, after = between.before, between.coded.state
    assert after.past is before.past
    assert any(not torch.equal(after.between[n], before.between[n]) for n in after.between)


def test_weights_without_b_frames_refuse_one(codec: PFrameCodec) -> None:
    alone = PFrameCodec(codec.network, codec.prior)
    assert alone.prior_between is None and alone.priors() == [codec.prior]
    first, second, third = (to_planes(p) for p in panned_texture(size=(128, 64), frames=3))
    start = alone.start(first)
    between = alone.network.between(start.reference, alone.network.start(third), 1, 1)
    with pytest.raises(WrongVersion, match="kind B"):
        code_frame(alone, second, State(between, start.past), torch.tensor([42]))
