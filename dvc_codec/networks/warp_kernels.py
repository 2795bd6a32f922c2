"""What :mod:`.warp` does where nothing has a gradient, compiled: on a processor, one picture at a
time (docs/experiments.md#compiled has what that saves).

Quarter samples lie in 16 planes here, (4, 4, H, W): plane (j, i) is j quarters below and i quarters
right of the picture's samples, so that what has one motion is read in rows. Positions and borders
are those of :mod:`.warp`; tests hold the two to each other. The compiler may neither contract nor
reorder sums, so every machine computes the same.
"""

import numpy as np
from numpy.typing import NDArray

from dvc_codec.compiled import compiled

Floats = NDArray[np.float32]

PHASES = 4  # samples to a pixel
BEFORE = 3  # pixels that the taps reach before theirs
TAPS = 8


@compiled
def _between(line: Floats, taps: Floats, out: Floats) -> None:
    """``out`` (W,): the sums of ``line`` (W + 7,) times 8 taps."""
    a, b, c, d, e, f, g, h = taps
    for x in range(len(out)):
        out[x] = (
            a * line[x]
            + b * line[x + 1]
            + c * line[x + 2]
            + d * line[x + 3]
            + e * line[x + 4]
            + f * line[x + 5]
            + g * line[x + 6]
            + h * line[x + 7]
        )


@compiled
def _below(plane: Floats, y: int, taps: Floats, out: Floats) -> None:
    """``out`` (W,): the sums of 8 rows of ``plane`` (H, W) from y - 3 on, its border repeated."""
    a, b, c, d, e, f, g, h = taps
    last = len(plane) - 1
    p, q, r = plane[max(y - 3, 0)], plane[max(y - 2, 0)], plane[max(y - 1, 0)]
    s, t, u = plane[y], plane[min(y + 1, last)], plane[min(y + 2, last)]
    v, w = plane[min(y + 3, last)], plane[min(y + 4, last)]
    for x in range(len(out)):
        upper = a * p[x] + b * q[x] + c * r[x] + d * s[x]
        out[x] = upper + e * t[x] + f * u[x] + g * v[x] + h * w[x]


@compiled
def quarter_planes(picture: Floats, taps: Floats, out: Floats) -> None:
    """``picture`` (H, W) -> ``out`` (4, 4, H, W). ``taps``: (3, 8), of the samples a quarter, a
    half and three quarters further on.
    """
    height, width = picture.shape
    line = np.empty(width + TAPS - 1, np.float32)
    for y in range(height):
        row = picture[y]
        out[0, 0, y] = row
        line[:BEFORE] = row[0]
        line[BEFORE : BEFORE + width] = row
        line[BEFORE + width :] = row[width - 1]
        for phase in range(1, PHASES):
            _between(line, taps[phase - 1], out[0, phase, y])
            out[0, phase, y, width - 1] = row[width - 1]  # outside repeats the border
    for along in range(PHASES):
        for y in range(height - 1):
            for phase in range(1, PHASES):
                _below(out[0, along], y, taps[phase - 1], out[phase, along, y])
        for phase in range(1, PHASES):
            out[phase, along, height - 1] = out[0, along, height - 1]


@compiled
def _inside(position: float, last: int) -> float:
    """The nearest place that can be read from 0 to ``last``; what is no number is 0."""
    if position >= last:
        return float(last)
    return position if position > 0 else 0.0


@compiled
def _read(planes: Floats, at_y: float, at_x: float) -> float:
    """Between samples, ``at_y`` and ``at_x`` in quarters of a pixel from the first one."""
    height, width = planes.shape[2:]
    last_y, last_x = PHASES * height - 1, PHASES * width - 1
    at_y, at_x = _inside(at_y, last_y), _inside(at_x, last_x)
    y, x = int(at_y), int(at_x)
    fy, fx = np.float32(at_y - y), np.float32(at_x - x)
    gy, gx = np.float32(1) - fy, np.float32(1) - fx
    y1, x1 = min(y + 1, last_y), min(x + 1, last_x)
    a = planes[y & 3, x & 3, y >> 2, x >> 2]
    b = planes[y & 3, x1 & 3, y >> 2, x1 >> 2]
    c = planes[y1 & 3, x & 3, y1 >> 2, x >> 2]
    d = planes[y1 & 3, x1 & 3, y1 >> 2, x1 >> 2]
    found: float = gy * (gx * a + fx * b) + fy * (gx * c + fx * d)
    return found


