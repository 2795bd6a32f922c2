"""docs/format.md, "Frame payloads", as a second program: a decoder from that page alone, in Python
integers and numpy, reads what the codec wrote.

Nothing of the package's entropy coding is used in it, nor torch.
"""

from bisect import bisect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dvc_codec.codec import symbols
from dvc_codec.codec.costs import learned_costs
from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.p_frame import Coded, FrameCoding, PFrameCodec, State, code_frame
from dvc_codec.codec.pictures import to_planes
from dvc_codec.container import FrameKind, group_order
from dvc_codec.errors import DamagedFile
from dvc_codec.video import Picture
from tests.moving import noise, panned_texture

Integers = NDArray[np.int64]
Cells = list[list[list[int]]]  # by row, column and channel, with a border of zeros
BANDS = [(0, 1), (2, 3), (4, 6), (7, 14)]  # lowest and highest u + v
SMOOTH = ("motion", "motion_back")
# luma samples per cell, transform size, transforms, their first channel and end
PLANES = {
    "motion": (16, 4, 2, 0, 1),
    "motion_detail": (16, 4, 2, 1, 16),
    "motion_back": (16, 4, 2, 0, 1),
    "motion_back_detail": (16, 4, 2, 1, 16),
    "luma": (8, 8, 1, 0, 64),
    "chroma": (16, 8, 2, 0, 64),
}
OF_B = tuple(PLANES)
OF_P = tuple(name for name in PLANES if "back" not in name)
DIAGONAL = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
BESIDE = [(0, 1), (0, -1), (1, 0), (-1, 0)]
NEIGHBOURS = [
    [],
    [(2 * y, 2 * x) for y, x in DIAGONAL],
    [(2 * y, 2 * x) for y, x in BESIDE],
    DIAGONAL,
    BESIDE,
]
EVEN = 32768
WIDTHS = {-2: 0.5, -1: 181 / 256, 0: 1.0, 1: 181 / 128, 2: 2.0}
SEEN = [0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 255]
FEW = [1, 2, 3, 5, 8, 13, 21]  # where classes from 1 on begin
MANY = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 24, 32, 48, 64, 96]


def rounded(values: NDArray[np.float64]) -> list[int]:
    return [int(x) for x in np.rint(values)]


def limit(x: int, lowest: int, highest: int) -> int:
    return lowest if x < lowest else highest if x > highest else x


