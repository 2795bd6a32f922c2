"""Symbols to bits by context mixing: how likely each bit of a symbol is follows from counters under
twelve contexts and from the law of its scale index, mixed in the logistic domain with weights that
learn from every bit (docs/format.md, "Statistics").

    writer.write(statistics, step)                reader.read(statistics, step)

A symbol is |s| > 0, |s| > 1, ... as far as needed, then its sign. Encoder and decoder both learn
from what was coded, in whole numbers.

Source: Mahoney, Adaptive Weighing of Context Models for Lossless Data Compression (2005); counters
and mixers as in his lpaq.
"""

from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dvc_codec.entropy import mixing_kernel as kernel
from dvc_codec.entropy.law import FINE, LEVELS, LOWEST_MEAN, PER_OCTAVE
from dvc_codec.entropy.mixing_kernel import BINS, CONTEXTS, COUNTS, END, INPUTS, REACH, STEPS
from dvc_codec.entropy.scale import LIFTS
from dvc_codec.errors import DamagedFile

LARGEST = (1 << 15) - 1  # of |symbol|; a larger latent is clipped by the encoder
ALPHABET = 2 * REACH + 1
LIFT_SHARE = 65536 * 6 // 256  # a step's lift: most are 0
LIFT_BITS = 8.0  # what one that is not 0 costs, about
WIDTHS = 2  # how much wider or narrower a frame's steps of motion can be, in half octaves
WIDTH_SHARE = 65536 // 4  # most are as usual
PARENTS = 6
AHEAD = kernel.BITS // 8  # bytes that a reader is ahead of a writer
USUAL = 4  # observations that the law is worth in `Statistics.lengths`
LONGEST = 255  # observations that a stored counter has seen, at most
# what is stored of them: the fourth root of two apart, about
SEEN = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, LONGEST)

NOTHING = np.empty((0, 0, 0), np.float32)

Integers = NDArray[np.int64]


class Tables(NamedTuple):
    """Functions of whole numbers, in the kernel's order.

    Attributes:
        stretch: ln(p / (1 - p)) in 1/256, of p in 1/65536, (65536,).
        squash: its inverse, of -END to END, (2 END + 1,).
        law: what the law of a fine level gives |s| > 0 and, where that is so, each next one,
            stretched, (2, LEVELS * FINE).
        rates: how far a counter that has seen so much goes, in 1/65536, (COUNTS,).
    """

    stretch: Integers
    squash: Integers
    law: Integers
    rates: Integers


@cache
def tables() -> Tables:
    """No entry is within 1e-9 of a rounding edge, so any machine's logarithm gives the same."""
    p = (np.arange(65536) + 0.5) / 65536
    stretch = np.clip(np.rint(256 * np.log(p / (1 - p))), -END, END)
    squash = np.clip(np.rint(65536 / (1 + np.exp(-np.arange(-END, END + 1) / 256))), 2, 65534)
    mean = LOWEST_MEAN * 2 ** (np.arange(LEVELS * FINE) / (FINE * PER_OCTAVE))
    # 2 m / (1 + 2 m) and m / (1 + m)
    law = np.clip(np.rint(256 * np.log([2 * mean, mean])), -END, END)
    rates = 65536 * 10 // (10 * np.arange(COUNTS) + 16)
    return Tables(*(table.astype(np.int64) for table in (stretch, squash, law, rates)))


