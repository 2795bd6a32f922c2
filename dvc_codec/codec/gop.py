"""The GOP scheduler: which frames are I frames.

Closed groups of at most N frames; a scene cut starts a new one.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvc_codec.video import Frame, Picture

_BLOCK = 8
# A cut: unlike the last picture as much as unlike its own blur, more than noise, and out of
# proportion to what went before.
_OF_TEXTURE, _LEAST, _OF_USUAL = 0.7, 6.0, 3.0


class SceneCuts:
    """Tells scene cuts from motion by thumbnails: fed with every picture in order."""

    def __init__(self) -> None:
        self._last: NDArray[np.float32] | None = None
        self._usual: float | None = None

    def is_cut(self, picture: Picture) -> bool:
        """Whether ``picture`` starts a new scene. The first one does not."""
        small = _thumbnail(picture)
        last, self._last = self._last, small
        if last is None:
            return False
        change = _unlike(small, last)
        usual = change if self._usual is None else self._usual
        cut = change > max(_LEAST, _OF_TEXTURE * _texture(small)) and (
            self._usual is None or change > _OF_USUAL * usual
        )
        # after a cut the new scene's own motion is unknown: the old one's stays the yardstick
        self._usual = usual if cut else 0.7 * usual + 0.3 * change
        return cut


@dataclass(frozen=True)
class Scheduled:
    """A frame, whether it starts a group, and the number of its scene."""

    frame: Frame
    starts: bool
    scene: int


def schedule(
    frames: Iterator[Frame], length: int, *, scene_cuts: bool = True
) -> Iterator[Scheduled]:
    """Say of every frame whether it starts a group of at most ``length`` frames.

    ``scene_cuts``: whether cuts start groups. Scenes are counted in either case.
    """
    cuts = SceneCuts()
    since, scene = length, 0
    for frame in frames:
        cut = cuts.is_cut(frame.picture)
        scene += cut
        if (cut and scene_cuts) or since >= length:
            since = 0
        yield Scheduled(frame, since == 0, scene)
        since += 1


def _thumbnail(picture: Picture) -> NDArray[np.float32]:
    """Luma means of 8x8 blocks (of what there is, for tiny pictures)."""
    h, w = (max(1, n // _BLOCK) for n in picture.y.shape)
    block_h, block_w = picture.y.shape[0] // h, picture.y.shape[1] // w
    blocks = picture.y[: h * block_h, : w * block_w].reshape(h, block_h, w, block_w)
    means: NDArray[np.float32] = blocks.mean((1, 3), dtype=np.float32)
    return means


def _unlike(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean over a's cells of the least difference to b's 3x3 cells around: pans are not cuts."""
    padded = np.pad(b, 1, mode="edge")
    h, w = a.shape
    shifted = [padded[y : y + h, x : x + w] for y in range(3) for x in range(3)]
    return float(np.min([np.abs(a - s) for s in shifted], axis=0).mean())


def _texture(a: NDArray[np.float32]) -> float:
    """Mean absolute deviation of the picture from its own mean: what an unrelated picture would
    differ by, about.
    """
    return float(np.abs(a - a.mean()).mean()) * 0.5
