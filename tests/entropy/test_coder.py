"""Symbols to bytes and back: whatever is written is read, and rubbish fails in one way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dvc_codec.entropy.coder import (
    LARGEST,
    LIFT_BITS,
    SymbolReader,
    SymbolWriter,
    escape_bits,
)
from dvc_codec.entropy.scale import LIFTS
from dvc_codec.entropy.tables import ALPHABET, REACH, Tables, starting_counts
from dvc_codec.errors import DamagedFile

TABLES = Tables(starting_counts(2))


def drawn(tables: Tables, ids: np.ndarray, seed: int = 0) -> np.ndarray:
    """Symbols as the tables expect them."""
    random = np.random.default_rng(seed)
    cumulative = (tables.counts / tables.counts.sum(1, keepdims=True)).cumsum(1)
    return (random.random((len(ids), 1)) > cumulative[ids]).sum(1) - REACH


def round_trip(calls: list[tuple[np.ndarray, np.ndarray]]) -> bytes:
    writer = SymbolWriter()
    for ids, symbols in calls:
        writer.write(TABLES, ids, symbols)
    payload = writer.payload()
    reader = SymbolReader(payload)
    for ids, symbols in calls:
        np.testing.assert_array_equal(reader.read(TABLES, ids), symbols)
    return payload


one_symbol = st.tuples(
    st.integers(0, len(TABLES.counts) - 1),
    st.one_of(
        st.integers(-2, 2),
        st.integers(-REACH - 1, REACH + 1),
        st.integers(-LARGEST, LARGEST),
        st.sampled_from([LARGEST, -LARGEST, REACH, -REACH, REACH - 1]),
    ),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.lists(one_symbol, max_size=40), max_size=4))
def test_what_is_written_is_read(calls: list[list[tuple[int, int]]]) -> None:
    round_trip(
        [
            (np.array([i for i, _ in call], np.int64), np.array([s for _, s in call], np.int64))
            for call in calls
        ]
    )


@pytest.mark.parametrize("symbol", [REACH - 1, REACH, REACH + 1, 1000, LARGEST])
@pytest.mark.parametrize("sign", [-1, 1])
def test_symbols_beyond_the_alphabet_are_escaped(symbol: int, sign: int) -> None:
    round_trip([(np.array([5, 5, 5]), np.array([0, sign * symbol, 1]))])


def test_nothing_is_no_bytes() -> None:
    nothing = np.zeros(0, np.int64)
    assert round_trip([]) == b""
    assert round_trip([(nothing, nothing)]) == b""


def test_a_frame_of_zeros_is_a_few_bytes() -> None:
    ids = np.full(100_000, 1)
    assert len(round_trip([(ids, np.zeros_like(ids))])) < 0.0015 * 100_000 / 8 + 8 + 200


def test_symbols_keep_their_places_under_sorting() -> None:
    """Ids in any order: each symbol comes back where it was."""
    random = np.random.default_rng(1)
    ids = random.integers(0, len(TABLES.counts), 5000)
    round_trip([(ids, drawn(TABLES, ids)), (ids[::-1].copy(), drawn(TABLES, ids[::-1], 2))])


def test_bytes_are_within_a_hundredth_of_the_ideal() -> None:
    ids = np.random.default_rng(3).integers(0, len(TABLES.counts), 20_000)
    symbols = drawn(TABLES, ids)
    symbols[::500] *= 30  # some escapes
    ideal = TABLES.lengths()[ids, np.clip(symbols, -REACH, REACH) + REACH].sum()
    ideal += escape_bits(np.abs(symbols).astype(np.float32)).sum()
    assert 8 * len(round_trip([(ids, symbols)])) == pytest.approx(ideal, rel=0.01)


def test_escapes_cost_two_bits_a_doubling() -> None:
    sizes = escape_bits(np.array([0, 11, 12, 13, 14, 15, 18, 19], np.float32))
    assert sizes.tolist() == [0, 0, 1, 3, 3, 5, 5, 7]


def test_trailing_zero_bytes_are_left_out() -> None:
    for seed in range(40):
        ids = np.full(30, 20)
        payload = round_trip([(ids, drawn(TABLES, ids, seed))])
        assert not payload.endswith(b"\0")


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=64), st.integers(0, len(TABLES.counts) - 1))
def test_rubbish_reads_as_something_or_is_damaged(payload: bytes, table: int) -> None:
    reader = SymbolReader(payload)
    try:
        symbols = reader.read(TABLES, np.full(200, table))
    except DamagedFile:
        return
    assert symbols.shape == (200,) and np.abs(symbols).max() < 2**15 + REACH


def test_the_highest_bytes_are_damaged() -> None:
    with pytest.raises(DamagedFile):
        SymbolReader(b"\xff" * 40).read(TABLES, np.zeros(10, np.int64))


def test_a_table_may_be_as_sharp_as_counts_can_be() -> None:
    """One symbol seen a hundred million times, the others never."""
    counts = np.ones((1, ALPHABET), np.int64)
    counts[0, REACH] = 10**8 << 16
    writer = SymbolWriter()
    ids, symbols = np.zeros(3, np.int64), np.array([0, REACH - 1, 0])
    writer.write(Tables(counts), ids, symbols)
    np.testing.assert_array_equal(SymbolReader(writer.payload()).read(Tables(counts), ids), symbols)


def test_lifts_are_read_between_symbols_and_idle_ones_cost_next_to_nothing() -> None:
    random, ids = np.random.default_rng(3), np.full(50, 20)
    writer, lifts = SymbolWriter(), random.integers(0, LIFTS + 1, 40)
    symbols = drawn(TABLES, ids)
    for lift in lifts:
        writer.write_lift(int(lift))
        writer.write(TABLES, ids, symbols)
    reader = SymbolReader(writer.payload())
    for lift in lifts:
        assert reader.read_lift() == lift
        np.testing.assert_array_equal(reader.read(TABLES, ids), symbols)
    for lift, bits in ((0, 0.035), (1, LIFT_BITS), (LIFTS, LIFT_BITS)):
        writer = SymbolWriter()
        for _ in range(2000):
            writer.write_lift(lift)
        assert writer.bits() / 2000 == pytest.approx(bits, abs=0.02)
