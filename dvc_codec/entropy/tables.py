"""Probability tables: one per (channel group, scale index), counts that start from a prior and
adapt from frame to frame.

Counts are integers on both sides, so encoder and decoder agree on any machine. A group of pictures
starts from the prior again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dvc_codec.entropy.law import starting_shape

REACH = 12  # symbols beyond +-12 are escaped
ALPHABET = 2 * REACH + 1
ONE = 1 << 16  # counts are in 1/65536 of an observation
STARTING_WEIGHT = 16  # observations that the formula's prior is worth

Counts = NDArray[np.int64]


def starting_counts(groups: int) -> Counts:
    """(groups * LEVELS, ALPHABET): the law of :mod:`dvc_codec.entropy.law`, for every group the
    same.
    """
    counts = np.maximum(np.rint(starting_shape(REACH) * STARTING_WEIGHT * ONE), 1).astype(np.int64)
    return np.tile(counts, (groups, 1))


@dataclass(frozen=True)
class Tables:
    """Adaptive tables of one plane; adapting makes new ones, so that old ones stay a snapshot.

    ``counts`` (tables, ALPHABET); table = group * LEVELS + scale index.
    """

    counts: Counts

    def lengths(self) -> NDArray[np.float32]:
        """(tables, ALPHABET) ideal bits of every symbol, for the encoder's choices (floats: never
        for the decoder).
        """
        total = self.counts.sum(1, keepdims=True)
        bits: NDArray[np.float32] = -np.log2(self.counts / total).astype(np.float32)
        return bits

    def adapt(self, tables: NDArray[np.int64], symbols: NDArray[np.int64]) -> "Tables":
        """Count a frame's symbols, clipped to the alphabet, under the tables that coded them (1-d
        arrays).
        """
        cell = tables * ALPHABET + (np.clip(symbols, -REACH, REACH) + REACH)
        seen = np.bincount(cell, minlength=self.counts.size).reshape(self.counts.shape)
        return Tables(self.counts + seen * ONE)
