"""Symbols to bytes and back: whatever is written is read, both sides learn the same, and rubbish
fails in one way.
"""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dvc_codec.entropy import mixing
from dvc_codec.entropy.law import FINE, LEVELS, LOWEST_MEAN, PER_OCTAVE
from dvc_codec.entropy.mixing import (
    ALPHABET,
    LARGEST,
    LIFT_BITS,
    FrameReader,
    FrameWriter,
    PlaneCoder,
    Statistics,
    Step,
    escape_bits,
    tables,
)
from dvc_codec.entropy.mixing_kernel import COUNTS, END, REACH
from dvc_codec.entropy.prior import parents
from dvc_codec.entropy.scale import LIFTS
from dvc_codec.errors import DamagedFile

PARENTS = np.array(parents(2, 2))  # of eight channels
Floats = NDArray[np.float32]


def steps(levels: Floats) -> list[Step]:
    """Two: a checkerboard of all channels, and the other half."""
    channels, height, width = levels.shape
    y, x = np.mgrid[:height, :width]
    every = np.arange(channels)
    return [Step(n, every, (y + x) % 2 == n, levels) for n in range(2)]


def sent_with(levels: Floats, seed: int = 0, scale: float = 1.0) -> Floats:
    """Symbols as the law of these levels expects them, magnitudes times ``scale``."""
    random = np.random.default_rng(seed)
    mean = scale * LOWEST_MEAN * 2 ** (levels / (FINE * PER_OCTAVE))
    sizes = random.geometric(1 / (1 + mean)) - 1
    return np.where(levels < FINE / 2, 0, sizes * random.choice((-1, 1), sizes.shape)).astype("f")


def written(statistics: Statistics, sent: Floats, levels: Floats, past: Floats) -> bytes:
    writer = FrameWriter()
    plane = PlaneCoder(statistics, sent.copy(), past)
    for step in steps(levels):
        writer.write(plane, step)
    payload = writer.payload()
    assert 8 * len(payload) <= writer.bits() + 16
    return payload


def read(statistics: Statistics, payload: bytes, levels: Floats, past: Floats) -> Floats:
    reader = FrameReader(payload)
    plane = PlaneCoder(statistics, np.zeros_like(levels), past)
    for step in steps(levels):
        reader.read(plane, step)
    reader.end()
    return plane.sent


def round_trip(statistics: Statistics, sent: Floats, levels: Floats, past: Floats) -> bytes:
    """Statistics are left as they were."""
    ours, theirs = statistics.copy(), statistics.copy()
    payload = written(ours, sent, levels, past)
    np.testing.assert_array_equal(read(theirs, payload, levels, past), sent)
    np.testing.assert_array_equal(ours.counters, theirs.counters)
    np.testing.assert_array_equal(ours.weights, theirs.weights)
    return payload


def learned(levels: Floats, scale: float, frames: int = 12) -> Statistics:
    """From frames with magnitudes so many times what their levels say."""
    statistics = Statistics.fresh(PARENTS)
    past = np.zeros_like(levels)
    for seed in range(frames):
        sent = sent_with(levels, seed, scale)
        written(statistics, sent, levels, past)
        past = np.abs(sent)
    return statistics


def some_levels(seed: int = 0, size: tuple[int, int] = (12, 16), highest: int = 400) -> Floats:
    random = np.random.default_rng(seed)
    return random.integers(0, highest, (len(PARENTS), *size)).astype(np.float32)


magnitudes = st.one_of(
    st.integers(-2, 2),
    st.integers(-REACH - 2, REACH + 2),
    st.integers(-LARGEST, LARGEST),
    st.sampled_from([LARGEST, -LARGEST, REACH, -REACH, REACH - 1]),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(magnitudes, min_size=1, max_size=60), st.integers(0, 2**32 - 1))
