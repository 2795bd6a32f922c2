"""Low frequencies first: every symbol once, from what is already decoded, integers everywhere."""

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.entropy.frequency import BANDS, LARGEST_WEIGHT, Formula, FrequencyScale
from dvc_codec.entropy.law import FINE, LEVELS, LOWEST_MEAN, PER_OCTAVE
from dvc_codec.entropy.mixing_kernel import LARGEST_EXPONENT, REACH
from dvc_codec.entropy.prior import FramePrior, Plane, parents
from dvc_codec.entropy.scale import (
    EXACT,
    FORMULA_ENTRIES,
    UNIT,
    WEIGHT_SCALE,
    CodingStep,
    IntegerConv,
    index_of,
)

Integers = NDArray[np.int64]
FREQUENCIES = [u + v for u in range(8) for v in range(8)]
SMALLER = [u + v for _ in range(2) for u in range(4) for v in range(4) if u + v]
SIZES = [(4, 6), (5, 7), (1, 1), (1, 4), (3, 1)]
LARGEST = REACH + (2 << LARGEST_EXPONENT) - 2  # that can be read
HEIGHT, WIDTH = 5, 6
SIDE = 2


def trained(frequencies: list[int] = FREQUENCIES) -> FrequencyScale:
    """As training may leave it: corrections are something, and weights leave their limits."""
    torch.manual_seed(1)
    model = FrequencyScale(frequencies, SIDE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
        for formula, layer in zip(model.formulas, model.leave, strict=True):
            assert isinstance(formula, Formula) and isinstance(layer, IntegerConv)
            formula.own[0, 0], formula.shared[0, 0] = 9, -9
            layer.bias.normal_(0, 20)
    return model


def learned_to_the_edge() -> FrequencyScale:
    """With weights of formulas that float16 takes to the next integer."""
    model = trained()
    with torch.no_grad():
        for formula in model.formulas:
            assert isinstance(formula, Formula)
            formula.own[1:] = 201.4999 / WEIGHT_SCALE
            formula.shared[1:, :2] = 7.49999 / WEIGHT_SCALE
    return model


def assert_whole(model: FrequencyScale) -> None:
    """All weights are integers, in their range, that float16 holds."""
    for name, parameter in model.named_parameters():
        whole = parameter.detach() * (1 if name.endswith("bias") else WEIGHT_SCALE)
        assert torch.equal(whole, whole.round()), name
        assert torch.equal(parameter, parameter.half().float()), name
        if "formulas" in name:
            assert float(whole.min()) >= 0 and float(whole.max()) <= LARGEST_WEIGHT, name


def example(batch: int = 1, seed: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    """Magnitudes before, side information, and this frame's symbols; a few are huge."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(2, batch, len(FREQUENCIES), HEIGHT, WIDTH, generator=generator)
    sign = torch.randint(0, 2, x.shape, generator=generator) * 2 - 1
    before, sent = (0.2 / (x + 0.2 / 3000)).floor() * sign
    side = torch.randint(0, 128, (batch, SIDE, HEIGHT, WIDTH), generator=generator).float()
    return before.abs(), side, sent


def decoded(model: FrequencyScale, sent: Tensor, number: int) -> Tensor:
    """What a decoder has of ``sent`` before step ``number``, zero elsewhere."""
    known = torch.zeros_like(sent)
    for part in model.steps(*sent.shape[-2:])[:number]:
        known = part.put(known, part.of(sent))
    return known


def everything(model: FrequencyScale, before: Tensor, side: Tensor, sent: Tensor) -> list[Tensor]:
    """Levels of all steps, each from what is decoded before it."""
    with torch.no_grad():
        return [
            model.step(number, before, side, known, known)[1]
            for number in range(len(model.steps(1, 1)))
            for known in [decoded(model, sent, number)]
        ]


def exact_sums(model: FrequencyScale, number: int, before: Integers, sent: Integers) -> list[int]:
    """A step's formula in Python's integers, of any size, written anew."""
    channels, height, width = before.shape
    mine = channels_of(model.steps(1, 1)[number])
    ends = [0, BANDS[1], *BANDS[1:]]  # of the frequencies that a step knows
    known = [c for c in range(channels) if FREQUENCIES[c] < ends[number]]
    formula = model.formulas[number]
    assert isinstance(formula, Formula)
    own, shared = (
        [[min(max(round(float(w) * 128), 0), 1023) for w in row] for row in weights]
        for weights in (formula.own.detach(), formula.shared.detach())
    )

    def beside(plane: list[list[int]], y: int, x: int) -> int:
        places = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        return sum(plane[v][u] for v, u in places if 0 <= v < height and 0 <= u < width)

    past = before.tolist()
    now = [abs(sent[c]).tolist() for c in known]
    total = before.sum(0).tolist()
    sums = []
    for i, c in enumerate(mine):
        for y, x in np.ndindex(height, width):
            looked_at = [total[y][x], beside(total, y, x)]
            looked_at += [plane[y][x] for plane in now] + [beside(plane, y, x) for plane in now]
            value = own[i][0] * past[c][y][x] + own[i][1] * beside(past[c], y, x)
            sums.append(value + sum(w * m for w, m in zip(shared[i], looked_at, strict=True)))
    return sums


def channels_of(part: CodingStep) -> list[int]:
    assert part.channels is not None
    found: list[int] = part.channels.tolist()
    return found


def level(formula: int) -> int:
    mean = 0.002 + 0.12 * min(formula, FORMULA_ENTRIES - 1) / UNIT
    return round(FINE * PER_OCTAVE * np.log2(mean / LOWEST_MEAN))


@pytest.mark.parametrize("frequencies", [FREQUENCIES, SMALLER, [0, 5, 1, 9]])
@pytest.mark.parametrize(("height", "width"), SIZES)
def test_every_symbol_is_coded_once(frequencies: list[int], height: int, width: int) -> None:
    counts = torch.zeros(1, len(frequencies), height, width)
    for part in FrequencyScale(frequencies, SIDE).steps(height, width):
        assert channels_of(part) == sorted(channels_of(part))
        counts = part.put(counts, part.of(counts) + 1)
    assert torch.equal(counts, torch.ones_like(counts))


def test_low_frequencies_come_first() -> None:
    parts = FrequencyScale(FREQUENCIES, SIDE).steps(4, 4)
    found = [[FREQUENCIES[c] for c in channels_of(part)] for part in parts]
    assert [(min(f), max(f), len(f)) for f in found] == [
        (0, 1, 3),
        (0, 1, 3),
        (2, 3, 7),
        (4, 6, 18),
        (7, 14, 36),
    ]
    assert [int(part.cells.sum()) for part in parts] == [8, 8, 16, 16, 16]
    assert torch.equal(parts[0].cells, ~parts[1].cells) and bool(parts[0].cells[0, 0])


def test_a_plane_without_a_band_has_a_step_less() -> None:
    parts = FrequencyScale(SMALLER, SIDE).steps(4, 4)
    assert [len(channels_of(part)) for part in parts] == [4, 4, 14, 12]


def test_a_step_is_not_told_of_itself_or_of_later_ones() -> None:
    """Whatever stands in the other channels; of the lowest band, whose second half knows the
    first, what the loop of the codec has not put there is zero.
    """
    model = trained()
    before, side, sent = example()
    parts = model.steps(HEIGHT, WIDTH)
    for number, part in enumerate(parts):
        known = decoded(model, sent, number)
        other = known
        for later in parts[number:]:
            if number != 1 or channels_of(later) != channels_of(part):
                other = later.put(other, 77.0)
        assert not torch.equal(known, other)
        with torch.no_grad():
            _, fine = model.step(number, before, side, known, known)
            _, again = model.step(number, before, side, other, other)
        assert torch.equal(fine, again), number


def test_a_step_is_told_of_all_earlier_ones() -> None:
    """Each of them changes something."""
    model = trained()
    before, side, sent = (x.clamp(-3, 3) for x in example())
    parts = model.steps(HEIGHT, WIDTH)
    for number in range(1, len(parts)):
        known = decoded(model, sent, number)
        with torch.no_grad():
            _, fine = model.step(number, before, side, known, known)
            for earlier in parts[:number]:
                other = earlier.put(known, earlier.of(known) * 2 + 1)
                assert not torch.equal(model.step(number, before, side, other, other)[1], fine)


def test_nothing_is_predicted_and_signs_say_nothing() -> None:
    model = trained()
    before, side, sent = example()
    for number in range(len(model.steps(1, 1))):
        known = decoded(model, sent, number)
        with torch.no_grad():
            mean, fine = model.step(number, before, side, known, known)
            _, other = model.step(number, before, side, known.abs(), known)
        assert mean == 0.0 and torch.equal(fine, other)


def test_a_decoder_reads_what_was_written() -> None:
    """With nothing but the bytes and the frame before, and statistics that learn alike."""
    model = trained()
    before, side, sent = example()
    before[..., ::2] = 0

    class Prior(FramePrior):
        def side(self, *_: object) -> Tensor:
            return side

    plane = Plane("some", 64, 8, SIDE, tuple(parents(8, 1)), frequencies=tuple(FREQUENCIES))
    prior = Prior((plane,))
    prior.scales["some"] = model
    fine = torch.zeros_like(sent)
    chosen = torch.zeros_like(sent)
    with torch.no_grad():
        for number, part in enumerate(model.steps(HEIGHT, WIDTH)):
            _, levels = model.step(number, before, side, chosen, chosen)
            chosen = part.put(chosen, part.of(sent) * (index_of(levels) > 0))
            fine = part.put(fine, levels)
    statistics, past = prior.statistics(), {"some": before}
    payload, _, expected = symbols.write(
        prior, statistics, {"some": chosen}, {"some": fine}, {}, past
    )
    with torch.no_grad():
        _, read, learned, _ = symbols.read(prior, statistics, payload, past)
    assert torch.equal(read["some"], chosen)
    np.testing.assert_array_equal(learned["some"].counters, expected["some"].counters)
    np.testing.assert_array_equal(learned["some"].weights, expected["some"].weights)
    assert 0 < int((chosen != sent).sum()) < int((chosen == sent).sum())  # some are not sent


def test_formula() -> None:
    """The starting weights, by hand: luma of nothing but one channel before and one now."""
    model = FrequencyScale(FREQUENCIES, 0)
    before, sent = torch.zeros(2, 1, 64, 3, 3)
    before[0, 1, 1, 1] = 3
    sent[0, 8, 1, 1] = -2

    def found(number: int, channel: int, y: int, x: int) -> float:
        index = channels_of(model.steps(3, 3)[number]).index(channel)
        with torch.no_grad():
            return float(model.step(number, before, before[:, :0], sent, sent)[1][0, index, y, x])

    assert found(0, 1, 1, 1) == level(3 * (177 + 9))
    assert found(0, 1, 1, 2) == level(3 * (129 + 7))
    assert found(0, 8, 1, 1) == level(3 * 9)
    assert found(1, 8, 1, 2) == level(3 * 4 + 2 * (10 + 188))
    assert found(1, 1, 0, 1) == level(3 * (17 + 4) + 2 * 10)
    assert found(2, 2, 1, 1) == level(3 * 4 + 2 * 14)  # newest: of the band right below
    assert found(2, 2, 1, 0) == level(3 * 3 + 2 * 5)
    assert found(3, 4, 1, 1) == level(3 * 2 + 2 * 2)  # of those below that
    assert found(3, 4, 2, 1) == level(3 * 2 + 2 * 2)
    assert found(4, 63, 1, 1) == level(3 * 1 + 2 * 1)
    assert found(4, 63, 0, 0) == level(0)


def test_levels_are_those_of_integers_of_any_size() -> None:
    """Magnitudes as large as the coder can say, whose sums float32 rounds: the table ends long
    before.
    """
    model = trained()
    for layer in model.leave:
        assert isinstance(layer, IntegerConv)
        with torch.no_grad():
            layer.weight.zero_()
            layer.bias.zero_()
    largest = torch.full((1, 64, HEIGHT, WIDTH), float(LARGEST))
    before, side, sent = example()
    mixed = torch.where(before > 3, largest, before)
    inexact = edge = 0
    for past, now in ((largest, largest), (before, sent), (mixed, sent), (before, mixed)):
        for number, fine in enumerate(everything(model, past, side, now)):
            known = decoded(model, now, number)[0].long().numpy()
            sums = exact_sums(model, number, past[0].long().numpy(), known)
            assert fine.flatten().tolist() == [level(value) for value in sums]
            inexact += sum(value >= EXACT for value in sums)
            edge += sum(FORMULA_ENTRIES // 8 < value < FORMULA_ENTRIES for value in sums)
    assert inexact > 1000 and edge > 300


def test_sums_on_either_side_of_what_float32_counts_are_beyond_the_table() -> None:
    """Rounding never takes one back: terms are not negative, and partial sums never fall."""
    generator = torch.Generator().manual_seed(5)
    inputs = 2 + 2 * 28
    weights = torch.randint(0, LARGEST_WEIGHT + 1, (36, inputs), generator=generator)
    formula = Formula(weights[:, :2], weights)
    for scale in (1, 40, 300, 1000, LARGEST):
        own = torch.randint(0, scale + 1, (1, 36, 4, 4), generator=generator)
        shared = torch.randint(0, 4 * scale + 1, (1, inputs, 4, 4), generator=generator)
        with torch.no_grad():
            single = formula(own.float(), shared.float())
            double = copy.deepcopy(formula).double()(own.double(), shared.double())
        whole = double < EXACT
        assert torch.equal(single.double()[whole], double[whole])
        assert bool((single[~whole] >= EXACT).all())
        limited = single.clamp(max=FORMULA_ENTRIES - 1).double()
        assert torch.equal(limited, double.clamp(max=FORMULA_ENTRIES - 1))


def test_levels_are_integers_in_range() -> None:
    for number, fine in enumerate(everything(trained(), *example())):
        assert torch.equal(fine, fine.round())
        assert float(fine.min()) >= 0 and float(fine.max()) <= (LEVELS - 1) * FINE
        assert len(fine.unique()) > 20, number  # the example says something


def test_nothing_depends_on_precision_layout_autocast_or_gradients() -> None:
    model, inputs = trained(), example()
    plain = everything(model, *inputs)
    double = everything(copy.deepcopy(model).double(), *(x.double() for x in inputs))
    channels_last = [x.contiguous(memory_format=torch.channels_last) for x in inputs]
    last = everything(copy.deepcopy(model).to(memory_format=torch.channels_last), *channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = everything(model, *inputs)
    for a, *others in zip(plain, double, last, autocast, strict=True):
        assert all(torch.equal(a.double(), b.double()) for b in others)
    for number, still in enumerate(plain):
        known = decoded(model, inputs[2], number)
        learning = model.step(number, *inputs[:2], known, known)[1]
        assert learning.requires_grad
        torch.testing.assert_close(learning.detach(), still, atol=1e-3, rtol=0)
        assert torch.equal(index_of(learning.detach().round()), index_of(still))


def test_pictures_of_a_batch_know_nothing_of_each_other() -> None:
    model, inputs = trained(), example(batch=3)
    together = everything(model, *inputs)
    for b in range(3):
        alone = everything(model, *(x[b : b + 1] for x in inputs))
        for a, one in zip(together, alone, strict=True):
            assert torch.equal(a[b : b + 1], one)


def test_gradients_reach_formulas_and_networks() -> None:
    """Of every step; where symbols are small, as most are."""
    torch.manual_seed(0)
    model = FrequencyScale(FREQUENCIES, SIDE)
    with torch.no_grad():
        for layer in model.leave:
            assert isinstance(layer, IntegerConv)
            layer.weight.normal_(0, 0.1)  # it starts at zero, and lets nothing through to enter
    before, side, sent = (x.clamp(-2, 2) for x in example())
    for number in range(len(model.formulas)):
        known = decoded(model, sent, number)
        model.step(number, before, side, known, known)[1].square().mean().backward()
        formula, enter, leave = (m[number] for m in (model.formulas, model.enter, model.leave))
        for module in (formula, enter, leave):
            for name, parameter in module.named_parameters():
                assert parameter.grad is not None and bool(parameter.grad.any()), (number, name)
        assert isinstance(formula, Formula)
        assert formula.own.grad is not None and bool((formula.own.grad != 0).all())
        assert formula.shared.grad is not None
        if number != 1:  # there the step's own cells of what is known are zero
            assert bool((formula.shared.grad != 0).all())


def test_a_larger_weight_says_a_larger_level() -> None:
    """The gradient has the direction, and about the size, of what a change does."""
    formula = Formula(torch.tensor([[100, 50]]), torch.tensor([[10, 10]]))
    model = FrequencyScale([0], 0)
    one = torch.ones(1, 1, 3, 3)
    model._level_of(formula(one, one.expand(1, 2, 3, 3))).sum().backward()
    assert formula.own.grad is not None
    with torch.no_grad():
        here = model._level_of(formula(one, one.expand(1, 2, 3, 3))).sum()
        formula.own[0, 0] += 20 / WEIGHT_SCALE
        moved = model._level_of(formula(one, one.expand(1, 2, 3, 3))).sum() - here
    expected = float(formula.own.grad[0, 0]) * 20 / WEIGHT_SCALE
    assert float(moved) == pytest.approx(expected, rel=0.3) and expected > 10


def test_baking_changes_no_level_and_survives_float16() -> None:
    model, inputs = learned_to_the_edge(), example()
    before = everything(model, *inputs)
    for module in model.modules():
        if isinstance(module, Formula | IntegerConv):
            module.bake()
    assert_whole(model)
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    for a, b in zip(before, everything(model, *inputs), strict=True):
        assert torch.equal(a, b)


def test_without_baking_float16_would_change_levels() -> None:
    """So that the test above means something."""
    model, inputs = learned_to_the_edge(), example()
    before = everything(model, *inputs)
    for parameter in model.parameters():
        parameter.data = parameter.data.half().float()
    assert not all(map(torch.equal, before, everything(model, *inputs)))


def test_a_prior_bakes_its_formulas() -> None:
    prior = FramePrior((Plane("some", 64, 8, SIDE, frequencies=tuple(FREQUENCIES)),))
    prior.scales["some"] = model = learned_to_the_edge()
    prior.bake()
    assert_whole(model)


def test_a_formula_bakes_into_the_integers_that_it_computes_with() -> None:
    formula = Formula(torch.tensor([[1000.499, -3]]), torch.tensor([[2000.0, 7.501, 0.4]]))
    formula.bake()
    assert (formula.own * WEIGHT_SCALE).tolist() == [[1000, 0]]
    assert (formula.shared * WEIGHT_SCALE).tolist() == [[LARGEST_WEIGHT, 8, 0]]
    assert torch.equal(formula.integers(formula.shared), formula.shared * WEIGHT_SCALE)


@pytest.mark.parametrize("layers", ["enter", "leave"])
@pytest.mark.parametrize("number", [0, 4])
def test_weights_that_are_too_large_to_be_exact_are_refused(layers: str, number: int) -> None:
    model = trained()
    model.check_exact()
    wide = IntegerConv(2000, 2, 3)
    with torch.no_grad():
        wide.weight.fill_(0.9)
    getattr(model, layers)[number] = wide
    with pytest.raises(OverflowError, match="2\\^24"):
        model.check_exact()


def test_the_bound_of_exactness_covers_every_input() -> None:
    """No input of a layer exceeds what check_exact assumes."""
    model, seen = trained(), []
    for layer in (*model.enter, *model.leave):
        layer.register_forward_pre_hook(lambda _, x: seen.append(float(x[0].abs().max())))
    before, side, sent = example()
    everything(model, before * 1000, side * 0 + 127, sent * 1000)
    assert 127 < max(seen) <= 255


def test_weights_that_are_no_numbers_are_survived() -> None:
    model = FrequencyScale(FREQUENCIES, side=0)
    for formula in model.formulas:
        torch.nn.init.constant_(formula.shared, float("nan"))
    nothing = torch.ones(1, len(FREQUENCIES), 4, 4)
    with torch.no_grad():
        for number in range(len(model.bands) + 1):
            model.step(number, nothing, nothing[:, :0], nothing, nothing)


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 12)])
def test_levels_are_the_same_compiled(size: tuple[int, int]) -> None:
    """To the bit, whatever was sent: parsing hangs on it."""
    torch.manual_seed(1)
    model = FrequencyScale(FREQUENCIES, side=2)
    for layer in model.leave:
        torch.nn.init.normal_(layer.weight, std=0.2)
    for formula in model.formulas:
        torch.nn.init.uniform_(formula.shared, 0, 3)
    chance = torch.Generator().manual_seed(2)
    shape = (2, len(FREQUENCIES), *size)
    largest = torch.tensor([2.0, 40, 300, 30000])[torch.randint(4, shape, generator=chance)]
    before, sent = (
        (torch.randn(shape, generator=chance) * largest * torch.rand(shape, generator=chance))
        .round()
        .clamp(-32767, 32767)
        for _ in range(2)
    )
    side = torch.randint(128, (2, 2, *size), generator=chance).float()
    for number in range(len(model.bands) + 1):
        with torch.enable_grad():
            expected = model.step(number, before.abs(), side, sent, sent)[1]
        with torch.no_grad():
            found = model.step(number, before.abs(), side, sent, sent)[1]
        assert torch.equal(found, expected), number
