"""Small generated videos. Every function says what its video shows."""

import numpy as np

from dvc_codec.video import Picture

Shift = tuple[float, float]


def moving_square(
    *,
    size: tuple[int, int] = (64, 48),
    frames: int = 8,
    shift: Shift = (1.5, 0.0),
    side: float = 12.0,
) -> list[Picture]:
    """A bright, bluish square on grey that moves by ``shift`` (right, down) luma pixels a frame.

    Its edges are anti-aliased, so a shift of half a pixel is half a pixel. ``size`` is (W, H).
    """
    width, height = size
    pictures = []
    for t in range(frames):
        left, top = width / 4 + t * shift[0], height / 4 + t * shift[1]
        inside = _covered(top, side, height)[:, None] * _covered(left, side, width)[None, :]
        small = _halved(inside)
        pictures.append(
            Picture(
                _samples(96 + 120 * inside), _samples(128 + 40 * small), _samples(128 - 20 * small)
            )
        )
    return pictures


def panned_texture(
    *,
    size: tuple[int, int] = (64, 48),
    frames: int = 8,
    shift: Shift = (1.5, 0.0),
    seed: int = 0,
) -> list[Picture]:
    """A soft random texture, as of leaves, seen by a camera: all moves by ``shift`` a frame.

    Made of 40 waves, so that it is exact at every sub-pixel position. ``size`` is (W, H).
    """
    width, height = size
    rng = np.random.default_rng(seed)
    # Wave lengths of 4 pixels and more; amplitudes fall with frequency, as in nature.
    waves = rng.uniform(-np.pi / 2, np.pi / 2, (40, 2))
    phases = rng.uniform(0, 2 * np.pi, 40)
    amplitudes = 25 / (1 + 2 * np.hypot(*waves.T))
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    pictures = []
    for t in range(frames):
        left, down = x - t * shift[0], y - t * shift[1]
        arguments = (
            waves[:, 0, None, None] * left + waves[:, 1, None, None] * down + phases[:, None, None]
        )
        luma = np.tensordot(amplitudes, np.sin(arguments), axes=1) / 2
        chroma = _halved(luma)
        pictures.append(
            Picture(_samples(128 + luma), _samples(128 + chroma / 3), _samples(128 - chroma / 4))
        )
    return pictures


def scene_cut(*, size: tuple[int, int] = (64, 48), frames: int = 8, at: int = 4) -> list[Picture]:
    """A panned texture that gives way to quite another one at frame ``at``."""
    before = panned_texture(size=size, frames=at, seed=1)
    after = panned_texture(size=size, frames=frames - at, shift=(0.0, -1.0), seed=2)
    return before + after


def still(picture: Picture, frames: int) -> list[Picture]:
    """The same picture all the time."""
    return [picture] * frames


def noise(*, size: tuple[int, int] = (64, 48), frames: int = 8, seed: int = 0) -> list[Picture]:
    """Independent samples over the whole range, 0 and 255 included: nothing predicts them."""
    width, height = size
    rng = np.random.default_rng(seed)
    chroma = ((height + 1) // 2, (width + 1) // 2)
    return [
        Picture(
            *(rng.integers(0, 256, shape, np.uint8) for shape in ((height, width), chroma, chroma))
        )
        for _ in range(frames)
    ]


def _covered(start: float, length: float, pixels: int) -> np.ndarray:
    """How much of each of ``pixels`` unit cells the interval covers, 0 to 1."""
    cell = np.arange(pixels)
    return np.clip(np.minimum(cell + 1, start + length) - np.maximum(cell, start), 0, 1)


def _halved(plane: np.ndarray) -> np.ndarray:
    """Means of 2x2 cells; odd sizes repeat their last row and column."""
    height, width = plane.shape
    even = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    return even.reshape(even.shape[0] // 2, 2, even.shape[1] // 2, 2).mean((1, 3))


def _samples(plane: np.ndarray) -> np.ndarray:
    return np.clip(np.round(plane), 0, 255).astype(np.uint8)
