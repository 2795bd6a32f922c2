"""How well a picture predicts another: a motion search before anything is coded."""

import pytest

from dvc_codec.codec.order import anchor_distance
from dvc_codec.codec.similarity import half_size, prediction_error
from dvc_codec.video import Frame, Picture
from tests.moving import noise, panned_texture, still


def error(a: Picture, b: Picture) -> float:
    return prediction_error(half_size(a), half_size(b))


def test_a_picture_predicts_itself_and_its_neighbours_in_a_pan() -> None:
    first, *_, last = panned_texture(size=(128, 128), frames=4, shift=(2.0, 0.0))
    other = panned_texture(size=(128, 128), frames=1, seed=9)[0]
    assert error(first, first) < 1e-6
    assert error(first, last) < 0.1 * error(first, other)


def test_nothing_predicts_noise() -> None:
    first, second = noise(size=(64, 64), frames=2)
    assert error(first, second) > 500


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (65, 33)])
def test_every_size_can_be_compared(size: tuple[int, int]) -> None:
    first, second = noise(size=size, frames=2)
    assert error(first, first) < 1e-6 <= error(first, second) + 1e-6


def test_anchors_are_far_apart_in_what_stays_and_near_in_what_changes() -> None:
    texture, other = panned_texture(size=(64, 64), frames=1), noise(size=(64, 64), frames=1)
    steady = [Frame(p, n) for n, p in enumerate(still(texture[0], 5))]
    changing = [Frame(p, n) for n, p in enumerate(still(texture[0], 3) + still(other[0], 2))]
    assert anchor_distance(steady, 3) == 4
    assert anchor_distance(changing, 3) == 2