ODDS = (np.arange(65536) + 0.5) / (65535.5 - np.arange(65536))
STRETCH = rounded(256 * np.log(ODDS))
SQUASH = [
    limit(s, 2, 65534) for s in rounded(65536 / (1 + np.exp(np.arange(3071, -3072, -1) / 256)))
]
MEANS = 0.0005 * 2 ** (np.arange(529) / 32)
LAW = [rounded(256 * np.log(2 * MEANS)), rounded(256 * np.log(MEANS)), rounded(256 * np.log(MEANS))]
RATES = [655360 // (10 * n + 16) for n in range(1024)]


def squash(x: int) -> int:
    return SQUASH[x + 3071]


class BitDecoder:
    """``taken``: how many bytes."""

    def __init__(self, payload: bytes) -> None:
        self.payload, self.taken = payload, 0
        self.low, self.high, self.point = 0, 2**56 - 1, 0
        for _ in range(7):
            self.point = 256 * self.point + self.byte()

    def byte(self) -> int:
        self.taken += 1
        return self.payload[self.taken - 1] if self.taken <= len(self.payload) else 0

    def bit(self, p: int = EVEN) -> int:
        middle = self.low + (65536 - p) * ((self.high - self.low) // 65536)
        bit = int(self.point > middle)
        if bit:
            self.low = middle + 1
        else:
            self.high = middle
        while self.low >> 48 == self.high >> 48:
            self.low = 256 * self.low % 2**56
            self.high = 256 * self.high % 2**56 + 255
            self.point = 256 * self.point % 2**56 + self.byte()
        return bit

    def whole(self) -> bytes:
        """The payload that a writer of what was read ends with."""
        passed = self.payload[: self.taken - 7].ljust(self.taken - 7, b"\0")
        zeros = next(n for n in range(7, -1, -1) if -(-self.low // 256**n) * 256**n <= self.high)
        end = -(-self.low // 256**zeros) * 256**zeros
        return (passed + end.to_bytes(8, "big")[1:]).rstrip(b"\0")

    def lift(self) -> int:
        if not self.bit(1536):
            return 0
        return 1 + self.ones(5)

    def width(self) -> int:
        if not self.bit(16384):
            return 0
        sign = -1 if self.bit() else 1
        return sign * (2 if self.bit() else 1)

    def ones(self, most: int) -> int:
        """How many come before a 0, which is not there after so many."""
        count = 0
        while count < most and self.bit():
            count += 1
        return count

    def escaped(self) -> int:
        """A magnitude."""
        e = 1
        for _ in range(self.ones(14)):
            e = 2 * e + self.bit()
        return e + 11


class Learned:
    """Counters and weights of a plane."""

    def __init__(
        self, channels: int, counters: NDArray[np.int16], weights: list[list[int]]
    ) -> None:
        self.channels = c = channels
        sizes = [680, 34 * c, 2720, 2880, 4080, 2176, 64 * c, 64 * c, 48 * c, 4096, 2720, 64 * c]
        self.first: list[list[int]] = [[], [], []]  # counters of each bin, by context
        at = 0
        for size in sizes:
            for of_bin in self.first:
                of_bin.append(at)
                at += size
        self.signs = [at, at + 9 * c, at + 18 * c]
        stored = counters.astype(np.int64)
        logits = (2 * (stored // 16)).clip(-3071, 3071)
        self.seen: list[int] = np.array(SEEN)[stored % 16].tolist()
        self.share: list[int] = (64 * np.array(SQUASH)[logits + 3071]).tolist()
        assert len(self.seen) == at + 45 * c
        self.weights = weights

    def says(self, counter: int, otherwise: int) -> int:
        return STRETCH[self.share[counter] // 64] if self.seen[counter] else otherwise

    def mixed(self, row: int, inputs: list[int]) -> int:
        total = sum(w * x for w, x in zip(self.weights[row], inputs, strict=False))
        return limit(total // 65536, -3071, 3071)

    def learn(self, bit: int, row: int, inputs: list[int], y: int) -> None:
        error = 24 * (65536 * bit - squash(y))
        weights = self.weights[row]
        for i, x in enumerate(inputs):
            weights[i] += (x * error + 2**21) // 2**22

    def count(self, bit: int, counters: list[int], p: int) -> None:
        for at in counters:
            n, share = self.seen[at], self.share[at]
            if n == 0:
                n, share = 2, 64 * p
            share += (2**22 * bit - share) // 8 * RATES[n] // 8192
            self.share[at] = limit(share, 64, 2**22 - 64)
            self.seen[at] = n + 1 if n < 1023 else 1023

    def magnitude(
        self,
        coder: BitDecoder,
        level: int,
        values: list[int],
        rows_of_bins: list[list[int]],
    ) -> int:
        """Up to 12. ``values``: of the contexts; ``rows_of_bins``: of the mixers' weights."""
        for found in range(12):
            b = min(found, 2)
            rows = rows_of_bins[b]
            law = LAW[b][level]
            counters = [at + value for at, value in zip(self.first[b], values, strict=True)]
            inputs = [*(self.says(at, law) for at in counters), law, 64]
            ys = [self.mixed(row, inputs) for row in rows]
            p = squash(sum(ys) // 3)
            bit = coder.bit(p)
            for row, y in zip(rows, ys, strict=True):
                self.learn(bit, row, inputs, y)
            self.count(bit, counters, p)
            if not bit:
                return found
        return 12

    def sign(self, coder: BitDecoder, step: int, values: list[int]) -> int:
        """1 is negative."""
        counters = [at + value for at, value in zip(self.signs, values, strict=True)]
        inputs = [self.says(at, 0) for at in counters]
        row = 261 + 3 * self.channels + step
        y = self.mixed(row, inputs)
        bit = coder.bit(squash(y))
        self.learn(bit, row, inputs, y)
        self.count(bit, counters, EVEN)
        return bit


def few(magnitude: int) -> int:
    return bisect(FEW, magnitude)


def many(magnitude: int) -> int:
    return bisect(MANY, magnitude)


def bordered(plane: Integers) -> Cells:
    cells: Cells = np.pad(np.moveaxis(plane, 0, 2), ((1, 1), (1, 1), (0, 0))).tolist()
    return cells


class PlaneReader:
    """Reads a plane's symbols, step by step. Its cells are numbered from 1, in the border's.

    Attributes:
        found: symbols, (C, h, w), zero where none is read yet.
    """

    def __init__(self, name: str, learned: Learned, before: Integers) -> None:
        self.learned, self.parents = learned, parents_of(name)
        self.found = np.zeros_like(before)
        self.before, self.read = bordered(before), bordered(self.found)
        self.signs = bordered(self.found)  # 0, 1 positive, 2 negative
        self.active = [[0] * len(row) for row in self.read]

    def beside(self, cells: Cells, y: int, x: int, c: int) -> int:
        """Sum of the four neighbours."""
        return cells[y][x - 1][c] + cells[y][x + 1][c] + cells[y - 1][x][c] + cells[y + 1][x][c]

    def step(
        self,
        coder: BitDecoder,
        step: int,
        channels: list[int],
        cells: NDArray[np.bool_],
        levels: Integers,
    ) -> None:
        """``levels``: of the step's channels."""
        run = [[0] * len(row) for row in self.read]
        everywhere = np.moveaxis(levels, 0, 2).tolist()
        for row, column in np.argwhere(cells).tolist():
            y, x = row + 1, column + 1
            beside = run[y][x - 1] + run[y - 1][x]
            for c, level in zip(channels, everywhere[row][column], strict=True):
                index = (level + 8) // 16
                if index == 0:
                    continue
                magnitude = self.magnitude(coder, step, c, y, x, level, index, run[y][x], beside)
                if magnitude == 12:
                    magnitude = coder.escaped()
                if magnitude:
                    negative = self.learned.sign(coder, step, self.contexts_of_sign(c, y, x))
                    self.signs[y][x][c] = 1 + negative
                    self.found[c, row, column] = -magnitude if negative else magnitude
                self.read[y][x][c] = magnitude
                run[y][x] += magnitude
        for y, sums in enumerate(run):
            for x, total in enumerate(sums):
                self.active[y][x] += total

    def magnitude(
        self,
        coder: BitDecoder,
        step: int,
        c: int,
        y: int,
        x: int,
        level: int,
        index: int,
        here: int,
        run: int,
    ) -> int:
        """Of one symbol, up to 12."""
        known, parents, quarter = self.read[y][x], self.parents[c], index // 4
        near = 2 * self.beside(self.read, y, x, c)
        near += sum(self.read[y + dy][x + dx][c] for dy, dx in DIAGONAL)
        lower = sum(known[q] for q in parents[:2] if q is not None)
        lowest = sum(known[q] for q in parents[2:5] if q is not None)
        beside = few(sum(self.beside(self.read, y, x, q) for q in parents[:2] if q is not None))
        other = 0 if parents[5] is None else 1 + min(known[parents[5]], 3)
        active, was = self.active[y][x], few(sum(self.before[y][x]))
        before = min(self.before[y][x][c], 5)
        before_beside = few(self.beside(self.before, y, x, c))
        values = [
            136 * step + level // 4,
            34 * c + index,
            34 * (16 * step + many(near)) + index,
            9 * (8 * (8 * step + few(here)) + few(run)) + quarter,
            17 * (8 * (6 * step + before) + was) + index // 2,
            34 * (8 * min(lower, 7) + min(lowest, 7)) + index,
            8 * (8 * c + few(near)) + few(here),
            8 * (8 * c + few(lower + lowest)) + few(near),
            8 * (6 * c + before) + before_beside,
            8 * (8 * (8 * beside + few(lower)) + few(active)) + few(near),
            68 * (5 * beside + other) + level // 8,
            8 * (8 * c + beside) + few(active + here),
        ]
        busy = 0 if near + here == 0 else 1 if near + here < 4 else 2
        rows = [
            [
                3 * (5 * b + step) + busy,
                45 + 8 * (9 * b + quarter) + few(near),
                261 + len(self.parents) * b + c,
            ]
            for b in range(3)
        ]
        return self.learned.magnitude(coder, level, values, rows)

    def contexts_of_sign(self, c: int, y: int, x: int) -> list[int]:
        signs, parents = self.signs, self.parents[c]
        t2, t3, t5 = (
            0 if q is None else signs[y][x][q] for q in (parents[2], parents[3], parents[5])
        )
        return [
            9 * c + 3 * signs[y][x - 1][c] + signs[y - 1][x][c],
            9 * c + 3 * signs[y][x + 1][c] + signs[y + 1][x][c],
            27 * c + 9 * t2 + 3 * t3 + t5,
        ]


def parents_of(name: str) -> list[list[int | None]]:
    """Of every channel."""
    _, size, transforms, start, end = PLANES[name]
    places = [
        (t, u, v)
        for t in range(transforms)
        for u in range(size)
        for v in range(size)
        if start <= size * u + v < end
    ]
    number = {place: c for c, place in enumerate(places)}
    lower = [(0, 1, 0), (0, 0, 1), (0, 2, 0), (0, 0, 2), (0, 1, 1), (1, 0, 0)]
    return [[number.get((t - a, u - b, v - c)) for a, b, c in lower] for t, u, v in places]


def padded(x: Integers) -> Integers:
    return np.pad(x, ((0, 0), (1, 1), (1, 1)))


def around(x: Integers) -> Integers:
    p = padded(x)
    return p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:]


def convolve(x: Integers, weight: Integers, bias: Integers) -> Integers:
    size = weight.shape[-1]
    p, (_, h, w) = (padded(x) if size == 3 else x), x.shape
    total = sum(
        np.einsum("oi,ihw->ohw", weight[:, :, dy, dx], p[:, dy : dy + h, dx : dx + w])
        for dy in range(size)
        for dx in range(size)
    )
    return total // 128 + bias[:, None, None]


def whole_weights(weights: NDArray[np.float32]) -> Integers:
    """Of a formula."""
    return np.clip(np.rint(weights * 128).astype(np.int64), 0, 1023)


def logarithm(magnitudes: Integers) -> Integers:
    return np.rint(8 * np.log2(1 + np.minimum(magnitudes, 255))).astype(np.int64)


def blocks(x: Integers) -> Integers:
    return x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]


def busy(x: Integers) -> Integers:
    return logarithm(x.sum(0, keepdims=True))


def step_of(row: int, column: int) -> int:
    """Of a cell of "motion" and "motion_back"."""
    if row % 4 == 0 and column % 4 == 0:
        return 0
    if row % 4 == 2 and column % 4 == 2:
        return 1
    if row % 2 == 0 and column % 2 == 0:
        return 2
    return 3 if row % 2 and column % 2 else 4


def from_neighbours(
    values: Integers, now: Integers, step: int
) -> tuple[Integers, Integers, Integers]:
    """Of every cell: the prediction, what is near, and how far it is apart."""
    predicted, near, apart = np.zeros((3, *values.shape), np.int64)
    channels, height, width = values.shape
    for c, y, x in np.ndindex(channels, height, width):
        places = [(y + dy, x + dx) for dy, dx in NEIGHBOURS[step]]
        inside = [(c, v, u) for v, u in places if 0 <= v < height and 0 <= u < width]
        if inside:
            known = [int(values[place]) for place in inside]
            predicted[c, y, x] = (2 * sum(known) + len(known)) // (2 * len(known))
            near[c, y, x] = sum(int(now[place]) for place in inside)
            apart[c, y, x] = max(known) - min(known)
    return predicted, near, apart


def frequencies_of(name: str) -> list[int]:
    """u + v of every channel."""
    _, size, transforms, start, end = PLANES[name]
    return [u + v for u in range(size) for v in range(size)][start:end] * transforms


def bands_of(name: str) -> list[list[int]]:
    """Channels of every band that has any."""
    bands = [
        [c for c, f in enumerate(frequencies_of(name)) if low <= f <= high] for low, high in BANDS
    ]
    return [band for band in bands if band]


def steps_of(name: str, height: int, width: int) -> list[tuple[list[int], NDArray[np.bool_]]]:
    """Channels and cells of every step of a plane."""
    channels = list(range(len(frequencies_of(name))))
    even = np.indices((height, width)).sum(0) % 2 == 0
    if name in SMOOTH:
        cells = [[step_of(y, x) for x in range(width)] for y in range(height)]
        return [(channels, np.array(cells) == step) for step in range(5)]
    lowest, *higher = bands_of(name)
    return [(lowest, even), (lowest, ~even), *((band, np.ones_like(even)) for band in higher)]


def layers_of(name: str) -> list[tuple[str, str]]:
    """What the weights call the two layers of every step."""
    if name in SMOOTH:
        return [("enter", "leave")] * 5
    return [(f"enter.{n}", f"leave.{n}") for n in range(1 + len(bands_of(name)))]


class Parser:
    """Parses the P or the B frames of a group of pictures: those with these planes."""

    def __init__(
        self,
        weights: Mapping[str, NDArray[Any]],
        height: int,
        width: int,
        names: tuple[str, ...] = OF_P,
    ) -> None:
        self.names = names
        self.layers: dict[str, tuple[Integers, Integers]] = {}
        self.formulas: dict[str, list[tuple[Integers, Integers]]] = {}
        self.learned: dict[str, Learned] = {}
        self.past: dict[str, Integers] = {}
        self.lifts: list[int] = []  # that were not 0
        self.widths: list[int] = []
        for name in names:
            stride, _, transforms, start, end = PLANES[name]
            for layer in {layer for step in layers_of(name) for layer in step}:
                key = f"scales.{name}.{layer}"
                weight = np.rint(weights[f"{key}.weight"] * 128).astype(np.int64)
                bias = np.rint(weights[f"{key}.bias"]).astype(np.int64)
                self.layers[f"{name}.{layer}"] = np.clip(weight, -127, 127), bias
            if name not in SMOOTH:
                self.formulas[name] = [
                    (
                        whole_weights(weights[f"scales.{name}.formulas.{step}.own"]),
                        whole_weights(weights[f"scales.{name}.formulas.{step}.shared"]),
                    )
                    for step in range(len(layers_of(name)))
                ]
            self.learned[name] = Learned(
                transforms * (end - start),
                weights[f"counters_{name}"],
                weights[f"weights_{name}"].tolist(),
            )
            shape = (transforms * (end - start), height // stride, width // stride)
            self.past[name] = np.zeros(shape, np.int64)

    def side(self, name: str, now: dict[str, Integers]) -> Integers:
        """``now``: magnitudes."""
        before = busy(blocks(self.past["luma"]))
        if name in SMOOTH:
            return before
        if name.endswith("_detail"):
            return np.concatenate((logarithm(now[name.removesuffix("_detail")]), before))
        moved = busy(np.concatenate((now["motion"], now["motion_detail"])))
        if name == "luma":
            then = busy(np.concatenate((self.past["motion"], self.past["motion_detail"])))
            return np.concatenate((moved, then)).repeat(2, 1).repeat(2, 2)
        luma = blocks(now["luma"])
        return np.concatenate((moved, logarithm(luma[:1]), busy(luma)))

    def levels(
        self, name: str, step: int, formula: Integers, first: list[Integers], last: list[Integers]
    ) -> Integers:
        """Levels; ``first``, ``last``: input channels before and after level(f) / 4."""
        mean = 0.002 + 0.12 * np.minimum(formula, 65535) / 200
        level = np.rint(32 * np.log2(mean / 0.0005)).astype(np.int64)
        enter, leave = (self.layers[f"{name}.{layer}"] for layer in layers_of(name)[step])
        inputs = np.concatenate((*first, level // 4, *last))
        level = level + convolve(convolve(inputs, *enter).clip(0, 255), *leave)
        return level.clip(0, 528)

    def step(
        self, name: str, step: int, side: Integers, now: Integers, values: Integers
    ) -> tuple[Integers, Integers]:
        """Predictions and levels of the step's channels."""
        if name not in SMOOTH:
            return self.step_of_bands(name, step, side, now)
        before = self.past[name]
        activity = before.sum(0, keepdims=True)
        formula = 400 * before + 100 * around(before) + 16 * activity + 8 * around(activity)
        predicted, near, apart = from_neighbours(values, now, step)
        which = np.zeros((5, *now.shape[1:]), np.int64)
        which[step] = 64
        last = [logarithm(before), logarithm(now), logarithm(near), logarithm(apart), which]
        formula = formula // 4 + 60 * near + 60 * apart
        return predicted, self.levels(name, step, formula, [side], last)

    def step_of_bands(
        self, name: str, step: int, side: Integers, now: Integers
    ) -> tuple[Integers, Integers]:
        bands, before = bands_of(name), self.past[name]
        mine = bands[max(step - 1, 0)]
        lower = bands[:step] if step < 2 else bands[: step - 1]
        known = now[sorted(c for band in lower for c in band)]
        own, everything = before[mine], before.sum(0, keepdims=True)
        shared = np.concatenate((everything, around(everything), known, around(known)))
        p, q = self.formulas[name][step]
        formula = np.einsum("oi,ihw->ohw", q, shared)
        formula += p[:, 0, None, None] * own + p[:, 1, None, None] * around(own)
        active = np.stack([before[band].sum(0) for band in bands])
        first, last = [side, logarithm(active)], [logarithm(own), logarithm(known)]
        return 0 * own, self.levels(name, step, formula, first, last)

    def frame(self, payload: bytes) -> dict[str, NDArray[Any]]:
        """Values of every plane."""
        coder = BitDecoder(payload)
        now: dict[str, Integers] = {}
        result: dict[str, NDArray[Any]] = {}
        for name in self.names:
            if name == "motion":
                self.widths.append(coder.width())
            side, values = self.side(name, now), np.zeros_like(self.past[name])
            reader = PlaneReader(name, self.learned[name], self.past[name])
            for step, (channels, cells) in enumerate(steps_of(name, *values.shape[1:])):
                predicted, levels = self.step(name, step, side, np.abs(reader.found), values)
                lift = coder.lift() if name == "luma" else 0
                if lift:
                    self.lifts.append(lift)
                    levels = np.maximum(levels, 32 * lift + levels * 5 // 8)
                reader.step(coder, step, channels, cells, levels)
                at = np.array(channels)[:, None], np.flatnonzero(cells)[None]
                here = predicted[:, cells] + reader.found[channels][:, cells]
                values.reshape(len(values), -1)[at] = here
            now[name], result[name] = np.abs(reader.found), values
            if name.startswith("motion"):
                result[name] = values * WIDTHS[self.widths[-1]]
        assert coder.whole() == payload, "damaged"
        self.past = now
        return result

    def after_p(self, past: dict[str, Integers]) -> None:
        """Of B frames: what they know after a P frame that sent these magnitudes."""
        if not any(plane.any() for plane in self.past.values()):
            self.past = self.past | past


def trained_a_little(codec: PFrameCodec) -> PFrameCodec:
    """As training may leave it: the scale network says something, levels of 0 among it."""
    torch.manual_seed(1)
    with torch.no_grad():
        named = [one for prior in codec.priors() for one in prior.named_parameters()]
        for name, parameter in named:
            parameter.add_(0.15 * torch.randn_like(parameter))
            if "formulas" in name:
                parameter[0, 0] = 9  # above the largest; noise has put others below 0
            if name.endswith(".bias") and ("out" in name or "leave" in name):
                parameter.add_(15 * torch.randn_like(parameter) - 20)
    codec.bake()
    return codec


class Chosen(NamedTuple):
    """A frame that the codec chose the symbols of, what it knew of those before, and how wide its
    steps of motion are.
    """

    kind: FrameKind
    coded: Coded
    past: Mapping[str, Tensor]
    width: int = 0

    def sent(self) -> Tensor:
        return torch.cat([plane.flatten() for plane in self.coded.sent.values()])


def are_read(
    codec: PFrameCodec, frames: list[Chosen], height: int, width: int
) -> dict[FrameKind, Parser]:
    """Write them and read them again as the page says; -> what read them. Afterwards the codec's
    weights start with what was learned.
    """
    kinds = {frame.kind for frame in frames}
    parsers = {
        kind: Parser(
            {name: tensor.numpy() for name, tensor in codec.prior_of(kind).state_dict().items()},
            height,
            width,
            OF_P if kind is FrameKind.P else OF_B,
        )
        for kind in kinds
    }
    statistics = {kind: codec.prior_of(kind).statistics() for kind in kinds}
    for kind, coded, past, width in frames:
        prior = codec.prior_of(kind)
        payload, _, statistics[kind] = symbols.write(
            prior, statistics[kind], coded.sent, coded.fine, coded.lifts, past, width
        )
        read = parsers[kind].frame(payload)
        assert parsers[kind].widths[-1] == width
        assert list(read) == [plane.name for plane in prior.planes]
        for name, plane in read.items():
            rows, columns = plane.shape[1:]
            values = coded.symbols[name][..., :rows, :columns]
            np.testing.assert_array_equal(plane, values[0].numpy())
            assert coded.symbols[name].abs().sum() == values.abs().sum()
        if kind is FrameKind.P and FrameKind.B in kinds:
            parsers[FrameKind.B].after_p(parsers[FrameKind.P].past)
    for kind, planes in statistics.items():
        for name, learned in planes.items():
            most = {"motion": 1, "motion_detail": 2, "chroma": 64}.get(name, 1023)
            codec.prior_of(kind).set_statistics(name, learned.forget(most))
    return parsers


def video(what: str, frames: int) -> tuple[list[Picture], tuple[int, int], Tensor]:
    """Of this many frames, its height and width, and the rate to code it at."""
    if what.endswith("escapes"):
        return noise(size=(64, 24), frames=frames), (24, 64), torch.tensor([30])
    # rounded up to 80 for the planes, to 128 for the network
    return panned_texture(size=(96, 72), frames=frames), (72, 96), torch.tensor([50])


def upwards(size: tuple[int, int]) -> tuple[int, int]:
    """What the planes cover."""
    height, width = (-(-length // 16) * 16 for length in size)
    return height, width


@pytest.mark.parametrize("what", ["untrained", "trained", "escapes", "trained escapes"])
def test_a_decoder_from_the_specification_reads_every_symbol(what: str) -> None:
    codec = PFrameCodec()
    if what.startswith("trained"):
        trained_a_little(codec)
    shown, size, rate = video(what, 4)
    pictures = [to_planes(p) for p in shown]
    state, statistics = codec.start(pictures[0], size), codec.prior.statistics()
    frames: list[Chosen] = []
    for width, picture in zip((0, -1, 2), pictures[1:], strict=True):
        with torch.no_grad():
            coding = FrameCoding(codec, picture, state, rate, learned_costs(statistics))
            coded = coding.finish(coding.choose(width))
        _, _, statistics = symbols.write(
            codec.prior, statistics, coded.sent, coded.fine, coded.lifts, state.past, width
        )
        frames.append(Chosen(FrameKind.P, coded, state.past, width))
        state = coded.state
    parser = are_read(codec, frames, *upwards(size))[FrameKind.P]
    if what.startswith("trained"):
        parser = are_read(codec, frames, *upwards(size))[FrameKind.P]
    sent = torch.cat([frame.sent() for frame in frames])
    assert (sent < 0).any() and (sent > 0).any()
    assert (sent.abs() >= 12).sum() > 200 or not what.endswith("escapes")
    planes = [(frame.coded, name) for frame in frames for name in OF_P]
    unsent = sum(int((coded.fine[name] < 8).sum()) for coded, name in planes)
    assert (unsent > 0) == what.startswith("trained")
    motion = [(f.coded.sent["motion"], f.coded.symbols["motion"]) for f in frames]
    assert any((s != v[..., : s.shape[-2], : s.shape[-1]]).any() for s, v in motion)  # predicted
    assert parser.lifts or what != "trained"


@pytest.mark.parametrize("what", ["untrained", "trained", "trained escapes"])
def test_it_reads_every_symbol_of_b_frames_too(what: str) -> None:
    codec = PFrameCodec()
    if what.startswith("trained"):
        trained_a_little(codec)
    every, size, rate = video(what, 10)
    shown = [to_planes(every[n]) for n in (0, 1, 3, 4, 8, 9)]  # of no steady motion
    pictures, known = PictureMemory(codec), SymbolMemory(codec)
    pictures.begin(shown[0])
    known.begin(*size)
    frames: list[Chosen] = []
    for place in group_order(len(shown), 4)[1:]:
        kind = FrameKind.P if place.future is None else FrameKind.B
        prior, statistics, past = codec.prior_of(kind), known.statistics(kind), known.past(kind)
        with torch.no_grad():
            coding = FrameCoding(
                codec,
                shown[place.number],
                State(pictures.of(place), known.past(FrameKind.P), known.past(FrameKind.B)),
                rate,
                learned_costs(statistics),
            )
            width = (-2, 1, 0)[len(frames) % 3]
            coded = coding.finish(coding.choose(width))
        _, _, after = symbols.write(
            prior, statistics, coded.sent, coded.fine, coded.lifts, past, width
        )
        known.add(kind, coded.sent, after)
        pictures.add(place, coded.state.reference)
        frames.append(Chosen(kind, coded, past, width))
    are_read(codec, frames, *upwards(size))
    if what.startswith("trained"):
        are_read(codec, frames, *upwards(size))
    of_b = [frame for frame in frames if frame.kind is FrameKind.B]
    assert len(of_b) > 1 and len(of_b) < len(frames)
    assert sum(frame.coded.sent["motion_back"].abs().sum() for frame in of_b) > 0
    sent = torch.cat([frame.sent() for frame in of_b])
    assert (sent < 0).any() and (sent > 0).any()
    assert (sent.abs() >= 12).sum() > 200 or not what.endswith("escapes")


def small_frame(codec: PFrameCodec) -> Chosen:
    """64 x 64."""
    first, second = (to_planes(p) for p in panned_texture(size=(64, 64), frames=2))
    state, costs = codec.start(first), learned_costs(codec.prior.statistics())
    with torch.no_grad():
        coded = code_frame(codec, second, state, torch.tensor([50]), costs)
    return Chosen(FrameKind.P, coded, state.past)


def test_the_largest_symbols_are_read() -> None:
    """They stand in the last step, on which no level depends, and what its plane starts with is
    what no training leaves.
    """
    codec = PFrameCodec()
    _, coded, past, _ = small_frame(codec)
    torch.manual_seed(2)
    codec.prior.get_buffer("counters_chroma").random_(-(2**15), 2**15)
    codec.prior.get_buffer("weights_chroma").mul_(5)
    chroma, channels = coded.sent["chroma"].clone(), bands_of("chroma")[-1]
    there = chroma[:, channels]
    chroma[:, channels] = torch.where(there.abs() > 0, there.sign() * 16394, 32767)
    chroma[:, channels, 1:2] = torch.tensor([-32767.0, 12.0, -16395.0, 30000.0])
    assert (coded.fine["chroma"] >= 8).all()
    changed = replace(
        coded,
        sent={**coded.sent, "chroma": chroma},
        symbols={**coded.symbols, "chroma": chroma},
    )
    are_read(codec, [Chosen(FrameKind.P, changed, past)], 64, 64)


def test_more_bytes_than_were_written_are_damage() -> None:
    codec = PFrameCodec()
    _, coded, past, _ = small_frame(codec)
    start = codec.prior.statistics()
    payload, _, _ = symbols.write(codec.prior, start, coded.sent, coded.fine, coded.lifts, past)
    weights = {name: tensor.numpy() for name, tensor in codec.prior.state_dict().items()}
    Parser(weights, 64, 64).frame(payload)
    for more in (b"\0", b"\1", b"\0\1"):
        with pytest.raises(DamagedFile):
            symbols.read(codec.prior, start, payload + more, past)
        with pytest.raises(AssertionError, match="damaged"):
            Parser(weights, 64, 64).frame(payload + more)


def test_a_frame_of_zeros_is_no_bytes() -> None:
    codec = PFrameCodec()
    _, coded, past, _ = small_frame(codec)
    sent = {name: torch.zeros_like(plane) for name, plane in coded.sent.items()}
    lifts = {name: [0] * len(each) for name, each in coded.lifts.items()}
    start = codec.prior.statistics()
    payload, _, _ = symbols.write(codec.prior, start, sent, coded.fine, lifts, past)
    assert payload == b""