def context_sizes(channels: int) -> Integers:
    """Counters of every context for one bin, then of those of signs."""
    quarter = -(-LEVELS // 4)
    return np.array(
        (
            STEPS * LEVELS * FINE // 4,
            channels * LEVELS,
            STEPS * 16 * LEVELS,
            STEPS * 8 * 8 * quarter,
            STEPS * 6 * 8 * LEVELS // 2,
            8 * 8 * LEVELS,
            channels * 8 * 8,
            channels * 8 * 8,
            channels * 6 * 8,
            8**4,
            8 * 5 * LEVELS * FINE // 8,
            channels * 8 * 8,
            channels * 9,
            channels * 9,
            channels * 27,
        )
    )


@dataclass(frozen=True)
class Statistics:
    """What was learned of a plane's symbols. Coding with them changes them: :meth:`copy` is a
    snapshot.

    Attributes:
        sizes: :func:`context_sizes`.
        parents: which channels each channel's contexts look at, (C, PARENTS), see the kernel.
        counters: (n,) uint32, probability (22 bits) * COUNTS + observations.
        weights: (sets, INPUTS) in 1/65536.
    """

    sizes: Integers
    parents: Integers
    counters: NDArray[np.uint32]
    weights: Integers

    @classmethod
    def fresh(cls, parents: Integers) -> "Statistics":
        """Of nothing: the law alone."""
        sizes = context_sizes(len(parents))
        count = BINS * sizes[:CONTEXTS].sum() + sizes[CONTEXTS:].sum()
        sets = kernel.SHARED_SETS + BINS * len(parents) + STEPS
        weights = np.full((sets, INPUTS), 65536 // (CONTEXTS + 1), np.int64)
        weights[:, -1] = 0
        weights[-STEPS:] = 65536 // 3
        return cls(sizes, parents, np.zeros(count, np.uint32), weights)

    def copy(self) -> "Statistics":
        return Statistics(self.sizes, self.parents, self.counters.copy(), self.weights.copy())

    def forget(self, most: int) -> "Statistics":
        """The same as if no counter had seen more than so much."""
        seen = np.minimum(self.counters % COUNTS, most)
        counters = self.counters // COUNTS * COUNTS + seen
        return Statistics(self.sizes, self.parents, counters.astype(np.uint32), self.weights.copy())

    def packed(self) -> tuple[NDArray[np.int16], NDArray[np.int32]]:
        """For storage: counters as logits in 1/128, times 16, and how much they have seen, in
        sixteen classes; and weights.
        """
        share, seen = self.counters // COUNTS, self.counters % COUNTS
        logits = (tables().stretch[share >> 6] + 1) // 2
        classes = np.searchsorted(SEEN, np.minimum(seen, LONGEST), "right") - 1
        counters = np.where(seen > 0, 16 * logits + classes, 0)
        weights = np.clip(self.weights, -(2**31), 2**31 - 1)
        return counters.astype(np.int16), weights.astype(np.int32)

    @classmethod
    def unpacked(
        cls, parents: Integers, counters: NDArray[np.int16], weights: NDArray[np.int32]
    ) -> "Statistics":
        """The inverse, as near as it goes."""
        logits, classes = counters.astype(np.int64) >> 4, counters & 15
        share = tables().squash[np.clip(2 * logits, -END, END) + END] << 6
        seen = np.array(SEEN, np.int64)[classes]
        found = np.where(seen > 0, share * COUNTS + seen, 0)
        return cls(
            context_sizes(len(parents)),
            parents,
            found.astype(np.uint32),
            weights.astype(np.int64),
        )

    def lengths(self) -> NDArray[np.float32]:
        """(C * LEVELS, ALPHABET) bits that a symbol costs about, by channel and scale index: what
        the encoder chooses by. Floats: never for the decoder.
        """
        channels = len(self.parents)
        begin, size = int(BINS * self.sizes[0]), int(self.sizes[1])
        counters = self.counters[begin : begin + BINS * size].reshape(BINS, channels, LEVELS)
        share, seen = counters // COUNTS / 2**22, (counters % COUNTS).astype(np.float64)
        law = tables().law[:, ::FINE]
        expected = 1 / (1 + np.exp(-law[[0, 1, 1]] / 256))[:, None]
        # as much as a few observations, where there are few
        p = (share * seen + expected * USUAL) / (seen + USUAL)
        more, no_more = -np.log2(p), -np.log2(1 - p)
        bins = np.minimum(np.arange(REACH), BINS - 1)
        until = np.concatenate((np.zeros((1, channels, LEVELS)), np.cumsum(more[bins], 0)))
        end = np.concatenate((no_more[bins], np.zeros((1, channels, LEVELS))))
        bits = until + end + (np.arange(REACH + 1) > 0)[:, None, None]
        both = np.concatenate((bits[:0:-1], bits))
        return np.moveaxis(both, 0, -1).reshape(-1, ALPHABET).astype(np.float32)


def escape_bits(magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Extra bits of symbols of these magnitudes (0 below the alphabet's end)."""
    excess = np.maximum(magnitudes - REACH + 1, 0)
    exponent = np.floor(np.log2(np.maximum(excess, 1)))
    return np.where(excess > 0, 2 * exponent + 1, 0).astype(np.float32)


class Step(NamedTuple):
    """Where symbols are, for the coder.

    Attributes:
        number: of the coding step.
        channels: its channels, (m,) int64.
        cells: (h, w) bool.
        levels: fine levels of its channels, (m, h, w).
        wanted, trades: where the writer is to choose symbols, what they stand for in quantiser
            steps, and the bits that a squared error of one step is worth, (m, h, w).
    """

    number: int
    channels: Integers
    cells: NDArray[np.bool_]
    levels: NDArray[np.float32]
    wanted: NDArray[np.float32] = NOTHING
    trades: NDArray[np.float32] = NOTHING


class PlaneCoder:
    """One plane of one frame while its steps are coded: its symbols, and what is known around.

    Attributes:
        sent: symbols (C, h, w) float32: all of them where they are written, filled where they are
            read or chosen.
    """

    def __init__(
        self, statistics: Statistics, sent: NDArray[np.float32], past: NDArray[np.float32]
    ) -> None:
        self._statistics, self.sent = statistics, sent
        channels, height, width = sent.shape
        bordered = height + 2, width + 2, channels
        self._magnitudes = np.zeros(bordered, np.int16)
        self._past = np.zeros(bordered, np.int16)
        self._past[1:-1, 1:-1] = np.minimum(np.moveaxis(past, 0, 2), kernel.LARGEST_KNOWN)
        self._totals = np.zeros((2, *bordered[:2]), np.int64)
        self._totals[1] = self._past.sum(2, dtype=np.int64)

    def code(
        self, encoding: bool, coder: Integers, data: NDArray[np.uint8], step: Step
    ) -> NDArray[np.uint8]:
        """-> ``data``, or what took its place."""
        known = self._statistics
        done: NDArray[np.uint8] = kernel.code_step(
            encoding,
            coder,
            data,
            step.number,
            step.channels,
            step.cells,
            step.levels,
            self.sent,
            step.wanted,
            step.trades,
            self._magnitudes,
            self._past,
            self._totals,
            known.parents,
            known.counters,
            known.sizes,
            known.weights,
            *tables(),
        )
        return done


class FrameWriter:
    """Encodes one frame. ``payload()`` ends it."""

    def __init__(self) -> None:
        self._coder = np.array((0, kernel.WHOLE, 0, 0), np.int64)
        self._data = np.empty(4096, np.uint8)

    def copy(self) -> "FrameWriter":
        """One that goes on from here."""
        other = FrameWriter()
        other._coder, other._data = self._coder.copy(), self._data.copy()
        return other

    def write(self, plane: PlaneCoder, step: Step) -> None:
        """The symbols of a step; the plane's statistics learn from them."""
        self._data = plane.code(True, self._coder, self._data, step)

    def write_lift(self, lift: int) -> None:
        """How far a step's levels were lifted, 0 to LIFTS."""
        self._make_room()
        kernel.code_bit(True, self._coder, self._data, LIFT_SHARE, int(lift > 0))
        for k in range(1, min(lift + 1, LIFTS) if lift else 0):
            kernel.code_bit(True, self._coder, self._data, kernel.HALF, int(lift > k))

    def write_width(self, width: int) -> None:
        """How wide a frame's steps of motion are, -WIDTHS to WIDTHS."""
        self._make_room()
        kernel.code_bit(True, self._coder, self._data, WIDTH_SHARE, int(width != 0))
        if width:
            kernel.code_bit(True, self._coder, self._data, kernel.HALF, int(width < 0))
            kernel.code_bit(True, self._coder, self._data, kernel.HALF, int(abs(width) > 1))

    def _make_room(self) -> None:
        if int(self._coder[kernel.POSITION]) + kernel.ROOM > len(self._data):
            self._data = np.concatenate((self._data, np.empty_like(self._data)))

    def bits(self) -> float:
        """Written so far."""
        low, high = self._coder[[kernel.LOW, kernel.HIGH]]
        return 8 * int(self._coder[kernel.POSITION]) + kernel.BITS - float(np.log2(high - low + 1))

    def payload(self) -> bytes:
        """Without zero bytes at the end: the reader puts them back."""
        position = int(self._coder[kernel.POSITION])
        return _whole(self._data[:position].tobytes(), self._coder)


class FrameReader:
    """Decodes what :class:`FrameWriter` wrote."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._data = np.array(bytearray(payload), np.uint8)  # one that can be written to
        point = int.from_bytes(payload[:AHEAD].ljust(AHEAD, b"\0"), "big")
        self._coder = np.array((0, kernel.WHOLE, point, AHEAD), np.int64)

    def read(self, plane: PlaneCoder, step: Step) -> None:
        """Fill in the symbols of a step."""
        plane.code(False, self._coder, self._data, step)

    def read_lift(self) -> int:
        """What :meth:`FrameWriter.write_lift` wrote."""
        if not kernel.code_bit(False, self._coder, self._data, LIFT_SHARE, 0):
            return 0
        lift = 1
        while lift < LIFTS and kernel.code_bit(False, self._coder, self._data, kernel.HALF, 0):
            lift += 1
        return lift

    def read_width(self) -> int:
        """What :meth:`FrameWriter.write_width` wrote."""
        if not kernel.code_bit(False, self._coder, self._data, WIDTH_SHARE, 0):
            return 0
        sign, more = (kernel.code_bit(False, self._coder, self._data, kernel.HALF, 0) for _ in "sm")
        return (-1 if sign else 1) * (2 if more else 1)

    def end(self) -> None:
        """Raises DamagedFile where the payload is not the one that a writer of these symbols ends
        with.
        """
        passed = int(self._coder[kernel.POSITION]) - AHEAD
        if _whole(self._payload[:passed].ljust(passed, b"\0"), self._coder) != self._payload:
            raise DamagedFile("the symbols of a frame are damaged")


def _whole(passed: bytes, coder: Integers) -> bytes:
    """The payload of which so many bytes are settled and the rest lies between the coder's bounds:
    the shortest, without zero bytes at its end, which readers put back.
    """
    low, high = int(coder[kernel.LOW]), int(coder[kernel.HIGH])
    for unsent in range(kernel.BITS, -1, -8):
        last = (low + (1 << unsent) - 1) >> unsent << unsent
        if last <= high:
            break
    return (passed + last.to_bytes(AHEAD + 1, "big")[1:]).rstrip(b"\0")
