"""How well small pictures predict each other."""

import pytest

from dvc_codec.codec.predictability import small, unlike
from dvc_codec.video import Picture
from tests.moving import noise, panned_texture


def of(a: Picture, b: Picture) -> float:
    return unlike(small(a), small(b))


def test_a_picture_is_like_itself_and_like_its_neighbour_in_a_pan() -> None:
    first, *_, last = panned_texture(size=(128, 96), frames=3, shift=(4.0, 0.0))
    assert of(first, first) == 0
    panned, other = of(first, last), of(first, panned_texture(size=(128, 96), seed=9)[0])
    assert panned < 0.3 * other


def test_what_moves_further_than_is_looked_for_is_unlike() -> None:
    first, near, far = panned_texture(size=(256, 96), frames=3, shift=(24.0, 0.0))
    assert of(first, near) < 0.5 * of(first, far)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 5), (1920, 64)])
def test_every_size_can_be_compared(size: tuple[int, int]) -> None:
    first, second = noise(size=size, frames=2)
    assert small(first).shape[-1] <= 320 and of(first, first) == 0 <= of(first, second)
