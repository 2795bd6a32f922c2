"""The replay pool: sequences go on, end, and look the same to luma and chroma."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from dvc_codec.codec.p_frame import PFrameCodec, State
from dvc_codec.errors import OutOfRange
from dvc_codec.networks.planes import Planes
from dvc_codec.training.crops import Window, batch, crop, crops, gather
from dvc_codec.training.intra_frames import IntraBank
from dvc_codec.training.loss import rollout_loss
from dvc_codec.training.replay import Draw, ReplayPool, select
from tests.training.clips import moving_clips


def uncoded(luma: Tensor, chroma: Tensor, _: float) -> tuple[Tensor, Tensor]:
    """I frames without loss, so that a slot's state is its picture."""
    return luma, chroma


def pool(
    clips: Tensor,
    *,
    slots: int = 4,
    rollout: int = 2,
    longest: int = 7,
    draw: Draw | None = None,
    bank: IntraBank | None = None,
) -> ReplayPool:
    torch.manual_seed(1)
    return ReplayPool(
        clips,
        slots=slots,
        size=64,
        start=PFrameCodec().start,
        code_intra=uncoded,
        draw=draw or Draw(longest=longest),
        rollout=rollout,
        seed=3,
        bank=bank,
    )


def gone_on(state: State, picture: Planes) -> State:
    """The state after ``picture`` in a codec without loss."""
    kind = type(state.reference)
    kept = {f.name: getattr(state.reference, f.name) for f in fields(state.reference)}
    reference = kind(**{**kept, "picture": picture, "older": kept["picture"]})
    return replace(state, reference=reference)


def same(a: Planes, b: Planes) -> bool:
    return torch.equal(a.luma, b.luma) and torch.equal(a.chroma, b.chroma)


def picture_of(sequences: ReplayPool, number: int, ahead: int) -> Planes:
    """A slot's picture that is ``ahead`` of its position."""
    slot = sequences.slots[number]
    assert slot is not None
    frame = slot.course.frames[slot.position + ahead]
    planar = sequences.clips[slot.course.clip, frame]
    return batch([crop(planar, slot.course.window, sequences.size)])


def test_what_was_put_is_what_is_taken_next() -> None:
    """Every slot meets its own last picture again, and then the next of its clip."""
    clips, last = moving_clips(4), {}
    sequences = pool(clips)
    begun, met = 0, 0
    for _ in range(40):
        taken = sequences.take(2)
        for place, number in enumerate(taken.slots):
            slot = sequences.slots[number]
            assert slot is not None and int(taken.rates[place]) == slot.course.rate
            seen = Planes(*(p[place : place + 1] for p in taken.state.reference.picture))
            if slot.position > 1:
                assert same(seen, last[number])
                met += 1
            else:
                begun += 1
            assert torch.equal(seen.luma, picture_of(sequences, number, -1).luma)
            for k, picture in enumerate(taken.pictures):
                ahead = picture_of(sequences, number, k)
                assert torch.equal(picture.luma[place : place + 1], ahead.luma)
            last[number] = Planes(*(p[place : place + 1] for p in taken.pictures[-1]))
        sequences.put(taken, gone_on(taken.state, taken.pictures[-1]))
    assert met > 10 and begun > 8  # sequences go on, and end


@pytest.mark.parametrize("distance", [2, 4])
def test_a_sequence_goes_on_from_its_last_anchor(distance: int) -> None:
    """Two steps with B frames of all slots: the second starts where the first's last anchor was."""
    sequences = pool(moving_clips(2, frames=12), slots=2, rollout=4, longest=8)
    codec = PFrameCodec()
    courses = 0
    before: State | None = None
    for _ in range(4):
        taken = sequences.take(2)
        gone = [slot is not None and slot.position > 1 for slot in sequences.slots]
        if before is not None:
            for place, number in enumerate(taken.slots):
                if gone[number]:
                    courses += 1
                    kept = select(before, torch.tensor([number]))
                    mine = select(taken.state, torch.tensor([place]))
                    assert same(mine.reference.picture, kept.reference.picture)
                    assert torch.equal(mine.reference.span, kept.reference.span)
                    for name, plane in kept.between.items():
                        assert torch.equal(mine.between[name], plane)
        with torch.no_grad():
            measured, state = rollout_loss(
                codec, taken.pictures, taken.state, taken.rates, distance=distance
            )
        assert bool(measured.loss.isfinite())
        assert state.reference.span.flatten().tolist() == [float(distance)] * 2
        assert float(state.reference.distance.max()) == 1
        sequences.put(taken, state)
        assert sequences.states is not None
        before = select(sequences.states, torch.arange(2))
    assert courses > 0


def test_states_that_are_not_sound_are_not_kept() -> None:
    sequences = pool(moving_clips(2), slots=2)
    taken = sequences.take(2)
    broken = gone_on(taken.state, Planes(*(p * torch.nan for p in taken.pictures[-1])))
    sequences.put(taken, broken, torch.tensor(False))
    assert sequences.states is not None
    kept = select(sequences.states, torch.tensor(taken.slots))
    assert same(kept.reference.picture, taken.state.reference.picture)
    sequences.put(taken, gone_on(taken.state, taken.pictures[-1]), torch.tensor(True))
    kept = select(sequences.states, torch.tensor(taken.slots))
    assert same(kept.reference.picture, taken.pictures[-1])


