"""How well a picture predicts another, before anything is coded."""

import pytest

from dvc_codec.codec.order import anchor_distance
from dvc_codec.codec.predictability import error_of, half_size, predict
from dvc_codec.video import Frame, Picture
from tests.moving import noise, panned_texture, still


def of(a: Picture, b: Picture) -> float:
    return error_of(predict(half_size(a), half_size(b)), half_size(b))


def test_a_picture_predicts_itself_and_its_neighbour_in_a_pan() -> None:
    first, *_, last = panned_texture(size=(128, 96), frames=3, shift=(4.0, 0.0))
    assert of(first, first) < 1e-6
    panned, other = of(first, last), of(first, panned_texture(size=(128, 96), seed=9)[0])
    assert panned < 0.1 * other


def test_the_error_is_in_squared_levels_of_the_half_size_pictures() -> None:
    first, second = noise(size=(64, 64), frames=2)
    a, b = half_size(first), half_size(second)
    assert 0 < error_of(predict(a, b), b) <= float((a - b).square().mean()) * 255**2


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 5), (320, 64)])
def test_every_size_can_be_compared(size: tuple[int, int]) -> None:
    first, second = noise(size=size, frames=2)
    # motion is found to an eighth of a pixel at first: squared levels that nobody sees may be left
    assert of(first, first) < 1e-3 <= of(first, second)


def test_anchors_are_far_apart_in_what_stays_and_near_in_what_changes() -> None:
    texture, other = panned_texture(size=(64, 64), frames=1), noise(size=(64, 64), frames=1)
    steady = [Frame(p, n) for n, p in enumerate(still(texture[0], 5))]
    changing = [Frame(p, n) for n, p in enumerate(still(texture[0], 3) + still(other[0], 2))]
    assert anchor_distance(steady, 3) == 4
    assert anchor_distance(changing, 3) == 2