def test_what_is_written_is_read(values: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = random.integers(1, 6, 2)
    levels = some_levels(seed, (height, width), LEVELS * FINE - FINE)
    sent = np.resize(np.array(values, np.float32), levels.shape)
    sent[levels < FINE / 2] = 0
    past = random.integers(0, 40, levels.shape).astype(np.float32)
    round_trip(Statistics.fresh(PARENTS), sent, levels, past)


def test_frames_after_each_other_are_read_with_what_was_learned() -> None:
    levels = some_levels()
    statistics = learned(levels, 0.3)
    round_trip(statistics, sent_with(levels, 99, 0.3), levels, sent_with(levels, 98, 0.3))


@pytest.mark.parametrize("symbol", [REACH - 1, REACH, REACH + 1, 1000, LARGEST])
@pytest.mark.parametrize("sign", [-1, 1])
def test_symbols_beyond_the_alphabet_are_escaped(symbol: int, sign: int) -> None:
    levels = np.full((8, 2, 3), 300, np.float32)
    sent = np.zeros_like(levels)
    sent[2, 1, 1] = sign * symbol
    payload = round_trip(Statistics.fresh(PARENTS), sent, levels, np.zeros_like(levels))
    less = round_trip(Statistics.fresh(PARENTS), 0 * sent, levels, np.zeros_like(levels))
    assert len(payload) > len(less)


def test_what_has_no_scale_is_not_sent() -> None:
    levels = np.full((8, 9, 9), FINE // 2 - 1, np.float32)
    assert round_trip(Statistics.fresh(PARENTS), 0 * levels, levels, 0 * levels) == b""


def test_nothing_is_no_bytes() -> None:
    assert FrameWriter().payload() == b""
    FrameReader(b"").end()


def test_the_law_is_what_fresh_statistics_start_from() -> None:
    """Symbols that follow it cost what it says, but for what is paid to learn nothing from them."""
    levels = some_levels(3, (40, 40))
    sent = sent_with(levels, 5)
    mean = LOWEST_MEAN * 2 ** (levels / (FINE * PER_OCTAVE))
    each = np.log2(1 + 2 * mean) + np.abs(sent) * np.log2((1 + mean) / mean)
    ideal = each[levels >= FINE / 2].sum()
    bits = 8 * len(round_trip(Statistics.fresh(PARENTS), sent, levels, 0 * levels))
    assert ideal * 0.98 < bits < ideal * 1.05


def test_what_differs_from_the_law_is_learned() -> None:
    levels = np.maximum(150, some_levels(1, (32, 32)))
    sent, past = sent_with(levels, 77, 0.1), np.abs(sent_with(levels, 76, 0.1))
    fresh = len(round_trip(Statistics.fresh(PARENTS), sent, levels, past))
    assert len(round_trip(learned(levels, 0.1), sent, levels, past)) < 0.97 * fresh


def test_neighbours_tell_what_levels_do_not() -> None:
    """Half of a picture is busy, at the same levels everywhere."""
    levels = np.full((8, 24, 24), 300, np.float32)
    sent = sent_with(levels, 1, 3)
    sent[:, :, 12:] = 0
    shuffled = np.random.default_rng(2).permutation(sent.ravel()).reshape(sent.shape)
    halves, mixed = (
        len(round_trip(Statistics.fresh(PARENTS), each, levels, 0 * sent))
        for each in (sent, shuffled)
    )
    assert halves < 0.92 * mixed


def test_signs_that_follow_a_rule_are_learned() -> None:
    levels = np.full((8, 30, 30), 340, np.float32)
    sent = np.abs(sent_with(levels, 1)) + 1
    drawn = sent * np.random.default_rng(1).choice((-1, 1), sent.shape)
    size = [
        len(round_trip(Statistics.fresh(PARENTS), each.astype(np.float32), levels, 0 * sent))
        for each in (sent, drawn)
    ]
    assert size[1] - size[0] > 0.8 * sent.size / 8


def test_the_same_bytes_without_a_compiler() -> None:
    """And so on any machine: what the loops give depends on no compiler."""
    program = (
        "from tests.entropy.test_mixing import *\n"
        "levels = some_levels(4, (5, 6), 500)\n"
        "sent, past = sent_with(levels, 3), np.abs(sent_with(levels, 4))\n"
        "sent[0, 0, 0], past[0, 0, 1] = 3000, 3000\n"
        "known = learned(levels, 0.7, 2)\n"
        "print(hashlib.sha256(round_trip(known, sent, levels, past)).hexdigest())\n"
    )
    found = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "NUMBA_DISABLE_JIT": off},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for off in "01"
    ]
    assert found[0] == found[1]
    assert len(found[0]) == 65


