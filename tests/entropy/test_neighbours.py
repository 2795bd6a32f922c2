"""Planes predicted from their neighbours: integers, from what is already decoded, the same
everywhere.
"""

import copy
import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

from dvc_codec.entropy.law import FINE, LEVELS, LOWEST_MEAN, PER_OCTAVE
from dvc_codec.entropy.mixing_kernel import LARGEST_EXPONENT, REACH
from dvc_codec.entropy.neighbours import (
    OFFSETS,
    STEPS,
    NeighbourScale,
    neighbours,
    predict,
    step_numbers,
)
from dvc_codec.entropy.scale import IntegerConv, index_of

LARGEST = REACH + (2 << LARGEST_EXPONENT) - 2  # that can be read
SIZES = [(4, 4), (8, 12), (7, 9), (5, 13), (1, 1), (1, 6), (3, 2)]


def some_values(height: int, width: int, largest: int = 40) -> Tensor:
    """Integers of both signs, (2, 2, height, width)."""
    generator = torch.Generator().manual_seed(height * 100 + width)
    shape = (2, 2, height, width)
    return torch.randint(-largest, largest + 1, shape, generator=generator).float()


def trained(channels: int = 2, side: int = 1) -> NeighbourScale:
    """As training may leave it: the correction is something."""
    torch.manual_seed(1)
    model = NeighbourScale(channels, side)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
        model.leave.bias.normal_(0, 20)
    return model


def example() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Before, side, sent and values of a 7x9 plane; mostly small, a few that are huge."""
    generator = torch.Generator().manual_seed(2)
    x = torch.rand(3, 1, 2, 7, 9, generator=generator)
    sign = torch.randint(0, 2, x.shape, generator=generator) * 2 - 1
    before, sent, values = (0.4 / (x + 0.4 / 3000)).floor() * sign
    side = torch.randint(0, 128, (1, 1, 7, 9), generator=generator).float()
    return before.abs(), side, sent, values


def everything(model: NeighbourScale, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """Predictions and levels of all steps."""
    with torch.no_grad():
        inputs = [x.to(dtype) for x in example()]
        return [x for number in range(STEPS) for x in model.step(number, *inputs)]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_prediction_is_what_a_slow_loop_says(height: int, width: int) -> None:
    """floor((2 sum + count) / (2 count)) in Python's integers, and the neighbours' range."""
    values, numbers = some_values(height, width), step_numbers(height, width)
    for number in range(1, STEPS):
        mean, spread = predict(values, number)
        for y, x in (numbers == number).nonzero().tolist():
            places = [(y + dy, x + dx) for dy, dx in OFFSETS[number - 1]]
            inside = [(v, u) for v, u in places if 0 <= v < height and 0 <= u < width]
            for b in range(2):
                for c in range(2):
                    known = [int(values[b, c, v, u]) for v, u in inside]
                    expected = (2 * sum(known) + len(known)) // (2 * len(known))
                    assert int(mean[b, c, y, x]) == expected
                    assert int(spread[b, c, y, x]) == max(known) - min(known)


def test_a_half_is_rounded_up() -> None:
    values = torch.zeros(1, 1, 2, 2)
    values[..., 0, 0], values[..., 1, 1] = 3, 0
    assert float(predict(values, 4)[0][..., 0, 1]) == 2
    assert float(predict(-values, 4)[0][..., 0, 1]) == -1


def test_a_plane_that_changes_evenly_is_predicted_exactly() -> None:
    """But for its border, where neighbours are on one side only."""
    y, x = torch.meshgrid(torch.arange(17.0), torch.arange(21.0), indexing="ij")
    values, numbers = (3 * y - 2 * x)[None, None], step_numbers(17, 21)
    for number in range(1, STEPS):
        own = numbers == number
        own[[0, 1, -2, -1]] = own[:, [0, 1, -2, -1]] = False
        assert torch.equal(predict(values, number)[0][..., own], values[..., own])


def test_the_first_step_is_predicted_from_nothing() -> None:
    mean, spread = predict(some_values(8, 8), 0)
    assert not mean.any() and not spread.any()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_cell_is_coded_once_and_after_its_neighbours(height: int, width: int) -> None:
    masks = [step.cells for step in NeighbourScale(2, 1).steps(height, width)]
    assert len(masks) == STEPS
    assert torch.equal(torch.stack(masks).sum(0), torch.ones(height, width, dtype=torch.int64))
    for number in range(1, STEPS):
        for y, x in masks[number].nonzero().tolist():
            earlier = [
                bool(torch.stack(masks[:number])[:, y + dy, x + dx].any())
                for dy, dx in OFFSETS[number - 1]
                if 0 <= y + dy < height and 0 <= x + dx < width
            ]
            assert earlier and all(earlier), (number, y, x)


def test_the_grids_are_those_of_the_picture_in_the_module() -> None:
    assert step_numbers(4, 8).tolist() == [
        [0, 4, 2, 4, 0, 4, 2, 4],
        [4, 3, 4, 3, 4, 3, 4, 3],
        [2, 4, 1, 4, 2, 4, 1, 4],
        [4, 3, 4, 3, 4, 3, 4, 3],
    ]


def test_a_step_is_not_told_of_itself_or_of_later_ones() -> None:
    """What stands in cells that are not decoded yet changes nothing in the step's own."""
    model = trained()
    before, side, sent, values = example()
    masks = [step.cells for step in model.steps(7, 9)]
    for number in range(STEPS):
        unknown = torch.stack(masks[number:]).any(0)
        with torch.no_grad():
            mean, _ = model.step(number, before, side, sent, values)
            other, _ = model.step(number, before, side, sent, torch.where(unknown, 99.0, values))
        assert torch.equal(mean[..., masks[number]], other[..., masks[number]])


