"""What :mod:`.frequency` knows of the symbols of a coding step, in one pass: whole numbers, so the
same as there to the bit.
"""

import numpy as np
from numpy.typing import NDArray

from dvc_codec.compiled import compiled

Floats = NDArray[np.float32]  # of whole numbers
Integers = NDArray[np.int64]


@compiled
def _beside(plane: Floats, y: int, out: Floats) -> None:
    """``out`` (w,): sums of the four neighbours of row ``y``, nothing outside."""
    height, width = plane.shape
    out[:] = 0
    if y > 0:
        out += plane[y - 1]
    if y + 1 < height:
        out += plane[y + 1]
    for x in range(width - 1):
        out[x + 1] += plane[y, x]
        out[x] += plane[y, x + 1]


@compiled
def _entry(value: float, last: int) -> int:
    """Of a table whose last entry is ``last``; what is no number is the first."""
    if value >= last:
        return last
    return int(value) if value > 0 else 0


@compiled
def look(
    before: Floats,
    magnitudes: Floats,
    band_of: Integers,
    mine: Integers,
    lower: Integers,
    own: Floats,
    shared: Floats,
    levels: Floats,
    compressed: Floats,
    level: Floats,
    seen: Floats,
) -> None:
    """Levels of the formula, and what the correcting network sees beside the side information.

    Args:
        before, magnitudes: of the last frame and of this one's earlier steps, (C, h, w).
        band_of: every channel's band, (C,).
        mine, lower: channels of the step, (m,), and those below, (n,).
        own, shared: the formula's integers, (m, 2) and (m, 2 + 2 n).
        levels, compressed: tables of ``scale.look_up``.
        level: filled, (m, h, w).
        seen: filled, (bands + 2 m + n, h, w).
    """
    channels, height, width = before.shape
    m, n = len(mine), len(lower)
    bands = seen.shape[0] - 2 * m - n
    active = np.zeros((bands, height, width), np.float32)
    for c in range(channels):
        active[band_of[c]] += before[c]
    everywhere = active[0].copy()
    for band in range(1, bands):
        everywhere += active[band]
    inputs = np.empty((2 + 2 * n, width), np.float32)
    total, around = np.empty(width, np.float32), np.empty(width, np.float32)
    most, largest = len(levels) - 1, len(compressed) - 1
    for y in range(height):
        inputs[0] = everywhere[y]
        _beside(everywhere, y, inputs[1])
        for k in range(n):
            inputs[2 + k] = magnitudes[lower[k], y]
            _beside(magnitudes[lower[k]], y, inputs[2 + n + k])
        for i in range(m):
            here = before[mine[i], y]
            _beside(before[mine[i]], y, around)
            first, second = own[i, 0], own[i, 1]
            for x in range(width):
                total[x] = first * here[x] + second * around[x]
            for k in range(2 + 2 * n):
                weight = shared[i, k]
                if weight != 0:
                    row = inputs[k]
                    for x in range(width):
                        total[x] += weight * row[x]
            for x in range(width):
                found = levels[_entry(total[x], most)]
                level[i, y, x] = found
                seen[bands + i, y, x] = np.floor(found * np.float32(0.25))
                seen[bands + m + i, y, x] = compressed[_entry(here[x], largest)]
        for band in range(bands):
            for x in range(width):
                seen[band, y, x] = compressed[_entry(active[band, y, x], largest)]
        for k in range(n):
            for x in range(width):
                at = _entry(inputs[2 + k, x], largest)
                seen[bands + 2 * m + k, y, x] = compressed[at]
