"""Anchors are averaged along motion: noise goes, and what was filmed stays."""

import numpy as np
import pytest

from dvc_codec.codec.frame_encoder import squared_error
from dvc_codec.codec.temporal_filter import REACH, Neighbour, filtered
from dvc_codec.container import FrameKind
from dvc_codec.video import Picture
from tests.moving import noise, panned_texture

SIZE = (128, 96)
RNG = np.random.default_rng(0)


def grainy(picture: Picture, deviation: float = 4.0) -> Picture:
    """The same with noise of its own."""
    planes = (p + RNG.normal(0, deviation, p.shape) for p in picture.planes)
    return Picture(*(p.round().clip(0, 255).astype(np.uint8) for p in planes))


def around(pictures: list[Picture], at: int) -> list[Neighbour]:
    return [Neighbour(picture, n - at) for n, picture in enumerate(pictures) if n != at]


@pytest.mark.parametrize("kind", [FrameKind.I, FrameKind.P])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (1.5, -0.75)])
def test_noise_is_halved_and_more_in_what_stays_and_in_what_moves(
    kind: FrameKind, shift: tuple[float, float]
) -> None:
    clean = panned_texture(size=SIZE, frames=2 * REACH + 1, shift=shift)
    noisy = [grainy(picture) for picture in clean]
    done = filtered(noisy[REACH], around(noisy, REACH), kind, 512)
    before = squared_error(noisy[REACH], clean[REACH])
    after = squared_error(done, clean[REACH])
    left = [a / b for a, b in zip(after, before, strict=True)]
    assert left[0] < (0.45 if kind is FrameKind.I else 0.6)
    assert max(left[1:]) < 0.8


def test_more_is_left_as_it_is_the_finer_it_is_coded() -> None:
    noisy = [grainy(p) for p in panned_texture(size=SIZE, frames=3)]
    changes = [
        squared_error(filtered(noisy[1], around(noisy, 1), FrameKind.I, lam), noisy[1])[0]
        for lam in (64, 512, 4096)
    ]
    assert changes[0] > changes[1] > changes[2] > 0


def test_what_has_nothing_to_do_with_it_hardly_changes_a_picture() -> None:
    first, _, last = noise(size=SIZE, frames=3)
    picture = panned_texture(size=SIZE, frames=1)[0]
    done = filtered(picture, [Neighbour(first, -1), Neighbour(last, 1)], FrameKind.I, 512)
    assert squared_error(done, picture)[0] < 3.0
    good = grainy(picture)
    alone = filtered(picture, [Neighbour(good, 1)], FrameKind.I, 512)
    beside = filtered(picture, [Neighbour(good, 1), Neighbour(first, -1)], FrameKind.I, 512)
    assert squared_error(alone, beside)[0] < 0.5


def test_nothing_around_is_nothing_done() -> None:
    picture = noise(frames=1)[0]
    assert filtered(picture, [], FrameKind.I, 512) is picture
    assert filtered(picture, [Neighbour(picture, REACH + 1)], FrameKind.I, 512) is picture
    assert filtered(picture, [Neighbour(picture, 3)], FrameKind.P, 512) is picture


@pytest.mark.parametrize("size", [(1, 1), (3, 2), (65, 33)])
def test_every_size_is_taken_and_a_still_picture_stays(size: tuple[int, int]) -> None:
    picture = noise(size=size, frames=1)[0]
    done = filtered(picture, [Neighbour(picture, -1), Neighbour(picture, 1)], FrameKind.I, 512)
    assert done.equals(picture)
