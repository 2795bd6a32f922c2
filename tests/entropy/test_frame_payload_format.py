"""docs/format.md, "Frame payloads", as a second program: a decoder from that page alone, in Python
integers and numpy, reads what the codec wrote.

Nothing of the package's entropy coding is used in it, nor torch, nor constriction.
"""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dvc_codec.codec import symbols
from dvc_codec.codec.p_frame import PFrameCodec, code_frame, table_costs
from dvc_codec.codec.pictures import to_planes
from tests.moving import noise, panned_texture

Integers = NDArray[np.int64]
LEVELS, REACH, ONE = 34, 12, 65536
PLANES = {"motion": (16, 4, 2, 4), "luma": (8, 8, 1, 7), "chroma": (16, 8, 2, 5)}


class RangeDecoder:
    def __init__(self, payload: bytes) -> None:
        self.words = np.frombuffer(payload + b"\0" * (-len(payload) % 4), "<u4").tolist()
        self.lower, self.range, self.point = 0, 2**64 - 1, 0
        for _ in range(2):
            self.next_word()

    def next_word(self) -> None:
        word = self.words.pop(0) if self.words else 0
        self.point = (self.point << 32 | word) % 2**64

    def symbol(self, find: Callable[[int], tuple[int, int, int]]) -> int:
        """``find``: quantile -> symbol, start and length of its share of 2^24."""
        unit = self.range >> 24
        quantile = (self.point - self.lower) % 2**64 // unit
        assert quantile < 2**24, "damaged"
        symbol, start, length = find(quantile)
        self.lower = (self.lower + unit * start) % 2**64
        self.range = unit * length
        if self.range < 2**32:
            self.lower = self.lower << 32 & 2**64 - 1
            self.range <<= 32
            self.next_word()
        return symbol


def shares(weights: list[float]) -> Callable[[int], tuple[int, int, int]]:
    n = len(weights)
    scale = (2**24 - n) / sum(weights)
    starts, total = [], 0.0
    for symbol, weight in enumerate(weights):
        starts.append(int(total * scale) + symbol)
        total += weight
    starts.append(2**24)

    def find(quantile: int) -> tuple[int, int, int]:
        symbol = next(s for s in range(n) if quantile < starts[s + 1])
        return symbol, starts[symbol], starts[symbol + 1] - starts[symbol]

    return find


def read_step(coder: RangeDecoder, counts: Integers, tables: Integers) -> Integers:
    """One coding step of one plane: the symbols of ``tables``, in that order."""
    found = np.zeros(len(tables), np.int64)
    for table in sorted(set(tables.tolist())):
        find = shares([float(c) for c in counts[table]])
        for place in np.flatnonzero(tables == table):
            found[place] = coder.symbol(find) - REACH
    escaped = np.flatnonzero(np.abs(found) == REACH)
    find = shares([2.0 ** -(k + 1) for k in range(15)])
    exponents = np.array([coder.symbol(find) for _ in escaped], np.int64)
    for k in range(1, 15):
        for place in escaped[exponents == k]:
            low = coder.symbol(lambda q, k=k: (q >> 24 - k, q >> 24 - k << 24 - k, 2 ** (24 - k)))
            found[place] += int(np.sign(found[place])) * (2**k - 1 + low)
    return found


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


def logarithm(magnitudes: Integers) -> Integers:
    return np.rint(8 * np.log2(1 + np.minimum(magnitudes, 255))).astype(np.int64)


def blocks(x: Integers) -> Integers:
    return x[:, ::2, ::2] + x[:, 1::2, ::2] + x[:, ::2, 1::2] + x[:, 1::2, 1::2]


def busy(x: Integers) -> Integers:
    return logarithm(x.sum(0, keepdims=True))


