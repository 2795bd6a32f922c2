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
from dvc_codec.codec.memory import PictureMemory, SymbolMemory
from dvc_codec.codec.p_frame import PFrameCodec, State, code_frame, table_costs
from dvc_codec.codec.pictures import to_planes
from dvc_codec.container import FrameKind, group_order
from tests.moving import noise, panned_texture

Integers = NDArray[np.int64]
LEVELS, REACH, ONE = 34, 12, 65536
BANDS = [(0, 1), (2, 3), (4, 6), (7, 14)]  # lowest and highest u + v
SMOOTH = ("motion", "motion_back")
# luma samples per cell, transform size, transforms, their first channel and end, groups, and how
# many of these the plane leaves out
PLANES = {
    "motion": (16, 4, 2, 0, 1, 4, 0),
    "motion_detail": (16, 4, 2, 1, 16, 4, 1),
    "motion_back": (16, 4, 2, 0, 1, 4, 0),
    "motion_back_detail": (16, 4, 2, 1, 16, 4, 1),
    "luma": (8, 8, 1, 0, 64, 7, 0),
    "chroma": (16, 8, 2, 0, 64, 5, 0),
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


LIFTS = shares([250 / 256] + 6 * [1 / 256])


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
    _, size, transforms, start, end, *_ = PLANES[name]
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
        weights: dict[str, NDArray[np.float32]],
        height: int,
        width: int,
        names: tuple[str, ...] = OF_P,
    ) -> None:
        self.names = names
        self.layers: dict[str, tuple[Integers, Integers]] = {}
        self.formulas: dict[str, list[tuple[Integers, Integers]]] = {}
        self.counts: dict[str, Integers] = {}
        self.past: dict[str, Integers] = {}
        self.lifts: list[int] = []  # that were not 0
        for name in names:
            stride, _, transforms, start, end, *_ = PLANES[name]
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
            self.counts[name] = weights[f"counts_{name}"].astype(np.int64)
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

    def frame(self, payload: bytes) -> dict[str, Integers]:
        """Values of every plane."""
        coder = RangeDecoder(payload)
        now: dict[str, Integers] = {}
        result: dict[str, Integers] = {}
        for name in self.names:
            _, size, *_, groups, lowest = PLANES[name]
            group = np.array(
                [
                    min(groups - 1, int(math.log2(f + 1) * groups / math.log2(2 * size))) - lowest
                    for f in frequencies_of(name)
                ]
            )
            side = self.side(name, now)
            values, found = np.zeros((2, *self.past[name].shape), np.int64)
            counts = self.counts[name].copy()
            for step, (channels, cells) in enumerate(steps_of(name, *found.shape[1:])):
                predicted, levels = self.step(name, step, side, np.abs(found), values)
                lift = coder.symbol(LIFTS) if name == "luma" else 0
                if lift:
                    self.lifts.append(lift)
                    levels = np.maximum(levels, 32 * lift + levels * 5 // 8)
                index = (levels[:, cells] + 8) // 16
                table = (index + group[channels, None] * LEVELS).ravel()
                sent = index.ravel() > 0
                read = np.zeros(len(table), np.int64)
                read[sent] = read_step(coder, self.counts[name], table[sent])
                at = np.array(channels)[:, None], np.flatnonzero(cells)[None]
                found.reshape(len(found), -1)[at] = read.reshape(index.shape)
                values.reshape(len(found), -1)[at] = predicted[:, cells] + read.reshape(index.shape)
                cell = np.clip(read[sent], -REACH, REACH) + REACH
                np.add.at(counts, (table[sent], cell), ONE)
            self.counts[name] = counts
            now[name], result[name] = np.abs(found), values
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


@pytest.mark.parametrize("what", ["untrained", "trained", "escapes", "trained escapes"])
def test_a_decoder_from_the_specification_reads_every_symbol(what: str) -> None:
    codec = PFrameCodec()
    if what.startswith("trained"):
        trained_a_little(codec)
    make, width, rate = (noise, 64, 63) if what.endswith("escapes") else (panned_texture, 128, 50)
    height = 72  # rounded up to 80 for the planes, to 128 for the network
    pictures = [to_planes(p) for p in make(size=(width, height), frames=4)]
    state, tables = codec.start(pictures[0], (height, width)), codec.prior.tables()
    weights = {name: tensor.numpy() for name, tensor in codec.prior.state_dict().items()}
    parser = Parser(weights, 80, width)
    unsent = escaped = predicted = 0
    with torch.no_grad():
        for picture in pictures[1:]:
            costs = table_costs(codec.prior, tables)
            coded = code_frame(codec, picture, state, torch.tensor([rate]), costs)
            collected = symbols.collect(codec.prior, coded.sent, coded.fine, coded.lifts)
            payload, _ = symbols.write(tables, collected)
            tables = symbols.adapt(tables, collected)
            state = coded.state
            for name, plane in parser.frame(payload).items():
                rows, columns = plane.shape[1:]
                values = coded.symbols[name][..., :rows, :columns]
                np.testing.assert_array_equal(plane, values[0].numpy())
                assert coded.symbols[name].abs().sum() == values.abs().sum()
                unsent += int((coded.fine[name] < 8).sum())
                escaped += int((coded.sent[name].abs() >= REACH).sum())
                predicted += int((coded.sent[name] != values).sum())
    assert (unsent > 0) == what.startswith("trained")
    assert (escaped > 100) == what.endswith("escapes")
    assert predicted > 0
    assert parser.lifts or what != "trained"


@pytest.mark.parametrize("what", ["untrained", "trained", "trained escapes"])
def test_it_reads_every_symbol_of_b_frames_too(what: str) -> None:
    codec = PFrameCodec()
    if what.startswith("trained"):
        trained_a_little(codec)
    make, width, rate = (noise, 64, 63) if what.endswith("escapes") else (panned_texture, 128, 50)
    height, padded_height = 72, 80
    frames = make(size=(width, height), frames=10)
    shown = [to_planes(frames[n]) for n in (0, 1, 3, 4, 8, 9)]  # of no steady motion
    pictures, known = PictureMemory(codec), SymbolMemory(codec)
    pictures.begin(shown[0])
    known.begin(height, width)
    parsers = {
        kind: Parser(
            {name: tensor.numpy() for name, tensor in codec.prior_of(kind).state_dict().items()},
            padded_height,
            width,
            names,
        )
        for kind, names in ((FrameKind.P, OF_P), (FrameKind.B, OF_B))
    }
    back = 0
    for place in group_order(len(shown), 4)[1:]:
        kind = FrameKind.P if place.future is None else FrameKind.B
        prior, tables = codec.prior_of(kind), known.tables(kind)
        with torch.no_grad():
            coded = code_frame(
                codec,
                shown[place.number],
                State(pictures.of(place), known.past(FrameKind.P), known.past(FrameKind.B)),
                torch.tensor([rate]),
                table_costs(prior, tables),
            )
        collected = symbols.collect(prior, coded.sent, coded.fine, coded.lifts)
        payload, _ = symbols.write(tables, collected)
        known.add(kind, coded.sent, symbols.adapt(tables, collected))
        pictures.add(place, coded.state.reference)
        read = parsers[kind].frame(payload)
        assert list(read) == [plane.name for plane in prior.planes]
        for name, plane in read.items():
            rows, columns = plane.shape[1:]
            values = coded.symbols[name][..., :rows, :columns]
            np.testing.assert_array_equal(plane, values[0].numpy())
        if kind is FrameKind.P:
            parsers[FrameKind.B].after_p(parsers[FrameKind.P].past)
        else:
            back += int(coded.sent["motion_back"].abs().sum())
    assert back > 0
