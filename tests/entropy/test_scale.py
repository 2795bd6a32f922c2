"""Scale models compute integers, the same whatever computes them."""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor

from dvc_codec.entropy.law import FINE, LEVELS, LOWEST_MEAN, PER_OCTAVE
from dvc_codec.entropy.mixing_kernel import LARGEST_EXPONENT, REACH
from dvc_codec.entropy.prior import PFramePrior
from dvc_codec.entropy.scale import (
    FORMULA_ENTRIES,
    LIFTS,
    LOG_ENTRIES,
    UNIT,
    IntegerConv,
    ScaleModel,
    around,
    first_step_mask,
    index_of,
    lifted,
)


def magnitudes(channels: int, seed: int = 0, largest: int = 3000) -> Tensor:
    """Mostly zeros, some ones, a few that are huge."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(1, channels, 10, 14, generator=generator)
    return (0.4 / (x + 0.4 / largest)).floor()


def trained(channels: int = 32, side: int = 2) -> ScaleModel:
    """A scale model as training may leave it: every correction is something."""
    torch.manual_seed(1)
    model = ScaleModel(channels, side)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        model.first_out.bias.normal_(0, 20)
        model.second_out.bias.normal_(0, 20)
    return model


def levels(model: ScaleModel, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    before, now = magnitudes(32).to(dtype), magnitudes(32, 1) * first_step_mask(10, 14)
    side = torch.randint(0, 128, (1, 2, 10, 14), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return model.first(before, side.to(dtype)), model.second(
            before, side.to(dtype), now.to(dtype)
        )


def test_levels_are_integers_in_range() -> None:
    for found in levels(trained()):
        assert torch.equal(found, found.round())
        assert float(found.min()) >= 0 and float(found.max()) <= (LEVELS - 1) * FINE
        assert len(found.unique()) > 100  # the example says something


def test_levels_do_not_depend_on_threads_or_precision() -> None:
    model = trained()
    model.check_exact()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = levels(model)
        torch.set_num_threads(2)
        two = levels(model)
    finally:
        torch.set_num_threads(threads)
    double = levels(copy.deepcopy(model).double(), torch.float64)
    for a, b, c in zip(one, two, double, strict=True):
        assert torch.equal(a, b) and torch.equal(a.double(), c)


def test_levels_do_not_depend_on_memory_layout_or_autocast() -> None:
    model = trained()
    plain = levels(model)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = levels(model)
    last = levels(copy.deepcopy(model).to(memory_format=torch.channels_last))
    for a, b, c in zip(plain, autocast, last, strict=True):
        assert torch.equal(a, b) and torch.equal(a, c)


def test_levels_do_not_depend_on_being_trained() -> None:
    """With a gradient asked for, straight-through arithmetic gives the same integers but for the
    last bits.
    """
    model = trained()
    before, side = magnitudes(32), torch.zeros(1, 2, 10, 14)
    with torch.no_grad():
        still = model.first(before, side)
    learning = model.first(before, side)
    assert learning.requires_grad
    torch.testing.assert_close(learning.detach(), still, atol=1e-3, rtol=0)
    assert torch.equal(index_of(learning.detach().round()), index_of(still))


def test_untrained_correction_is_zero() -> None:
    model = ScaleModel(8, 1)
    zero, nothing = torch.zeros(1, 8, 6, 6), torch.zeros(1, 1, 6, 6)
    with torch.no_grad():
        lowest = model.first(zero, nothing)
        busy = model.first(zero, nothing + 99)
    assert torch.equal(lowest, busy)  # side information is the network's alone
    expected = FINE * PER_OCTAVE * np.log2(0.002 / LOWEST_MEAN)
    assert torch.equal(lowest, torch.full_like(lowest, round(expected)))


def test_formula_of_the_first_step() -> None:
    """2 |before| + 0.5 around + 0.08 (activity + 0.5 around), for one symbol of 3 in channel 1."""
    model = ScaleModel(4, 0)
    before = torch.zeros(1, 4, 5, 5)
    before[0, 1, 2, 2] = 3
    with torch.no_grad():
        found = model.first(before, before[:, :0])

    def level(formula: float) -> int:
        return round(FINE * PER_OCTAVE * np.log2((0.002 + 0.12 * formula) / LOWEST_MEAN))

    assert float(found[0, 1, 2, 2]) == level(2 * 3 + 0.08 * 3)
    assert float(found[0, 1, 2, 3]) == level(0.5 * 3 + 0.04 * 3)
    assert float(found[0, 0, 2, 2]) == level(0.08 * 3)
    assert float(found[0, 0, 1, 2]) == level(0.04 * 3)
    assert float(found[0, 0, 1, 1]) == level(0)


def test_formula_of_the_second_step() -> None:
    model = ScaleModel(4, 0)
    before, now = torch.zeros(2, 1, 4, 5, 5)
    before[0, 1, 2, 3] = 1
    now[0, 1, 2, 2] = 2
    with torch.no_grad():
        found = model.second(before, before[:, :0], now)

    def level(formula: float) -> int:
        return round(FINE * PER_OCTAVE * np.log2((0.002 + 0.12 * formula) / LOWEST_MEAN))

    assert float(found[0, 1, 2, 3]) == level((2 + 0.08) / 2 + 1.2 * 2 + 0.15 * 2)
    assert float(found[0, 0, 2, 3]) == level(0.08 / 2 + 0.15 * 2)


def test_the_second_step_knows_only_the_first() -> None:
    """Its levels at its own cells depend on the other half of the checkerboard alone: a decoder
    has nothing else.
    """
    model = trained()
    before, side, mask = magnitudes(32), torch.zeros(1, 2, 10, 14), first_step_mask(10, 14)
    now = magnitudes(32, 1)
    with torch.no_grad():
        known = model.second(before, side, now * mask)
        assert not torch.equal(model.second(before, side, now), known)


def test_around_sums_four_neighbours() -> None:
    x = torch.arange(9.0).view(1, 1, 3, 3)
    assert around(x)[0, 0].tolist() == [[4, 6, 6], [10, 16, 14], [10, 18, 12]]


def test_every_neighbour_of_the_second_step_is_in_the_first() -> None:
    mask = first_step_mask(7, 9)
    inside = around(mask.float()[None, None])[0, 0][1:-1, 1:-1]
    assert torch.equal(inside == 4, ~mask[1:-1, 1:-1]) and bool(mask[0, 0])


def test_index_is_the_nearest_level() -> None:
    fine = torch.arange(LEVELS * FINE).float()
    expected = (torch.arange(LEVELS * FINE) + FINE // 2).div(FINE, rounding_mode="floor")
    assert torch.equal(index_of(fine).long(), expected.clamp(max=LEVELS - 1))
    assert index_of(torch.tensor([-50.0, 7, 8, 1e6])).tolist() == [0, 0, 1, LEVELS - 1]


def test_no_formula_value_is_near_a_rounding_edge() -> None:
    """So that a logarithm which differs in its last bits gives the same tables."""
    formula = 32 * np.log2((0.002 + 0.12 * np.arange(FORMULA_ENTRIES) / UNIT) / LOWEST_MEAN)
    magnitude = 8 * np.log2(1 + np.arange(LOG_ENTRIES))
    for exact in (formula, magnitude):
        assert np.abs(exact - np.floor(exact) - 0.5).min() > 1e-9


def test_tables_of_formulas_are_what_they_were() -> None:
    """Every file depends on them: a change here is a new format."""
    model = ScaleModel(1, 0)
    assert model.formula_levels[:4].tolist() == [64, 76, 86, 94]
    assert int(model.formula_levels.double().sum()) == 31081875
    assert model.log_magnitudes[:6].tolist() == [0, 8, 13, 16, 19, 21]
    assert int(model.log_magnitudes.sum()) == 13474


def test_integer_convolution_floors() -> None:
    layer = IntegerConv(1, 1, 1)
    with torch.no_grad():
        layer.weight.fill_(-0.5)  # -64 of 128
        layer.bias.fill_(2.4)
        found = layer(torch.tensor([0.0, 1, 2, 3]).view(1, 1, 1, 4))
    assert found.flatten().tolist() == [2, 1, 1, 0]


def test_baking_changes_no_level_and_survives_float16() -> None:
    model = trained()
    with torch.no_grad():
        model.first_in.bias[0] = -2047.4  # the largest odd integer of float16
    before = levels(model)
    for layer in model.modules():
        if isinstance(layer, IntegerConv):
            layer.bake()
            for parameter in layer.parameters():
                parameter.data = parameter.data.half().float()
    for a, b in zip(before, levels(model), strict=True):
        assert torch.equal(a, b)


def test_weights_that_are_too_large_to_be_exact_are_refused() -> None:
    layer = IntegerConv(2000, 1, 3)
    with torch.no_grad():
        layer.weight.fill_(1)
    layer.check_exact(7)
    with pytest.raises(OverflowError, match="2\\^24"):
        layer.check_exact(8)
    prior = PFramePrior()
    prior.scale("chroma").enter[0] = IntegerConv(2000, 32, 3)
    with torch.no_grad():
        prior.scale("chroma").enter[0].weight.fill_(0.9)
    with pytest.raises(OverflowError):
        prior.bake()


def test_side_information_is_small_integers() -> None:
    prior = PFramePrior()
    shapes = {name: plane.shape[1:] for name, plane in prior.nothing(1, 64, 96).items()}
    generator = torch.Generator().manual_seed(3)
    largest = REACH + (2 << LARGEST_EXPONENT) - 2  # that can be read
    symbols = {
        name: torch.randint(-largest, largest + 1, (1, *shape), generator=generator).float()
        for name, shape in shapes.items()
    }
    past = {name: plane.abs() for name, plane in symbols.items()}
    for plane in prior.planes:
        side = prior.side(plane.name, symbols, past)
        assert side.shape == (1, plane.side, *shapes[plane.name][1:])
        assert torch.equal(side, side.round())
        assert float(side.min()) >= 0 and float(side.max()) <= 127


def test_a_plane_is_told_only_of_planes_before_it() -> None:
    prior = PFramePrior()
    past = prior.nothing(1, 64, 64)
    now: dict[str, Tensor] = {}
    for plane in prior.planes:
        prior.side(plane.name, now, past)  # a KeyError would say that it looked ahead
        now[plane.name] = past[plane.name]


@pytest.mark.parametrize("lift", range(LIFTS + 1))
def test_lifted_levels_are_integers_in_order_and_never_lower(lift: int) -> None:
    levels = torch.arange(0.0, (LEVELS - 1) * FINE + 1)
    raised = lifted(levels, lift)
    assert raised.tolist() == [max(n, 32 * lift + n * 5 // 8 if lift else 0) for n in range(529)]
    assert bool((raised.diff() >= 0).all())
    assert int(index_of(raised).max()) == LEVELS - 1
    assert int(index_of(raised).min()) == 2 * lift
