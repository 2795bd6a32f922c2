"""The law behind every scale index."""

import numpy as np
import pytest
import torch

from dvc_codec.entropy.law import FINE, LOWEST_MEAN, bits_of_zero_and_slope, mean_of


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
