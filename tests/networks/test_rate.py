"""The rate ladder and the closed-form steps."""

import math

import pytest
import torch

from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.rate import (
    HIGHEST_LAMBDA,
    LOWEST_LAMBDA,
    RATES,
    TRADE,
    Steps,
    centred,
    lagrangian,
    rate_index,
    residual_scale,
)
from dvc_codec.networks.residual import FINER, FINER_CHROMA


@pytest.mark.parametrize(("index", "value"), [(0, 64), (21, 256), (42, 1024), (63, 4096)])
def test_the_ladder_passes_through_powers_of_four(index: int, value: float) -> None:
    assert float(lagrangian(torch.tensor([index]))) == pytest.approx(value, rel=1e-6)
    assert rate_index(value) == index


def test_rate_index_undoes_lagrangian() -> None:
    ladder = lagrangian(torch.arange(RATES))
    ends = ladder.clamp(LOWEST_LAMBDA, HIGHEST_LAMBDA)
    assert [rate_index(float(value)) for value in ends] == list(range(RATES))
    assert bool((ladder.diff() > 0).all())


@pytest.mark.parametrize("value", [63.9, 4097, 0, -1, math.inf, math.nan])
def test_lambda_outside_the_ladder_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="lambda"):
        rate_index(value)


def test_networks_are_told_the_rate_between_minus_one_and_one() -> None:
    told = centred(torch.arange(RATES))
    assert told.shape == (RATES, 1, 1, 1)
    assert (float(told[0]), float(told[-1])) == pytest.approx((-1, 1))


@pytest.mark.parametrize("index", [0, 21, 42, 63])
def test_steps_obey_the_high_rate_optimum(index: int) -> None:
    """lambda * w * step^2 = 6 / ln 2, w an error's weight in D per luma pixel: 6/8 for luma, and
    1/8 for each chroma plane, whose samples are four times fewer.
    """
    rate = torch.tensor([index])
    lam = float(lagrangian(rate))
    network = PFrameNetwork().residual
    with torch.no_grad():
        luma, chroma = network.luma_steps(rate), network.chroma_steps(rate)
    assert luma.shape == (1, 64, 1, 1) and chroma.shape == (1, 128, 1, 1)
    assert lam * (6 / 8) * float(luma[0, 0]) ** 2 == pytest.approx(TRADE * FINER**2, rel=5e-3)
    step = lam * (1 / 2) * float(chroma[0, 0]) ** 2
    assert step == pytest.approx(TRADE * FINER_CHROMA**2, rel=5e-3)
    assert float(residual_scale(rate)) * FINER == pytest.approx(float(luma[0, 0]), rel=1e-5)


def test_the_trade_is_the_same_at_every_rate() -> None:
    assert pytest.approx(8.656, abs=1e-3) == TRADE


def test_steps_learn_a_factor_and_a_slope() -> None:
    steps = Steps(3, 11.5)
    with torch.no_grad():
        steps.log_factor[1] = math.log(2)
        steps.log_slope[2] = math.log(3)
        low, high = steps(torch.tensor([0, 63])).flatten(1)
    assert (low / low[0]).tolist() == pytest.approx([1, 2, 1 / 3])
    assert (high / high[0]).tolist() == pytest.approx([1, 2, 3])
