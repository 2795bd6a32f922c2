"""The law behind the tables, and the tables: integers from the first count on."""

import hashlib
import math

import numpy as np
import pytest
import torch

from dvc_codec.entropy.law import (
    FINE,
    LEVELS,
    LOWEST_MEAN,
    bits_of_zero_and_slope,
    mean_of,
    starting_shape,
)
from dvc_codec.entropy.prior import PFramePrior
from dvc_codec.entropy.tables import ALPHABET, ONE, REACH, STARTING_WEIGHT, Tables, starting_counts


@pytest.mark.parametrize("index", [0, 9, 18, 33])
def test_the_law_sums_to_one(index: int) -> None:
    zero, slope = bits_of_zero_and_slope(torch.tensor([float(index * FINE)], dtype=torch.float64))
    k = np.arange(-20000, 20001)
    probabilities = 2.0 ** -(float(zero) + np.abs(k) * float(slope))
    assert probabilities.sum() == pytest.approx(1, abs=1e-6)


def test_an_index_is_the_expected_magnitude_about() -> None:
    """m 2 / (1 + 2 m) of the law: a symbol's mean magnitude is twice m where that is small."""
    index = 20
    zero, slope = bits_of_zero_and_slope(torch.tensor([float(index * FINE)], dtype=torch.float64))
    k = np.arange(-2000, 2001)
    probabilities = 2.0 ** -(float(zero) + np.abs(k) * float(slope))
    m = LOWEST_MEAN * 2 ** (index / 2)
    assert float(mean_of(torch.tensor(float(index * FINE)))) == pytest.approx(m, rel=1e-6)
    assert float((np.abs(k) * probabilities).sum()) == pytest.approx(
        2 * m * (1 + m) / (1 + 2 * m), rel=1e-6
    )


def test_starting_tables_follow_the_law() -> None:
    shape = starting_shape(REACH)
    assert shape.shape == (LEVELS, ALPHABET)
    np.testing.assert_allclose(shape.sum(1), 1)
    np.testing.assert_array_equal(shape, shape[:, ::-1])
    zero, slope = bits_of_zero_and_slope(torch.arange(LEVELS) * float(FINE))
    assert -math.log2(shape[10, REACH]) == pytest.approx(float(zero[10]), abs=0.01)
    ratio = math.log2(shape[20, REACH + 1] / shape[20, REACH + 2])
    assert ratio == pytest.approx(float(slope[20]), abs=0.01)


def test_starting_counts_are_what_they_were() -> None:
    """Every file that an untrained codec wrote depends on them."""
    counts = starting_counts(1)
    assert counts.shape == (LEVELS, ALPHABET) and counts.min() >= 1
    assert counts.sum(1) == pytest.approx(STARTING_WEIGHT * ONE, rel=1e-4)
    digest = hashlib.sha256(counts.astype("<i8").tobytes()).hexdigest()
    assert digest[:16] == "d3d3bb69d3ad8df3"
    np.testing.assert_array_equal(starting_counts(3), np.tile(counts, (3, 1)))


def test_starting_counts_are_not_near_a_rounding_edge() -> None:
    """So that a power which differs in its last bits gives the same counts."""
    exact = starting_shape(REACH) * STARTING_WEIGHT * ONE
    assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-6


def test_adapting_counts_symbols_under_their_tables() -> None:
    start = Tables(np.ones((3, ALPHABET), np.int64))
    after = start.adapt(np.array([0, 2, 2, 2]), np.array([0, -REACH - 5, REACH, 3000]))
    assert after.counts.dtype == np.int64
    expected = np.ones((3, ALPHABET), np.int64)
    expected[0, REACH] += ONE
    expected[2, 0] += ONE
    expected[2, -1] += 2 * ONE
    np.testing.assert_array_equal(after.counts, expected)
    assert start.counts.sum() == 3 * ALPHABET  # the snapshot stays


def test_lengths_are_the_ideal_bits() -> None:
    tables = Tables(starting_counts(1)).adapt(np.zeros(100, np.int64), np.zeros(100, np.int64))
    np.testing.assert_allclose((2.0 ** -tables.lengths().astype(np.float64)).sum(1), 1, rtol=1e-5)
    assert tables.lengths()[0, REACH] < 0.01


def test_a_group_of_pictures_starts_from_fresh_tables() -> None:
    prior = PFramePrior()
    first = prior.tables()
    first["luma"].counts[:] = 7
    assert prior.tables()["luma"].counts.min() != 7 or prior.tables()["luma"].counts.max() != 7


def test_trained_counts_replace_the_formula() -> None:
    prior = PFramePrior()
    counts = prior.tables()["motion"].counts + 5
    prior.set_tables("motion", counts)
    np.testing.assert_array_equal(prior.tables()["motion"].counts, counts)
    assert prior.state_dict()["counts_motion"].dtype == torch.int64
