"""Where the bits went adds up to the bits that there are."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.block_bits import BLOCK, block_bits
from dvc_codec.codec.costs import learned_costs
from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.p_frame import Coded, PFrameCodec, State, code_frame
from dvc_codec.codec.pictures import to_planes
from dvc_codec.container import FrameKind, group_order
from dvc_codec.networks.planes import Planes
from dvc_codec.video import Picture
from tests.moving import moving_square, noise, panned_texture
from tests.shaken import shaken

P, B = FrameKind.P, FrameKind.B
WIDTH, HEIGHT = 120, 90  # with the padding 128 and 96


@dataclass
class Frame:
    """A coded frame, and the maps of what was read of it."""

    kind: FrameKind
    coded: Coded
    payload: bytes
    maps: Mapping[str, Tensor]


def code(codec: PFrameCodec, shown: Sequence[Picture], rate: int = 60) -> list[Frame]:
    """A group, the first picture as it is."""
    known, pictures = SymbolMemory(codec), PictureMemory(codec)
    planes: list[Planes] = [to_planes(picture) for picture in shown]
    pictures.begin(planes[0])
    known.begin(HEIGHT, WIDTH)
    frames = []
    for place in group_order(len(shown), 2)[1:]:
        kind = P if place.future is None else B
        prior, statistics, past = codec.prior_of(kind), known.statistics(kind), known.past(kind)
        before = State(pictures.of(place), known.past(P), known.past(B))
        with torch.no_grad():
            costs = learned_costs(statistics)
            coded = code_frame(codec, planes[place.number], before, torch.tensor([rate]), costs)
            payload, _, after = symbols.write(
                prior, statistics, coded.sent, coded.fine, coded.lifts, past
            )
            now, sent, _, lifts = symbols.read(prior, statistics, payload, past)
            maps = block_bits(prior, statistics, now, sent, lifts, past)
        known.add(kind, coded.sent, after)
        pictures.add(place, coded.state.reference)
        frames.append(Frame(kind, coded, payload, maps))
    return frames


@pytest.mark.parametrize("make", [panned_texture, noise])
def test_blocks_cost_what_the_encoder_thought(make: Callable[..., list[Picture]]) -> None:
    torch.manual_seed(1)
    frames = code(shaken(PFrameCodec()), make(size=(WIDTH, HEIGHT), frames=5))
    assert [frame.kind for frame in frames] == [P, B, P, B]
    assert any(any(lifts) for frame in frames for lifts in frame.coded.lifts.values())
    for frame in frames:
        assert set(frame.maps) == set(frame.coded.sent)
        for name, plane in frame.maps.items():
            assert plane.shape[0] * BLOCK >= HEIGHT and plane.shape[1] * BLOCK >= WIDTH
            expected = float(frame.coded.bits[name])
            assert float(plane.sum()) == pytest.approx(expected, rel=1e-4, abs=1e-3), name


def test_blocks_cost_about_what_the_payload_has_once_that_is_learned() -> None:
    torch.manual_seed(1)
    frames = code(PFrameCodec(), noise(size=(WIDTH, HEIGHT), frames=7))
    for frame in frames[-2:]:
        total = sum(float(plane.sum()) for plane in frame.maps.values())
        assert total == pytest.approx(8 * len(frame.payload), rel=0.04)


def test_bits_are_where_something_happens() -> None:
    torch.manual_seed(1)
    still = moving_square(size=(WIDTH, HEIGHT), frames=1)
    busy = noise(size=(WIDTH, HEIGHT), frames=2)[1]
    y, u, v = (plane.copy() for plane in (still[0].y, still[0].u, still[0].v))
    y[64:80, 80:96] = busy.y[64:80, 80:96]
    (frame,) = code(PFrameCodec(), [still[0], Picture(y, u, v)])
    luma = frame.maps["luma"]
    assert int(luma.argmax()) == 4 * luma.shape[1] + 5
    assert float(luma[4, 5]) > 0.4 * float(luma.sum()) > 100