def test_stored_statistics_are_nearly_the_same() -> None:
    kept = learned(some_levels(), 0.6)
    counters, weights = kept.packed()
    assert counters.dtype == np.int16 and weights.dtype == np.int32
    back = Statistics.unpacked(PARENTS, counters, weights)
    np.testing.assert_array_equal(back.weights, kept.weights)
    seen = kept.counters % COUNTS
    np.testing.assert_array_equal(back.counters[seen == 0], 0)
    assert (seen > 0).sum() > 1000
    share, again = (s.counters[seen > 0] // COUNTS / 2**22 for s in (kept, back))
    np.testing.assert_allclose(again, share, rtol=0.01, atol=1e-4)
    assert (back.counters % COUNTS <= np.minimum(seen, 255)).all()
    assert (2 * (back.counters % COUNTS) + 1 > np.minimum(seen, 255)).all()


def test_forgetting_keeps_what_was_learned_and_not_how_surely() -> None:
    kept = learned(some_levels(), 0.6)
    forgot = kept.forget(8)
    np.testing.assert_array_equal(forgot.counters // COUNTS, kept.counters // COUNTS)
    np.testing.assert_array_equal(forgot.counters % COUNTS, np.minimum(kept.counters % COUNTS, 8))
    assert (kept.counters % COUNTS).max() > 8


@pytest.mark.parametrize("scale", [None, 0.3])
def test_lengths_are_bits_of_a_whole_alphabet(scale: float | None) -> None:
    statistics = learned(some_levels(), scale) if scale else Statistics.fresh(PARENTS)
    lengths = statistics.lengths().astype(np.float64)
    assert lengths.shape == (len(PARENTS) * LEVELS, ALPHABET)
    np.testing.assert_allclose((2**-lengths).sum(1), 1, rtol=1e-4)
    np.testing.assert_array_equal(lengths, lengths[:, ::-1])


def test_lengths_are_near_what_symbols_cost() -> None:
    levels = some_levels(2, (30, 30))
    statistics, sent = learned(levels, 0.4), sent_with(levels, 50, 0.4)
    rows = np.arange(8)[:, None, None] * LEVELS + (levels.astype(int) + FINE // 2) // FINE
    every = statistics.lengths()[rows, np.clip(sent, -REACH, REACH).astype(int) + REACH]
    estimate = every[levels >= FINE / 2].sum() + escape_bits(np.abs(sent)).sum()
    bits = 8 * len(round_trip(statistics, sent, levels, np.abs(sent_with(levels, 49, 0.4))))
    assert bits == pytest.approx(estimate, rel=0.05)


def test_escapes_cost_two_bits_a_doubling() -> None:
    sizes = escape_bits(np.array([0, 11, 12, 13, 14, 15, 18, 19], np.float32))
    assert sizes.tolist() == [0, 0, 1, 3, 3, 5, 5, 7]


def test_trailing_zero_bytes_are_left_out() -> None:
    levels = some_levels(1, (2, 2))
    for seed in range(40):
        payload = round_trip(Statistics.fresh(PARENTS), sent_with(levels, seed), levels, 0 * levels)
        assert not payload.endswith(b"\0")


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=64), st.integers(0, 1000))
def test_rubbish_reads_as_something_or_is_damaged(payload: bytes, seed: int) -> None:
    levels = some_levels(seed, (3, 4), LEVELS * FINE - FINE)
    try:
        found = read(Statistics.fresh(PARENTS), payload, levels, 0 * levels)
    except DamagedFile:
        return
    assert np.abs(found).max() < 2**15 + REACH


def test_more_than_was_written_is_damaged() -> None:
    levels = some_levels()
    payload = written(Statistics.fresh(PARENTS), sent_with(levels), levels, 0 * levels)
    for more in (b"\0", b"\1", 8 * b"\1"):
        with pytest.raises(DamagedFile):
            read(Statistics.fresh(PARENTS), payload + more, levels, 0 * levels)


def test_zeros_are_no_bytes() -> None:
    levels = some_levels(0, (20, 30))
    assert round_trip(learned(levels, 0.5), 0 * levels, levels, 0 * levels) == b""


def test_a_plane_that_needs_more_room_than_there_is_at_first() -> None:
    levels = np.full((8, 40, 40), 500, np.float32)
    assert len(round_trip(Statistics.fresh(PARENTS), sent_with(levels), levels, 0 * levels)) > 9000


def test_lifts_are_read_between_symbols_and_idle_ones_cost_next_to_nothing() -> None:
    levels, random = some_levels(2, (4, 4)), np.random.default_rng(3)
    lifts, sent = random.integers(0, LIFTS + 1, 40).tolist(), sent_with(some_levels(2, (4, 4)))
    writer, ours = FrameWriter(), Statistics.fresh(PARENTS)
    for lift in lifts:
        writer.write_lift(lift)
        writer.write(PlaneCoder(ours, sent, 0 * sent), steps(levels)[0])
    reader, theirs = FrameReader(writer.payload()), Statistics.fresh(PARENTS)
    for lift in lifts:
        assert reader.read_lift() == lift
        plane = PlaneCoder(theirs, 0 * sent, 0 * sent)
        reader.read(plane, steps(levels)[0])
        mask = steps(levels)[0].cells
        np.testing.assert_array_equal(plane.sent[:, mask], sent[:, mask])
    reader.end()
    for lift, bits in ((0, 0.035), (1, 6.4), (LIFTS, 10.4)):
        writer = FrameWriter()
        for _ in range(2000):
            writer.write_lift(lift)
        assert writer.bits() / 2000 == pytest.approx(bits, abs=0.05)
    assert 6.4 < LIFT_BITS < 10.4


def test_tables_are_not_near_a_rounding_edge() -> None:
    """So that a logarithm which differs in its last bits gives the same whole numbers."""
    p = (np.arange(65536) + 0.5) / 65536
    mean = LOWEST_MEAN * 2 ** (np.arange(LEVELS * FINE) / (FINE * PER_OCTAVE))
    exact = (
        256 * np.log(p / (1 - p)),
        65536 / (1 + np.exp(-np.arange(-END, END + 1) / 256)),
        256 * np.log([2 * mean, mean]),
    )
    for values in exact:
        assert np.abs(values - np.floor(values) - 0.5).min() > 1e-9


def test_tables_are_what_they_were() -> None:
    """Every file depends on them."""
    known = {
        name: hashlib.sha256(table.astype("<i8").tobytes()).hexdigest()[:16]
        for name, table in tables()._asdict().items()
    }
    assert known == {
        "stretch": "817282bd021401dd",
        "squash": "83e1c39ebe880fdf",
        "law": "8817d26bd6b7d4b0",
        "rates": "d375b5bb413cae63",
    }
    assert len(mixing.SEEN) == 16


@pytest.mark.parametrize("latent", [0.3, 0.6, -0.9, 1.4, -1.6, 2.5, 4.4, -11.7, 14.2])
@pytest.mark.parametrize("trade", [0.5, 2.0, 8.0, 30.0])
def test_the_cheapest_symbol_is_chosen_by_what_the_coder_makes_it_cost(
    latent: float, trade: float
) -> None:
    """A group of frames has taught it; options are those of the vectorised choice."""
    statistics = Statistics.fresh(PARENTS)
    levels, past = np.full((8, 20, 20), 290, "f"), np.zeros((8, 20, 20), "f")
    for seed in range(10):
        written(statistics, sent_with(levels, seed), levels, past)
    levels, past = levels[:, :1, :2].copy(), past[:, :1, :2].copy()

    def coded(symbols: Floats, wanted: Floats = mixing.NOTHING) -> tuple[float, Floats]:
        writer, plane = FrameWriter(), PlaneCoder(statistics.copy(), symbols, past)
        for step in steps(levels):
            trades = np.full_like(wanted, trade)
            writer.write(plane, step._replace(wanted=wanted, trades=trades))
        return writer.bits(), plane.sent

    wanted = np.zeros_like(levels)
    wanted[7, 0, 1] = latent  # the last one
    bits, chosen = coded(np.zeros_like(levels), wanted)
    found = {}
    rounded = np.floor(abs(latent) + 0.5)
    for magnitude in {0.0, rounded, max(rounded - 1, 0)}:
        symbols = np.zeros_like(levels)
        symbols[7, 0, 1] = np.sign(latent) * magnitude
        found[symbols[7, 0, 1]] = coded(symbols)[0] + trade * (latent - symbols[7, 0, 1]) ** 2
    assert not chosen[:7].any() and not chosen[..., 0].any()
    ours = found[chosen[7, 0, 1]]
    assert ours < min(found.values()) + 0.2  # what bits teach before the next is left out
    assert bits == pytest.approx(ours - trade * (latent - chosen[7, 0, 1]) ** 2)


def test_symbols_that_were_chosen_are_read() -> None:
    random = np.random.default_rng(3)
    levels = random.integers(0, FINE * (LEVELS - 1), (8, 6, 7)).astype("f")
    past = sent_with(levels, 1)
    wanted = random.normal(0, 3, levels.shape).astype("f")
    chosen = {}
    for trade in (0.0, 1.0, 1e9):
        ours, theirs = Statistics.fresh(PARENTS), Statistics.fresh(PARENTS)
        writer, plane = FrameWriter(), PlaneCoder(ours, np.zeros_like(levels), past)
        for step in steps(levels):
            trades = np.full_like(wanted, trade)
            writer.write(plane, step._replace(wanted=wanted, trades=trades))
        chosen[trade] = plane.sent
        np.testing.assert_array_equal(read(theirs, writer.payload(), levels, past), plane.sent)
        np.testing.assert_array_equal(ours.counters, theirs.counters)
    sent = levels >= FINE / 2
    assert not chosen[0.0].any()
    np.testing.assert_array_equal(chosen[1e9][sent], np.round(wanted)[sent])
    assert not chosen[1e9][~sent].any()
    assert 0 < np.abs(chosen[1.0]).sum() < np.abs(chosen[1e9]).sum()


def test_widths_are_read_and_the_usual_one_costs_next_to_nothing() -> None:
    writer = FrameWriter()
    widths = [0, 1, -2, 2, -1, 0]
    for width in widths:
        writer.write_width(width)
    reader = FrameReader(writer.payload())
    assert [reader.read_width() for _ in widths] == widths
    writer = FrameWriter()
    writer.write_width(0)
    assert writer.bits() < 0.5 and writer.payload() == b""
