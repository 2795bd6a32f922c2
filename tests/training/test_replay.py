"""The replay pool: sequences go on, end, and look the same to luma and chroma."""

from dataclasses import fields

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec, State
from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks.planes import Planes
from dvc_codec.training.replay import ReplayPool, stack, unstack
from tests.moving import panned_texture
from tests.training.clips import moving_clips


def uncoded(luma: Tensor, chroma: Tensor, _: float) -> tuple[Tensor, Tensor]:
    """I frames without loss, so that a slot's state is its picture."""
    return luma, chroma


def pool(clips: Tensor, *, slots: int = 4, rollout: int = 2, longest: int = 7) -> ReplayPool:
    torch.manual_seed(1)
    return ReplayPool(
        clips,
        slots=slots,
        size=64,
        start=PFrameCodec().start,
        code_intra=uncoded,
        longest=longest,
        rollout=rollout,
        seed=3,
    )


def gone_on(state: State, picture: Planes) -> State:
    """The state after ``picture`` in a codec without loss."""
    kind = type(state.reference)
    kept = {f.name: getattr(state.reference, f.name) for f in fields(state.reference)}
    return State(kind(**{**kept, "picture": picture, "older": kept["picture"]}), state.past)


def same(a: Planes, b: Planes) -> bool:
    return torch.equal(a.luma, b.luma) and torch.equal(a.chroma, b.chroma)


def test_what_was_put_is_what_is_taken_next() -> None:
    """Every slot meets its own last picture again, and then the next of its clip."""
    clips, last = moving_clips(4), {}
    sequences = pool(clips)
    begun, met = 0, 0
    for _ in range(40):
        chosen, pictures, state, rates = sequences.take(2)
        for place, number in enumerate(chosen):
            slot = sequences.slots[number]
            assert slot is not None and int(rates[place]) == slot.sequence.rate
            seen = Planes(*(p[place : place + 1] for p in state.reference.picture))
            before = sequences._picture(slot.sequence, slot.position - 1)
            if slot.position > 1:
                assert same(seen, last[number])
                met += 1
            else:
                begun += 1
            assert torch.equal(seen.luma, ReplayPool._batch([before]).luma)
            for k, picture in enumerate(pictures):
                ahead = ReplayPool._batch([sequences._picture(slot.sequence, slot.position + k)])
                assert torch.equal(picture.luma[place : place + 1], ahead.luma)
            last[number] = Planes(*(p[place : place + 1] for p in pictures[-1]))
        sequences.put(chosen, gone_on(state, pictures[-1]))
    assert met > 10 and begun > 8  # sequences go on, and end


def test_neighbouring_pictures_are_neighbours_in_the_clip() -> None:
    clips = moving_clips(2, frames=9)
    sequences = pool(clips, slots=16, longest=25)
    sequences.take(16)
    steps = set()
    for slot in sequences.slots:
        assert slot is not None
        frames = torch.tensor(slot.sequence.frames)
        assert 3 <= len(frames) <= 26 and int(frames.min()) >= 0 and int(frames.max()) < 9
        steps |= set(frames.diff().abs().tolist())
    assert steps == {1, 2}


@pytest.mark.parametrize("rollout", [1, 3])
def test_sequences_are_long_enough_for_a_roll_out(rollout: int) -> None:
    sequences = pool(moving_clips(2), rollout=rollout, longest=8)
    for _ in range(30):
        chosen, pictures, state, _ = sequences.take(3)
        assert len(pictures) == rollout
        sequences.put(chosen, state)


def test_luma_and_chroma_are_augmented_alike() -> None:
    """Clips whose chroma planes are copies of their luma, at half the size."""
    generator = torch.Generator().manual_seed(4)
    half = torch.randint(0, 256, (1, 3, 40, 48), generator=generator, dtype=torch.uint8)
    luma = half.repeat_interleave(2, -1).repeat_interleave(2, -2)
    flat = half.reshape(1, 3, 20, 96)
    sequences = pool(torch.cat((luma, flat, flat), 2), slots=40, longest=2)
    kinds = set()
    _, pictures, state, _ = sequences.take(40)
    for picture in (*pictures, state.reference.picture):
        small = F.avg_pool2d(picture.luma, 2)
        torch.testing.assert_close(picture.chroma, small.expand(-1, 2, -1, -1))
    for slot in sequences.slots:
        assert slot is not None
        s = slot.sequence
        assert s.top % 2 == 0 and s.left % 2 == 0
        kinds.add((s.transpose, s.mirror, s.flip))
    assert len(kinds) == 8


def test_rates_cover_the_ladder() -> None:
    sequences = pool(moving_clips(1), slots=300)
    rates = sequences.take(300)[3]
    assert int(rates.min()) < 10 and int(rates.max()) > 58
    assert float(((rates >= 16) & (rates < 58)).float().mean()) > 0.7


def test_the_same_seed_takes_the_same() -> None:
    clips = moving_clips(3)
    a, b = pool(clips).take(3), pool(clips).take(3)
    assert a[0] == b[0] and torch.equal(a[3], b[3]) and same(a[1][0], b[1][0])


def test_unstacking_undoes_stacking() -> None:
    codec = PFrameCodec()
    states = [
        codec.start(to_planes(p)) for p in panned_texture(size=(64, 64), frames=3, shift=(5, 1))
    ]
    states[1].past["luma"].fill_(7)
    together = stack(states)
    assert len(together.reference.flow) == 3
    for one, back in zip(states, unstack(together), strict=True):
        assert same(one.reference.picture, back.reference.picture)
        assert same(one.reference.older, back.reference.older)
        assert torch.equal(one.reference.features, back.reference.features)
        assert all(torch.equal(one.past[name], back.past[name]) for name in one.past)


def test_unstacked_states_keep_no_batch_alive() -> None:
    state = PFrameCodec().start(Planes(torch.zeros(4, 1, 64, 64), torch.zeros(4, 2, 32, 32)))
    luma = unstack(state)[2].reference.picture.luma
    assert luma.untyped_storage().nbytes() == 4 * 64 * 64
    assert not luma.requires_grad
