"""Groups are closed, not longer than asked for, and start where the scene changes."""

from collections.abc import Iterator

import numpy as np
import pytest

from dvc_codec.codec.gop import SceneCuts, schedule
from dvc_codec.video import Frame, Picture
from tests.files import two_scenes
from tests.moving import moving_square, noise, panned_texture, still


def starts_of(pictures: list[Picture], length: int, *, scene_cuts: bool = True) -> list[int]:
    """Numbers of the frames that start a group."""
    frames = (Frame(picture, pts) for pts, picture in enumerate(pictures))
    scheduled = schedule(frames, length, scene_cuts=scene_cuts)
    return [number for number, one in enumerate(scheduled) if one.starts]


def faded(pictures: list[Picture]) -> list[Picture]:
    """The same, brighter from black."""
    gains = np.linspace(0.1, 1, len(pictures))
    return [
        Picture((gain * p.y).astype(np.uint8), p.u, p.v)
        for gain, p in zip(gains, pictures, strict=True)
    ]


@pytest.mark.parametrize("length", [1, 3, 8, 100])
def test_groups_have_the_asked_length(length: int) -> None:
    assert starts_of(moving_square(frames=10), length) == list(range(0, 10, length))


def test_no_frames_make_no_groups() -> None:
    assert starts_of([], 8) == []


def test_a_scene_cut_starts_a_group_and_the_count_anew() -> None:
    pictures = two_scenes(frames=12, at=5)
    assert starts_of(pictures, 100) == [0, 5]
    assert starts_of(pictures, 4) == [0, 4, 5, 9]


def test_scene_cuts_can_be_ignored() -> None:
    assert starts_of(two_scenes(frames=12, at=5), 100, scene_cuts=False) == [0]


@pytest.mark.parametrize("scene_cuts", [False, True])
def test_scenes_are_counted_in_any_case(scene_cuts: bool) -> None:
    frames = (Frame(picture, pts) for pts, picture in enumerate(2 * two_scenes(frames=8, at=4)))
    found = [one.scene for one in schedule(frames, 3, scene_cuts=scene_cuts)]
    assert found == [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4


def test_several_cuts_are_all_found() -> None:
    assert starts_of(2 * two_scenes(frames=8, at=4), 100) == [0, 4, 8, 12]


@pytest.mark.parametrize(
    "pictures",
    [
        still(noise(frames=1)[0], 6),
        moving_square(size=(96, 64), frames=10, shift=(5.0, 3.0)),
        panned_texture(size=(96, 64), frames=10, shift=(6.0, 2.0)),
        noise(frames=8),
        faded(panned_texture(size=(96, 64), frames=40)),
    ],
    ids=["still", "moving square", "pan", "noise", "fade"],
)
def test_what_is_no_cut(pictures: list[Picture]) -> None:
    assert starts_of(pictures, 100) == [0]


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (7, 9), (17, 5)])
def test_tiny_pictures_are_looked_at_too(size: tuple[int, int]) -> None:
    assert starts_of(panned_texture(size=size, frames=4, shift=(0.1, 0.0)), 2) == [0, 2]


def test_frames_are_passed_on_one_by_one() -> None:
    taken = []

    def source() -> Iterator[Frame]:
        for pts, picture in enumerate(moving_square(frames=3)):
            taken.append(pts)
            yield Frame(picture, pts)

    for number, one in enumerate(schedule(source(), 8)):
        assert one.frame.pts == number
        assert taken == list(range(number + 1))


def test_the_first_picture_is_no_cut() -> None:
    assert not SceneCuts().is_cut(noise(frames=1)[0])