def test_neighbours_outside_are_nothing() -> None:
    ones = torch.ones(1, 1, 5, 5)
    counts = [neighbours(ones, number).sum(0)[0, 0] for number in range(1, STEPS)]
    assert [int(c[0, 0]) for c in counts] == [1, 2, 1, 2]
    assert [int(c[2, 2]) for c in counts] == [4, 4, 4, 4]
    assert [int(c[1, 1]) for c in counts] == [1, 2, 4, 4]


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_planes_of_every_size_have_levels(height: int, width: int) -> None:
    model, values = trained(), some_values(height, width)
    for number in range(STEPS):
        with torch.no_grad():
            _, fine = model.step(number, values.abs(), values[:, :1] * 0, values, values)
        assert fine.shape == values.shape and float(fine.min()) >= 0


def test_formula() -> None:
    """A quarter of the last frame's context + 0.3 nearby + 0.3 apart, by hand for one cell."""
    model = NeighbourScale(2, 0)
    before, sent, values = torch.zeros(3, 1, 2, 4, 4)
    before[0, 1, 0, 0] = 3
    sent[0, 0, 0, 0], sent[0, 0, 0, 2] = 5, -2
    values[0, 0, 0, 0], values[0, 0, 0, 2] = 5, 1

    def level(formula: float) -> int:
        return round(FINE * PER_OCTAVE * np.log2((0.002 + 0.12 * formula) / LOWEST_MEAN))

    def found(number: int, c: int, y: int, x: int) -> float:
        with torch.no_grad():
            return float(model.step(number, before, before[:, :0], sent, values)[1][0, c, y, x])

    assert found(0, 1, 0, 0) == level((2 * 3 + 0.08 * 3) / 4)
    assert found(0, 0, 0, 0) == level(0.08 * 3 / 4)
    assert found(4, 0, 0, 1) == level(0.04 * 3 / 4 + 0.3 * 7 + 0.3 * 5)  # below it: 0, of step 3
    assert found(1, 0, 2, 2) == level(0.3 * 5)  # one neighbour inside: nothing is apart
    assert found(1, 1, 2, 2) == level(0)


