"""How much the encoder thinks an error of a block's motion matters."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dvc_codec.codec.pictures import to_planes
from dvc_codec.networks.motion_search import UNSURE, MotionSearch
from dvc_codec.networks.p_frame import PFrameNetwork
from dvc_codec.networks.rate import residual_scale
from dvc_codec.networks.structure import StructuralWeights
from tests.moving import panned_texture

RATE = torch.tensor([30])


@pytest.fixture
def search() -> MotionSearch:
    network = PFrameNetwork().requires_grad_(False)
    luma = to_planes(panned_texture(size=(64, 64), frames=1)[0]).luma
    return MotionSearch(network.flow, network.motion, luma, RATE)


def off_by(luma: Tensor, error: float) -> Tensor:
    """A prediction whose first block is wrong by so much."""
    prediction = luma.clone()
    prediction[..., :16, :16] += error
    return prediction


def test_where_nothing_is_left_motion_matters_as_the_texture_says(search: MotionSearch) -> None:
    assert torch.equal(search.weight(search.luma), search.motion.weight(search.luma))


def test_an_error_as_large_as_the_usual_halves_what_motion_matters(search: MotionSearch) -> None:
    usual = float(UNSURE**0.5 * residual_scale(RATE))
    share = search.weight(off_by(search.luma, usual)) / search.motion.weight(search.luma)
    assert share[..., 0, 0].tolist() == [[pytest.approx(0.5, rel=1e-3)] * 2]
    share[..., 0, 0] = 1
    assert torch.equal(share, torch.ones_like(share))


def test_finer_rates_are_disturbed_by_smaller_errors(search: MotionSearch) -> None:
    prediction = off_by(search.luma, 0.05)
    finer = MotionSearch(search.flow, search.motion, search.luma, RATE + 20)
    assert (finer.weight(prediction) < search.weight(prediction))[..., 0, 0].all()


def test_errors_count_by_structure_where_that_is_the_metric(search: MotionSearch) -> None:
    assert search.counted is None
    structural = replace(search, structure=StructuralWeights())
    assert structural.counted is not None
    assert structural.counted.shape == (1, 1, 8, 8)
    fainter = replace(structural, luma=search.luma / 4).counted
    assert fainter is not None
    assert (fainter > structural.counted).all()
