"""What follows from what a file says about its pictures."""

from dataclasses import replace
from fractions import Fraction

import pytest

from dvc_codec.video import VideoInfo

INFO = VideoInfo(640, 360, Fraction(24000, 1001), Fraction(1001, 24000), frame_count=100)


@pytest.mark.parametrize(
    ("start", "wanted", "expected"),
    [
        (0.0, None, 100),
        (0.0, 30, 30),
        (0.0, 300, 100),
        (1.0, None, 76),  # 23.98 frames are left out
        (1.0, 90, 76),
        (50.0, None, 1),  # a start behind the end is another one's error to report
    ],
)
def test_frames_from_a_start(start: float, wanted: int | None, expected: int) -> None:
    assert INFO.frames_from(start, wanted) == expected


@pytest.mark.parametrize("wanted", [None, 7])
def test_a_file_that_does_not_say_leaves_what_is_wanted(wanted: int | None) -> None:
    assert replace(INFO, frame_count=None).frames_from(2.0, wanted) == wanted
