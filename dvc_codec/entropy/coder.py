"""The range coder: symbols grouped by table, one table after the other, each a single call.

    writer.write(tables, ids, symbols)        reader.read(tables, ids) -> symbols

Both sides sort the symbols (stably) by table id, which both know. Symbols beyond the alphabet are
sent as its last one and followed, at the end of the call, by their excess in Elias-gamma form.
"""

from typing import Any

import constriction
import numpy as np
from numpy.typing import NDArray

from dvc_codec.entropy.scale import LIFTS
from dvc_codec.entropy.tables import REACH, Tables
from dvc_codec.errors import DamagedFile

Categorical, Uniform = constriction.stream.model.Categorical, constriction.stream.model.Uniform
RangeDecoder, RangeEncoder = (
    constriction.stream.queue.RangeDecoder,
    constriction.stream.queue.RangeEncoder,
)

LARGEST = (1 << 15) - 1  # of |symbol|; a larger latent is clipped by the encoder
_EXPONENTS = 15
_EXPONENT_MODEL = np.array([2.0 ** -(k + 1) for k in range(_EXPONENTS)])

# of a step's lift: most are 0
_LIFT_MODEL = np.array([250.0] + [1.0] * LIFTS) / (250 + LIFTS)
LIFT_BITS = float(-np.log2(_LIFT_MODEL[1]))  # what one that is not 0 costs

Integers = NDArray[np.int64]


class SymbolWriter:
    """Encodes one frame. ``payload()`` ends it."""

    def __init__(self) -> None:
        self._encoder = RangeEncoder()

    def write(self, tables: Tables, ids: Integers, symbols: Integers) -> None:
        """``symbols`` (n,) under the tables ``ids`` (n,)."""
        order, starts, present = _grouping(ids)
        clipped = (np.clip(symbols, -REACH, REACH) + REACH).astype(np.int32)[order]
        for table, begin, end in zip(present, starts[:-1], starts[1:], strict=True):
            self._encoder.encode(clipped[begin:end], _model(tables, table))
        excess = np.abs(symbols) - REACH + 1
        excess = excess[excess > 0]
        if len(excess):
            exponents = np.floor(np.log2(excess)).astype(np.int32)
            self._encoder.encode(exponents, Categorical(_EXPONENT_MODEL, perfect=False))
            for k in range(1, _EXPONENTS):
                low = (excess[exponents == k] - (1 << k)).astype(np.int32)
                if len(low):
                    self._encoder.encode(low, Uniform(1 << k))

    def write_lift(self, lift: int) -> None:
        """How far a coding step's levels are lifted, 0 to LIFTS."""
        self._encoder.encode(np.array([lift], np.int32), Categorical(_LIFT_MODEL, perfect=False))

    def bits(self) -> int:
        """Bits so far, about: whole words of the coder."""
        return int(self._encoder.num_bits())

    def payload(self) -> bytes:
        """Little-endian words; zero bytes at the end are left out, as the reader puts them back."""
        words: NDArray[np.uint32] = self._encoder.get_compressed()
        return words.astype("<u4").tobytes().rstrip(b"\0")


class SymbolReader:
    """Decodes what :class:`SymbolWriter` wrote.

    Most bytes decode to something: checks are the container's and the hash's. Raises DamagedFile
    where the coder itself notices that nobody wrote this.
    """

    def __init__(self, payload: bytes) -> None:
        padded = payload + b"\0" * (-len(payload) % 4)
        self._decoder = RangeDecoder(np.frombuffer(padded, "<u4").astype(np.uint32))

    def read(self, tables: Tables, ids: Integers) -> Integers:
        """Symbols (n,) under the tables ``ids`` (n,)."""
        try:
            return self._read(tables, ids)
        except AssertionError as error:  # constriction's word for it
            raise DamagedFile("the symbols of a frame are damaged") from error

    def read_lift(self) -> int:
        """What :meth:`SymbolWriter.write_lift` wrote. Raises DamagedFile as :meth:`read`."""
        try:
            return int(self._decoder.decode(Categorical(_LIFT_MODEL, perfect=False)))
        except AssertionError as error:
            raise DamagedFile("the symbols of a frame are damaged") from error

    def _read(self, tables: Tables, ids: Integers) -> Integers:
        order, starts, present = _grouping(ids)
        decoded = np.empty(len(ids), np.int64)
        for table, begin, end in zip(present, starts[:-1], starts[1:], strict=True):
            decoded[begin:end] = self._decoder.decode(_model(tables, table), int(end - begin))
        symbols = np.empty(len(ids), np.int64)
        symbols[order] = decoded - REACH
        escaped = np.flatnonzero(np.abs(symbols) == REACH)
        if len(escaped):
            exponents = self._decoder.decode(
                Categorical(_EXPONENT_MODEL, perfect=False), len(escaped)
            )
            excess = np.left_shift(1, exponents.astype(np.int64))
            for k in range(1, _EXPONENTS):
                at = np.flatnonzero(exponents == k)
                if len(at):
                    excess[at] += self._decoder.decode(Uniform(1 << k), len(at))
            symbols[escaped] += np.sign(symbols[escaped]) * (excess - 1)
        return symbols


def escape_bits(magnitudes: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ideal extra bits of symbols of these magnitudes (0 below the alphabet's end)."""
    excess = np.maximum(magnitudes - REACH + 1, 0)
    exponent = np.floor(np.log2(np.maximum(excess, 1)))
    return np.where(excess > 0, 2 * exponent + 1, 0).astype(np.float32)


def _grouping(ids: Integers) -> tuple[Integers, Integers, Integers]:
    """Stable order by id, the borders of its runs (runs + 1), and the id of each run."""
    counts = np.bincount(ids)
    present = np.flatnonzero(counts)
    starts = np.concatenate(([0], np.cumsum(counts[present])))
    return np.argsort(ids.astype(np.int16), kind="stable"), starts, present


def _model(tables: Tables, table: int) -> Any:
    # float64 holds these integers exactly; constriction's own rounding is plain IEEE arithmetic,
    # the same everywhere
    return Categorical(tables.counts[table].astype(np.float64), perfect=False)