class Parser:
    """Parses the P frames of a group of pictures."""

    def __init__(self, weights: dict[str, NDArray[np.float32]], height: int, width: int) -> None:
        self.layers: dict[str, tuple[Integers, Integers]] = {}
        self.counts: dict[str, Integers] = {}
        self.past: dict[str, Integers] = {}
        for name, (stride, size, planes, _) in PLANES.items():
            for layer in ("first_in", "first_out", "second_in", "second_out"):
                key = f"scales.{name}.{layer}"
                weight = np.rint(weights[f"{key}.weight"] * 128).astype(np.int64)
                bias = np.rint(weights[f"{key}.bias"]).astype(np.int64)
                self.layers[f"{name}.{layer}"] = np.clip(weight, -127, 127), bias
            self.counts[name] = weights[f"counts_{name}"].astype(np.int64)
            shape = (planes * size**2, height // stride, width // stride)
            self.past[name] = np.zeros(shape, np.int64)

    def side(self, name: str, now: dict[str, Integers]) -> Integers:
        if name == "motion":
            return busy(blocks(self.past["luma"]))
        moved = busy(np.abs(now["motion"]))
        if name == "luma":
            both = np.concatenate((moved, busy(self.past["motion"])))
            return both.repeat(2, 1).repeat(2, 2)
        luma = blocks(np.abs(now["luma"]))
        return np.concatenate((moved, logarithm(luma[:1]), busy(luma)))

    def indices(self, name: str, side: Integers, first: Integers | None) -> Integers:
        before = self.past[name]
        activity = before.sum(0, keepdims=True)
        formula = 400 * before + 100 * around(before) + 16 * activity + 8 * around(activity)
        if first is not None:
            all_of = first.sum(0, keepdims=True)
            formula = formula // 2 + 240 * around(first) + 30 * around(all_of)
        mean = 0.002 + 0.12 * np.minimum(formula, 65535) / 200
        level = np.rint(32 * np.log2(mean / 0.0005)).astype(np.int64)
        seen = [side, level // 4, logarithm(before)]
        step = "first"
        if first is not None:
            seen.append(logarithm(first))
            step = "second"
        hidden = convolve(np.concatenate(seen), *self.layers[f"{name}.{step}_in"]).clip(0, 255)
        level = level + convolve(hidden, *self.layers[f"{name}.{step}_out"])
        return (level.clip(0, 528) + 8) // 16

    def frame(self, payload: bytes) -> dict[str, Integers]:
        coder = RangeDecoder(payload)
        now: dict[str, Integers] = {}
        for name, (_, size, planes, groups) in PLANES.items():
            order = [u + v for _ in range(planes) for u in range(size) for v in range(size)]
            group = np.array(
                [
                    min(groups - 1, int(math.log2(f + 1) * groups / math.log2(2 * size)))
                    for f in order
                ]
            )
            side, found = self.side(name, now), np.zeros_like(self.past[name])
            y, x = np.mgrid[: found.shape[1], : found.shape[2]]
            first = (y + x) % 2 == 0
            counts = self.counts[name].copy()
            for cells in (first, ~first):
                known = None if cells is first else np.abs(found)
                index = self.indices(name, side, known)[:, cells]
                table = (index + group[:, None] * LEVELS).ravel()
                sent = index.ravel() > 0
                read = np.zeros(len(table), np.int64)
                read[sent] = read_step(coder, self.counts[name], table[sent])
                found[:, cells] = read.reshape(index.shape)
                cell = np.clip(read[sent], -REACH, REACH) + REACH
                np.add.at(counts, (table[sent], cell), ONE)
            self.counts[name] = counts
            now[name] = found
        self.past = {name: np.abs(plane) for name, plane in now.items()}
        return now


def trained_a_little(codec: PFrameCodec) -> PFrameCodec:
    """As training may leave it: the scale network says something, levels of 0 among it."""
    torch.manual_seed(1)
    with torch.no_grad():
        for name, parameter in codec.prior.named_parameters():
            parameter.add_(0.15 * torch.randn_like(parameter))
            if name.endswith("out.bias"):
                parameter.add_(15 * torch.randn_like(parameter) - 20)
    codec.prior.bake()
    return codec


@pytest.mark.parametrize("what", ["untrained", "trained", "escapes"])
def test_a_decoder_from_the_specification_reads_every_symbol(what: str) -> None:
    codec = PFrameCodec()
    if what == "trained":
        trained_a_little(codec)
    make, rate = (noise, 63) if what == "escapes" else (panned_texture, 50)
    pictures = [to_planes(p) for p in make(size=(64, 64), frames=4)]
    state, tables = codec.start(pictures[0]), codec.prior.tables()
    weights = {name: tensor.numpy() for name, tensor in codec.prior.state_dict().items()}
    parser = Parser(weights, 64, 64)
    unsent = escaped = 0
    with torch.no_grad():
        for picture in pictures[1:]:
            costs = table_costs(codec.prior, tables)
            coded = code_frame(codec, picture, state, torch.tensor([rate]), costs)
            collected = symbols.collect(codec.prior, coded.symbols, coded.fine)
            payload, _ = symbols.write(tables, collected)
            tables = symbols.adapt(tables, collected)
            state = coded.state
            for name, plane in parser.frame(payload).items():
                np.testing.assert_array_equal(plane, coded.symbols[name][0].numpy())
                unsent += int((coded.fine[name] < 8).sum())
                escaped += int((np.abs(plane) >= REACH).sum())
    assert (unsent > 0) == (what == "trained")
    assert (escaped > 0) == (what == "escapes")