@compiled
def overlapped(planes: Floats, flow: Floats, cell: int, out: Floats) -> None:
    """:func:`warp.warp_overlapped` along ``flow`` (2, H / cell, W / cell) in cells, into ``out``
    (H, W).
    """
    height, width = out.shape
    rows, columns = flow.shape[1:]
    half, side = cell // 2, 2 * cell
    unit = np.float32(cell * PHASES)
    shares = np.empty(side, np.float32)
    for n in range(cell):
        shares[n] = shares[side - 1 - n] = np.float32((n + 0.5) / cell)
    out[:] = 0
    for row in range(-1, rows + 1):
        top = row * cell - half
        for column in range(-1, columns + 1):
            left = column * cell - half
            r, c = min(max(row, 0), rows - 1), min(max(column, 0), columns - 1)
            dy, dx = float(flow[1, r, c] * unit), float(flow[0, r, c] * unit)
            down, along = int(np.floor(dy)), int(np.floor(dx))
            y, x = top + (down >> 2), left + (along >> 2)
            inside = min(y, x, top, left) >= 0 and max(y, top) + side < height
            if not (inside and max(x, left) + side < width):
                for j in range(max(top, 0), min(top + side, height)):
                    for n in range(max(left, 0), min(left + side, width)):
                        found = _read(planes, PHASES * j + dy, PHASES * n + dx)
                        out[j, n] += np.float32(found) * (shares[j - top] * shares[n - left])
                continue
            fy, fx = np.float32(dy - down), np.float32(dx - along)
            gy, gx = np.float32(1) - fy, np.float32(1) - fx
            y1, x1 = top + ((down + 1) >> 2), left + ((along + 1) >> 2)
            a, b = planes[down & 3, along & 3], planes[down & 3, (along + 1) & 3]
            c_, d = planes[(down + 1) & 3, along & 3], planes[(down + 1) & 3, (along + 1) & 3]
            for j in range(side):
                p, q, s, t = a[y + j], b[y + j], c_[y1 + j], d[y1 + j]
                target, share = out[top + j], shares[j]
                for n in range(side):
                    found = gy * (gx * p[x + n] + fx * q[x1 + n]) + fy * (
                        gx * s[x + n] + fx * t[x1 + n]
                    )
                    target[left + n] += found * (share * shares[n])
    _keep_idle(planes[0, 0], flow, cell, out)


@compiled
def _keep_idle(picture: Floats, flow: Floats, cell: int, out: Floats) -> None:
    """The picture itself where none of the four cells around moves."""
    height, width = picture.shape
    rows, columns = flow.shape[1:]
    half = cell // 2
    for row in range(rows + 1):
        for column in range(columns + 1):
            idle = True
            for j in range(max(row - 1, 0), min(row, rows - 1) + 1):
                for k in range(max(column - 1, 0), min(column, columns - 1) + 1):
                    idle = idle and flow[0, j, k] == 0 and flow[1, j, k] == 0
            if idle:
                y0, x0 = max(row * cell - half, 0), max(column * cell - half, 0)
                y1, x1 = min(row * cell + half, height), min(column * cell + half, width)
                out[y0:y1, x0:x1] = picture[y0:y1, x0:x1]


@compiled
def sharp(planes: Floats, flow: Floats, unit: float, out: Floats) -> None:
    """``warp.warp`` "sharp" of planes (C, 4, 4, H, W) along ``flow`` (2, H, W) in ``unit``
    pixels, into ``out`` (C, H, W).
    """
    channels, height, width = out.shape
    scale = np.float32(unit * PHASES)
    for y in range(height):
        for x in range(width):
            dx, dy = flow[0, y, x], flow[1, y, x]
            if dx == 0 and dy == 0:
                for c in range(channels):
                    out[c, y, x] = planes[c, 0, 0, y, x]
                continue
            at_y, at_x = PHASES * y + float(dy * scale), PHASES * x + float(dx * scale)
            for c in range(channels):
                out[c, y, x] = _read(planes[c], at_y, at_x)