def test_neighbouring_pictures_are_neighbours_in_the_clip() -> None:
    clips = moving_clips(2, frames=9)
    sequences = pool(clips, slots=16, longest=25)
    sequences.take(16)
    steps = set()
    for slot in sequences.slots:
        assert slot is not None
        frames = torch.tensor(slot.course.frames)
        assert 3 <= len(frames) <= 26 and int(frames.min()) >= 0 and int(frames.max()) < 9
        steps |= set(frames.diff().abs().tolist())
    assert steps == {1, 2}


@pytest.mark.parametrize(("rollout", "frames"), [(1, 3), (3, 5), (6, 3)])
def test_sequences_are_long_enough_for_a_roll_out(rollout: int, frames: int) -> None:
    sequences = pool(moving_clips(2, frames=frames), rollout=rollout, longest=8)
    for _ in range(30):
        taken = sequences.take(3)
        assert len(taken.pictures) == rollout
        sequences.put(taken, taken.state)


@pytest.mark.parametrize("frames", [1, 2])
def test_clips_that_are_too_short_are_refused(frames: int) -> None:
    with pytest.raises(OutOfRange, match=f"clips of {frames} frames"):
        pool(moving_clips(2, frames=frames))


@pytest.mark.parametrize(
    ("draw", "reason"),
    [(Draw(longest=1), "roll-out of 2"), (Draw(rates=(5, 64)), "rates 5 to 64")],
)
def test_what_cannot_be_drawn_is_refused(draw: Draw, reason: str) -> None:
    with pytest.raises(OutOfRange, match=reason):
        pool(moving_clips(2), draw=draw)


def test_luma_and_chroma_are_augmented_alike() -> None:
    """Clips whose chroma planes are copies of their luma, at half the size."""
    generator = torch.Generator().manual_seed(4)
    half = torch.randint(0, 256, (1, 3, 40, 48), generator=generator, dtype=torch.uint8)
    luma = half.repeat_interleave(2, -1).repeat_interleave(2, -2)
    flat = half.reshape(1, 3, 20, 96)
    sequences = pool(torch.cat((luma, flat, flat), 2), slots=40, longest=2)
    kinds = set()
    taken = sequences.take(40)
    for picture in (*taken.pictures, taken.state.reference.picture):
        small = F.avg_pool2d(picture.luma, 2)
        torch.testing.assert_close(picture.chroma, small.expand(-1, 2, -1, -1))
    for slot in sequences.slots:
        assert slot is not None
        w = slot.course.window
        assert w.top % 2 == 0 and w.left % 2 == 0
        kinds.add((w.transpose, w.mirror, w.flip))
    assert len(kinds) == 8


def test_a_gather_is_what_slices_are() -> None:
    """The GPU's way and the CPU's, every way of turning."""
    pictures = moving_clips(2, 2, size=(96, 80)).flatten(0, 1)
    windows = [Window(2 * n, 4 * n, n & 1 > 0, n & 2 > 0, n & 4 > 0) for n in range(8)]
    chosen = [n % 4 for n in range(8)]
    assert same(crops(pictures, chosen, windows, 64), gather(pictures, chosen, windows, 64))


def test_rates_cover_the_ladder() -> None:
    rates = pool(moving_clips(1), slots=300).take(300).rates
    assert int(rates.min()) < 10 and int(rates.max()) > 58
    assert float(((rates >= 16) & (rates < 58)).float().mean()) > 0.7
    one = pool(moving_clips(1), slots=20, draw=Draw(rates=(5, 5))).take(20).rates
    assert one.tolist() == [5] * 20


def test_the_same_seed_takes_the_same() -> None:
    clips = moving_clips(3)
    a, b = pool(clips).take(3), pool(clips).take(3)
    assert a.slots == b.slots and torch.equal(a.rates, b.rates)
    assert same(a.pictures[0], b.pictures[0])


def test_a_pool_goes_on_from_what_it_kept() -> None:
    clips = moving_clips(3)
    one, other = pool(clips), pool(clips)
    for _ in range(3):
        taken = one.take(2)
        one.put(taken, gone_on(taken.state, taken.pictures[-1]))
    assert other.load_state_dict(one.state_dict())
    for _ in range(5):
        a, b = one.take(3), other.take(3)
        assert a.slots == b.slots and same(a.pictures[1], b.pictures[1])
        assert same(a.state.reference.picture, b.state.reference.picture)
        assert all(torch.equal(a.state.past[n], b.state.past[n]) for n in a.state.past)
        for sequences, taken in ((one, a), (other, b)):
            sequences.put(taken, gone_on(taken.state, taken.pictures[-1]))
    assert not pool(clips, slots=5).load_state_dict(one.state_dict())


def test_i_frames_of_a_bank_begin_its_clips() -> None:
    """Each sequence starts at its I frame's clip and frame, at about its rate."""
    clips = moving_clips(3)
    clips_of, frames_of = np.array([0, 1, 2, 2]), np.array([0, 3, 1, 4])
    pictures = torch.stack([clips[c, f] for c, f in zip(clips_of, frames_of, strict=True)])
    bank = IntraBank(pictures, clips_of, frames_of, np.array([10, 10, 40, 40]))
    sequences = pool(clips, slots=30, bank=bank)
    taken = sequences.take(30)
    for place, number in enumerate(taken.slots):
        slot = sequences.slots[number]
        assert slot is not None
        course = slot.course
        assert (course.clip, course.frames[0]) == (clips_of[course.entry], frames_of[course.entry])
        assert (bank.rates[course.entry] == 10) == (course.rate <= 25)
        luma = taken.state.reference.picture.luma[place]
        assert torch.equal(luma, picture_of(sequences, number, -1).luma[0])
