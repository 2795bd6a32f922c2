"""What the post-filter looks at, made ready in one pass: see ``post_filter.joined``, which a test
holds this to.
"""

import numpy as np
from numpy.typing import NDArray

from dvc_codec.compiled import compiled

Floats = NDArray[np.float32]
Halves = NDArray[np.int16]  # the bits of bfloat16


@compiled
def _means_beside(luma: Floats, chroma: Floats, y: int, sums: Floats) -> None:
    """``sums`` (3, w): of the cells from y - 1 to y + 1 that there are, luma's means and chroma."""
    quarter = np.float32(0.25)
    sums[:] = 0
    width = sums.shape[1]
    for row in range(max(y - 1, 0), min(y + 2, chroma.shape[1])):
        above, below = luma[2 * row], luma[2 * row + 1]
        for x in range(width):
            left, right = above[2 * x] + below[2 * x], above[2 * x + 1] + below[2 * x + 1]
            sums[0, x] += (left + right) * quarter
            sums[1, x] += chroma[0, row, x]
            sums[2, x] += chroma[1, row, x]


@compiled
def inputs(
    picture: tuple[Floats, Floats],
    correction: tuple[Floats, Floats],
    residual: tuple[Floats, Floats],
    known: Halves,
    unit: Floats,
    out: Halves,
    rate: int,
    largest: float,
) -> None:
    """Luma (H, W) and chroma (2, H/2, W/2) of the picture, of what was added to it, and of the
    decoded residual; ``known`` (H/4, W/4, 4 m) -> ``out`` (H/2, W/2, 24 + m + 1). ``unit``: (6,
    H/2, W/2), or (1, 1, 1) for all; ``rate``: its bits.
    """
    luma, chroma = picture
    added, added_chroma = correction
    decoded, decoded_chroma = residual
    height, width = chroma.shape[1:]
    memory = known.shape[2] // 4
    channels = 24 + memory + 1
    line = np.empty(width * channels, np.float32)
    bits = line.view(np.uint32)
    sums = np.empty((3, width), np.float32)
    most, three, two = np.float32(largest), np.float32(3), np.float32(2)
    everywhere = unit.shape[0] == 1
    step = unit[0, 0, 0]
    for y in range(height):
        _means_beside(luma, chroma, y, sums)
        rows = np.float32(min(y + 2, height) - max(y - 1, 0))
        for x in range(width):
            first, last = max(x - 1, 0), min(x + 2, width)
            for c in range(6):
                plane = max(c - 3, 0)
                total = np.float32(0)
                for n in range(first, last):
                    total += sums[plane, n]
                if not everywhere:
                    step = unit[c, y, x]
                if c < 4:
                    j, i = 2 * y + (c >> 1), 2 * x + (c & 1)
                    seen, change, sent = luma[j, i], added[j, i], decoded[j, i]
                else:
                    seen, change = chroma[c - 4, y, x], added_chroma[c - 4, y, x]
                    sent = decoded_chroma[c - 4, y, x]
                mean = total / (rows * np.float32(last - first))
                at = x * channels + c
                line[at] = seen * three
                line[at + 6] = min(max((seen - mean) * (two / step), -most), most)
                line[at + 12] = min(max(sent / step, -most), most)
                line[at + 18] = change * (two / step)
        for x in range(width):
            for k in range(x * channels, x * channels + 24):
                rounded = bits[k] + np.uint32(0x7FFF) + ((bits[k] >> np.uint32(16)) & np.uint32(1))
                bits[k] = rounded >> np.uint32(16)
        for x in range(width):
            corner = (y & 1) * 2 + (x & 1)
            for k in range(24):
                out[y, x, k] = np.int16(bits[x * channels + k])
            for k in range(memory):
                out[y, x, 24 + k] = known[y >> 1, x >> 1, 4 * k + corner]
            out[y, x, channels - 1] = np.int16(rate)
