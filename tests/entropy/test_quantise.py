"""The encoder's choice between what is near and what is cheap."""

import torch
from torch import Tensor

from dvc_codec.codec.costs import law_costs
from dvc_codec.entropy.law import FINE
from dvc_codec.entropy.quantise import Cost, choose, choose_lift, with_gradient
from dvc_codec.entropy.scale import LIFTS, lifted


def some_latents() -> Tensor:
    return 4 * torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def some_cost(slope: Tensor | float) -> object:
    return lambda symbols, cells=None: 0.2 + slope * symbols.abs() + (symbols != 0) * 1.5


def brute_force(y: float, cost: object, trade: float) -> float:
    """The least of trade * (y - q)^2 + cost(q) over round(y), one nearer to zero, and zero."""
    q = float(torch.tensor(y).round())
    nearer = q - (q > 0) + (q < 0)
    options = {0.0, q, nearer}
    return min(trade * (y - option) ** 2 + float(cost(torch.tensor(option))) for option in options)


def test_the_cheapest_of_three_is_chosen() -> None:
    latents, trade, cost = some_latents(), 8.66, some_cost(2.5)
    chosen = choose(latents, cost, trade)
    assert torch.equal(chosen, chosen.round())
    found = trade * (latents - chosen) ** 2 + cost(chosen)
    for y, got in zip(latents.flatten(), found.flatten(), strict=True):
        assert abs(float(got) - brute_force(float(y), cost, trade)) < 1e-3


def test_free_symbols_are_rounded() -> None:
    latents = some_latents()
    chosen = choose(latents, lambda symbols, _: torch.zeros_like(symbols), 8.66)
    assert torch.equal(chosen, latents.round())


def test_dear_symbols_are_not_sent() -> None:
    assert float(choose(some_latents(), some_cost(1e6), 8.66).abs().max()) == 0


def test_the_trade_may_differ_from_latent_to_latent() -> None:
    latents = torch.full((1, 2, 4, 4), 0.9)
    trade = torch.tensor([0.01, 100.0]).view(1, 2, 1, 1)
    chosen = choose(latents, some_cost(2.0), trade)
    assert torch.equal(chosen[0, 0], torch.zeros(4, 4))
    assert torch.equal(chosen[0, 1], torch.ones(4, 4))


def test_choosing_asks_for_no_gradient() -> None:
    latents = some_latents().requires_grad_()
    assert not choose(latents, some_cost(2.0), 8.66).requires_grad


def test_gradient_passes_where_something_is_sent_and_only_there() -> None:
    latents = some_latents().requires_grad_()
    symbols = choose(latents, some_cost(2.0), 8.66)
    sent = with_gradient(symbols, latents)
    assert torch.equal(sent.detach(), symbols)
    sent.sum().backward()
    assert latents.grad is not None
    assert torch.equal(latents.grad, (symbols != 0).float())
    assert 0 < float(latents.grad.mean()) < 1


EVERYWHERE = torch.ones(16, 16, dtype=torch.bool)


def law(levels: Tensor) -> Cost:
    return law_costs("any", levels)


def total(latents: Tensor, symbols: Tensor, levels: Tensor, trade: float) -> float:
    return float((law(levels)(symbols, None) + trade * (latents - symbols) ** 2).sum())


def test_levels_are_lifted_where_far_more_is_there_than_they_expect() -> None:
    latents = torch.randn(1, 8, 16, 16, generator=torch.Generator().manual_seed(2))
    levels = torch.randint(0, 4 * FINE, latents.shape).float()  # almost nothing
    raised, lift = choose_lift(latents, levels, EVERYWHERE, law, 8.66)
    assert lift > 0
    assert torch.equal(raised, lifted(levels, lift))
    costs = [
        total(latents, choose(latents, law(lifted(levels, n)), 8.66), lifted(levels, n), 8.66)
        for n in range(LIFTS + 1)
    ]
    assert costs[lift] == min(costs)
    assert min(costs) < 0.9 * costs[0]


def test_levels_that_are_right_stay() -> None:
    latents = torch.zeros(1, 8, 16, 16)
    latents[:, :, 3:6, 3:6] = 2.0
    levels = torch.zeros_like(latents)
    levels[:, :, 3:6, 3:6] = 24.0 * FINE
    raised, lift = choose_lift(latents, levels, EVERYWHERE, law, 8.66)
    assert lift == 0
    assert raised is levels


def test_cells_of_other_steps_lift_nothing() -> None:
    latents = torch.zeros(1, 8, 16, 16)
    latents[..., ::2] = 3.0
    cells = EVERYWHERE.clone()
    cells[:, ::2] = False
    assert choose_lift(latents, torch.zeros_like(latents), cells, law, 8.66)[1] == 0
    assert choose_lift(latents, torch.zeros_like(latents), ~cells, law, 8.66)[1] > 0