@compiled
def cell_errors(
    planes: Floats, current: Floats, flow: Floats, side: int, every: int, out: Floats
) -> None:
    """Mean squared errors of cells, ``side`` pixels wide and high, into ``out`` (h, w), along
    ``flow`` (2, h, w) in pixels, from the nearest quarter samples. In each row of every
    ``every``-th one every ``every``-th pixel is looked at; rows are staggered.
    """
    height, width = current.shape
    rows, columns = out.shape
    count = np.float32((side // every) ** 2)
    for row in range(rows):
        for column in range(columns):
            across = int(np.rint(flow[0, row, column] * np.float32(PHASES)))
            down = int(np.rint(flow[1, row, column] * np.float32(PHASES)))
            y, x = row * side, column * side
            from_y, from_x = y + (down >> 2), x + (across >> 2)
            total = np.float32(0)
            if 0 <= from_y < height - side and 0 <= from_x < width - side:
                plane = planes[down & 3, across & 3]
                for j in range(0, side, every):
                    for n in range((j // every & 1) * (every // 2), side, every):
                        error = plane[from_y + j, from_x + n] - current[y + j, x + n]
                        total += error * error
            else:
                for j in range(0, side, every):
                    at_y = min(max(PHASES * (y + j) + down, 0), PHASES * height - 1)
                    for n in range((j // every & 1) * (every // 2), side, every):
                        at_x = min(max(PHASES * (x + n) + across, 0), PHASES * width - 1)
                        found = planes[at_y & 3, at_x & 3, at_y >> 2, at_x >> 2]
                        error = found - current[y + j, x + n]
                        total += error * error
            out[row, column] = total / count


@compiled
def squares_of_gradients(moved: Floats, current: Floats, cell: int, out: Floats) -> None:
    """Means over cells of ``moved`` (H, W), into ``out`` (5, H / cell, W / cell): its gradients'
    products dx dx, dx dy, dy dy, and theirs with what ``current`` is more, dx e, dy e.
    """
    height, width = moved.shape
    rows, columns = height // cell, width // cell
    half, count = np.float32(0.5), np.float32(cell * cell)
    sums = np.empty((5, width), np.float32)
    for row in range(rows):
        sums[:] = 0
        for y in range(row * cell, (row + 1) * cell):
            above, below = moved[max(y - 1, 0)], moved[min(y + 1, height - 1)]
            here, wanted = moved[y], current[y]
            for x in range(width):
                dx = (here[min(x + 1, width - 1)] - here[max(x - 1, 0)]) * half
                dy = (below[x] - above[x]) * half
                e = wanted[x] - here[x]
                sums[0, x] += dx * dx
                sums[1, x] += dx * dy
                sums[2, x] += dy * dy
                sums[3, x] += dx * e
                sums[4, x] += dy * e
        for k in range(5):
            for column in range(columns):
                total = np.float32(0)
                for n in range(cell):
                    total += sums[k, column * cell + n]
                out[k, row, column] = total / count


@compiled
def enlarge(small: Floats, factor: int, out: Floats) -> None:
    """``warp.enlarge`` of (C, h, w) by an even ``factor``, into ``out`` (C, factor h, factor w)."""
    channels, rows, columns = small.shape
    half = factor // 2
    line = np.empty(columns, np.float32)
    for c in range(channels):
        for y in range(rows * factor):
            # half a cell further on, so that nothing is negative: between this row and the next
            place = y + half
            row = place // factor - 1
            share = np.float32((place % factor + 0.5) / factor)
            above, below = small[c, max(row, 0)], small[c, min(row + 1, rows - 1)]
            rest = np.float32(1) - share
            for x in range(columns):
                line[x] = rest * above[x] + share * below[x]
            target = out[c, y]
            target[:half] = line[0]
            target[columns * factor - half :] = line[columns - 1]
            for n in range(factor):
                part = np.float32((n + 0.5) / factor)
                other = np.float32(1) - part
                for x in range(columns - 1):
                    target[half + x * factor + n] = other * line[x] + part * line[x + 1]


@compiled
def smooth(plane: Floats, out: Floats) -> None:
    """``warp.smooth`` of (C, H, W), into ``out``."""
    channels, height, width = plane.shape
    line = np.empty(width, np.float32)
    for c in range(channels):
        for y in range(height):
            line[:] = plane[c, y]
            count = np.float32(1)
            if y > 0:
                line += plane[c, y - 1]
                count += np.float32(1)
            if y + 1 < height:
                line += plane[c, y + 1]
                count += np.float32(1)
            target = out[c, y]
            share = np.float32(1) / (count * np.float32(3))
            for x in range(1, width - 1):
                target[x] = (line[x - 1] + line[x] + line[x + 1]) * share
            if width == 1:
                target[0] = line[0] / count
            else:
                share = np.float32(1) / (count * np.float32(2))
                target[0] = (line[0] + line[1]) * share
                target[width - 1] = (line[width - 2] + line[width - 1]) * share