def test_levels_and_predictions_are_integers_in_range() -> None:
    for number, (mean, fine) in enumerate(
        zip(everything(trained())[::2], everything(trained())[1::2], strict=True)
    ):
        assert torch.equal(mean, mean.round()) and torch.equal(fine, fine.round())
        assert float(fine.min()) >= 0 and float(fine.max()) <= (LEVELS - 1) * FINE
        assert len(fine.unique()) > 20, number  # the example says something


def test_nothing_depends_on_threads_precision_layout_or_autocast() -> None:
    model = trained()
    model.check_exact()
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = everything(model)
        torch.set_num_threads(2)
        two = everything(model)
    finally:
        torch.set_num_threads(threads)
    double = everything(copy.deepcopy(model).double(), torch.float64)
    last = everything(copy.deepcopy(model).to(memory_format=torch.channels_last))
    with torch.autocast("cpu", torch.bfloat16):
        autocast = everything(model)
    for a, *others in zip(one, two, double, last, autocast, strict=True):
        assert all(torch.equal(a.double(), b.double()) for b in others)


def test_the_largest_symbols_are_predicted_exactly() -> None:
    """Five steps of the largest differences: sums stay integers that float32 holds."""
    values = some_values(9, 9, STEPS * LARGEST)
    values[..., ::2, ::2] = STEPS * LARGEST
    model = trained()
    for number in range(STEPS):
        single, double = predict(values, number), predict(values.double(), number)
        assert all(torch.equal(a.double(), b) for a, b in zip(single, double, strict=True))
        with torch.no_grad():
            a = model.step(number, values.abs(), values[:, :1] * 0, values, values)[1]
            wide, model64 = values.double(), copy.deepcopy(model).double()
            b = model64.step(number, wide.abs(), wide[:, :1] * 0, wide, wide)[1]
        assert torch.equal(a.double(), b)


def test_levels_do_not_depend_on_being_trained() -> None:
    """With a gradient asked for: the same but for the last bits."""
    model, inputs = trained(), example()
    for number in range(STEPS):
        with torch.no_grad():
            still = model.step(number, *inputs)[1]
        learning = model.step(number, *inputs)[1]
        assert learning.requires_grad
        torch.testing.assert_close(learning.detach(), still, atol=1e-3, rtol=0)
        assert torch.equal(index_of(learning.detach().round()), index_of(still))


def fingerprint() -> str:
    """Of all that a plane's parsing depends on."""
    digest = hashlib.sha256()
    for x in everything(trained()):
        digest.update(x.numpy().astype("<i4").tobytes())
    return digest.hexdigest()


def test_another_process_computes_the_same() -> None:
    """With another number of threads and without the kernels of this processor."""
    here = fingerprint()
    program = "from tests.entropy.test_neighbours import fingerprint; print(fingerprint())"
    for settings in ({"ATEN_CPU_CAPABILITY": "default", "OMP_NUM_THREADS": "1"}, {}):
        there = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


@pytest.mark.parametrize("layer", ["enter", "leave"])
def test_weights_that_are_too_large_to_be_exact_are_refused(layer: str) -> None:
    model = trained()
    model.check_exact()
    wide = IntegerConv(2000, 2, 3)
    with torch.no_grad():
        wide.weight.fill_(0.9)
    setattr(model, layer, wide)
    with pytest.raises(OverflowError, match="2\\^24"):
        model.check_exact()


def test_the_bound_of_exactness_covers_every_input() -> None:
    """No input of the first layer exceeds what check_exact assumes, nor of the second."""
    model, seen = trained(), []
    for layer in (model.enter, model.leave):
        layer.register_forward_pre_hook(lambda _, x: seen.append(float(x[0].abs().max())))
    before, side, sent, values = example()
    for number in range(STEPS):
        with torch.no_grad():
            model.step(number, before * 1000, side * 0 + 127, sent * 1000, values * 1000)
    assert max(seen[::2]) <= LEVELS * FINE // 4 and max(seen[1::2]) <= 255
