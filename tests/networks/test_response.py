"""What a decoder makes of the residual's symbols: found by trying, against what is known."""

import pytest
import torch
from torch import Tensor

from dvc_codec.networks.response import coefficients, measure
from dvc_codec.networks.transform import BlockTransform

STEPS = torch.full((1, 64, 1, 1), 0.05)


def test_coefficients_are_those_of_the_untrained_transform() -> None:
    luma = torch.randn(2, 1, 24, 40, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(coefficients(luma), BlockTransform(8, 1)(luma), atol=1e-5, rtol=0)
    chroma = luma.view(1, 2, 24, 40)
    expected = BlockTransform(8, 2)(chroma)
    torch.testing.assert_close(coefficients(chroma), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("cells", [(4, 4), (8, 8), (30, 52)])
def test_an_untrained_decoder_does_what_it_is_told(cells: tuple[int, int]) -> None:
    transform = BlockTransform(8, 1)
    with torch.no_grad():
        response = measure(lambda symbols: transform.inverse(symbols * STEPS), STEPS, cells)
    for found in (response.gain, response.energy, response.weights, response.undoing):
        torch.testing.assert_close(found, torch.ones(1, 64, 1, 1), atol=1e-4, rtol=0)


def test_gains_by_frequency_are_found() -> None:
    """Twice as much of low frequencies and half of the rest; and a constant, which is no change."""
    transform = BlockTransform(8, 1)
    bands = torch.tensor([u + v for u in range(8) for v in range(8)]).view(1, 64, 1, 1)
    gain = torch.where(bands < 5, 2.0, 0.5)

    def decoded(symbols: Tensor) -> Tensor:
        return transform.inverse(symbols * STEPS * gain) + 0.1

    with torch.no_grad():
        response = measure(decoded, STEPS, (12, 20))
    torch.testing.assert_close(response.gain, gain, atol=1e-3, rtol=0)
    torch.testing.assert_close(response.energy, gain.square(), atol=1e-3, rtol=0)
    torch.testing.assert_close(response.undoing, 1 / gain, atol=1e-3, rtol=0)
    # 13 of the 16 low frequencies have 4, three of u + v = 5 and 6 have 0.25
    mean = (13 * 4 + 3 * 0.25) / 16
    torch.testing.assert_close(response.weights, gain.square() / mean, atol=1e-3, rtol=0)


def test_each_colour_has_its_own() -> None:
    transform, steps = BlockTransform(8, 2), torch.full((1, 128, 1, 1), 0.03)
    gain = torch.cat((torch.full((1, 64, 1, 1), 1.5), torch.full((1, 64, 1, 1), 0.5)), 1)
    with torch.no_grad():
        response = measure(lambda symbols: transform.inverse(symbols * steps * gain), steps, (5, 9))
    torch.testing.assert_close(response.gain, gain, atol=1e-3, rtol=0)
    mean = (1.5**2 + 0.5**2) / 2
    torch.testing.assert_close(response.weights, gain.square() / mean, atol=1e-3, rtol=0)


def test_what_spreads_to_other_blocks_is_energy_and_not_gain() -> None:
    """Half of every block goes to the one below: an error of 1 costs 1.25 there, and there is no
    undoing it from here.
    """
    transform = BlockTransform(8, 1)

    def decoded(symbols: Tensor) -> Tensor:
        return transform.inverse((symbols + 0.5 * symbols.roll(1, 2)) * STEPS)

    with torch.no_grad():
        response = measure(decoded, STEPS, (64, 64))
    torch.testing.assert_close(response.gain, torch.ones(1, 64, 1, 1), atol=0.15, rtol=0)
    torch.testing.assert_close(response.energy, torch.full((1, 64, 1, 1), 1.25), atol=0.15, rtol=0)
