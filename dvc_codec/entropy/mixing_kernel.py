"""The loops of :mod:`.mixing`: predict a bit, code it, learn from it. Whole numbers throughout, so
that encoder and decoder agree on any machine.

A binary arithmetic coder with 56-bit bounds, the highest byte leaving as soon as both have it in
common (as in Mahoney's lpaq, with 24 bits more).
"""

import numpy as np
from numpy.typing import NDArray

from dvc_codec.compiled import compiled

Integers = NDArray[np.int64]
Counters = NDArray[np.uint32]
Floats = NDArray[np.float32]  # of whole numbers

BITS = 56
TOP, WHOLE = BITS - 8, (1 << BITS) - 1
LOW, HIGH, POINT, POSITION = 0, 1, 2, 3  # of a coder's state
HALF = 1 << 15  # a probability, in 1/65536
COUNTS = 1024  # a counter is probability (22 bits) * COUNTS + observations
STEPS = 5  # at most
REACH = 12  # magnitudes from here on are escaped
LARGEST_EXPONENT = 14
ROOM = 64  # bytes, more than a symbol can need
LARGEST_KNOWN = 1023  # magnitudes beyond are all the same to contexts
BINS = 3  # of the bits of a magnitude, the third for all that follow
CONTEXTS = 12
SIGN_CONTEXTS = 3
INPUTS = CONTEXTS + 2  # and the law, and a constant
CONSTANT = 64
END = 3071  # of the logistic domain, in 1/256
LEVELS, FINE = 34, 16  # as in entropy.law
SETS = BINS * STEPS * 3  # of weights of the first mixer; then of the second
OTHER_SETS = BINS * 9 * 8
SHARED_SETS = SETS + OTHER_SETS  # then of the third, BINS times the channels, and of signs, STEPS
RATE, RATE_SHIFT = 24, 22  # of the mixers
MIXERS = 3


@compiled
def _few(m: int) -> int:
    """A magnitude, or a sum of some, in eight classes."""
    if m < 3:
        return m
    if m < 5:
        return 3
    if m < 8:
        return 4
    if m < 13:
        return 5
    return 6 if m < 21 else 7


@compiled
def _many(m: int) -> int:
    """The same in sixteen."""
    if m < 8:
        return m
    if m < 16:
        return 8 + (m >> 2) - 2
    if m < 32:
        return 10 + (m >> 3) - 2
    if m < 64:
        return 12 + (m >> 4) - 2
    return 14 if m < 96 else 15


@compiled
def _beside(plane: NDArray[np.int16], y: int, x: int, c: int) -> int:
    """Sum of the four beside."""
    return int(plane[y, x - 1, c] + plane[y - 1, x, c] + plane[y, x + 1, c] + plane[y + 1, x, c])


@compiled
def code_bit(encoding: bool, coder: Integers, data: NDArray[np.uint8], p: int, bit: int) -> int:
    """One bit, 1 with probability ``p`` / 65536. -> the bit.

    0 has the lower part, so that a frame of zeros is no bytes at all.

    Args:
        coder: (4,), changed.
        data: what is written to, with room enough, or read from; zeros follow it.
    """
    low, high = coder[LOW], coder[HIGH]
    middle = low + ((high - low) >> 16) * (65536 - p)
    if not encoding:
        bit = 1 if coder[POINT] > middle else 0
    if bit:
        low = middle + 1
    else:
        high = middle
    while ((low ^ high) >> TOP) == 0:
        at = coder[POSITION]
        if encoding:
            data[at] = low >> TOP
        else:
            coming = data[at] if at < len(data) else 0
            coder[POINT] = ((coder[POINT] << 8) & WHOLE) | coming
        coder[POSITION] = at + 1
        low = (low << 8) & WHOLE
        high = ((high << 8) & WHOLE) | 255
    coder[LOW], coder[HIGH] = low, high
    return bit


@compiled
def _exponent(excess: int) -> int:
    """floor(log2(excess))."""
    exponent = 0
    while (excess >> (exponent + 1)) > 0:
        exponent += 1
    return exponent


@compiled
def _escape(encoding: bool, coder: Integers, data: NDArray[np.uint8], excess: int) -> int:
    """Elias-gamma code of a number from 1 to 32767."""
    exponent = 0
    if encoding:
        exponent = _exponent(excess)
        for _ in range(exponent):
            code_bit(True, coder, data, HALF, 1)
        if exponent < LARGEST_EXPONENT:
            code_bit(True, coder, data, HALF, 0)
    else:
        while exponent < LARGEST_EXPONENT and code_bit(False, coder, data, HALF, 0):
            exponent += 1
    value = 1
    for k in range(exponent - 1, -1, -1):
        value = 2 * value + code_bit(encoding, coder, data, HALF, (excess >> k) & 1)
    return value


@compiled
def _clipped(logit: int) -> int:
    return END if logit > END else -END if logit < -END else logit


@compiled
def _learned(kept: np.uint32, p: int, bit: int, rates: Integers) -> int:
    """A counter after a bit; one that has seen nothing takes the place of ``p``, what was thought
    instead, first.
    """
    counter = int(kept)
    seen, share = counter % COUNTS, counter // COUNTS
    if seen == 0:
        seen, share = 2, p << 6
    share += ((((bit << 22) - share) >> 3) * rates[seen]) >> 13
    share = max(64, min((1 << 22) - 64, share))
    return int(share * COUNTS + min(seen + 1, COUNTS - 1))


@compiled
def _mixed(
    at: Integers,
    expected: int,
    seen: Integers,
    counters: Counters,
    weights: Integers,
    sets: Integers,
    stretch: Integers,
) -> tuple[int, int, int]:
    """What each mixer makes of the counters at these places; ``seen``: filled with its inputs."""
    for i in range(CONTEXTS):
        counter = np.int64(counters[at[i]])
        seen[i] = stretch[counter >> 16] if counter % COUNTS else expected
    seen[CONTEXTS] = expected
    first, second, third = weights[sets[0]], weights[sets[1]], weights[sets[2]]
    one = two = three = 0
    for i in range(INPUTS):
        one += first[i] * seen[i]
        two += second[i] * seen[i]
        three += third[i] * seen[i]
    return _clipped(one >> 16), _clipped(two >> 16), _clipped(three >> 16)


@compiled
def _chosen(
    latent: float,
    rounded: int,
    trade: float,
    going_on: NDArray[np.float64],
    ending: NDArray[np.float64],
) -> int:
    """The cheapest of a magnitude, one less, and zero, under trade * error^2 + bits.

    Args:
        going_on, ending: bits of going on and of ending, of each bin.
    """
    best, best_cost = 0, trade * latent * latent + ending[0]
    for option in range(max(rounded - 1, 1), rounded + 1):
        bits = 1.0  # its sign
        for k in range(min(option, BINS - 1)):
            bits += going_on[k]
        if option >= REACH:
            bits += (REACH - BINS + 1) * going_on[BINS - 1]
            bits += 2 * _exponent(option - REACH + 1) + 1
        else:
            bits += max(option - BINS + 1, 0) * going_on[BINS - 1] + ending[min(option, BINS - 1)]
        cost = trade * (latent - option) ** 2 + bits
        if cost < best_cost:
            best, best_cost = option, cost
    return best


@compiled
def code_step(
    encoding: bool,
    coder: Integers,
    data: NDArray[np.uint8],
    number: int,
    channels: Integers,
    cells: NDArray[np.bool_],
    levels: Floats,
    sent: Floats,
    wanted: Floats,
    trades: Floats,
    magnitudes: NDArray[np.int16],
    past: NDArray[np.int16],
    totals: Integers,
    parents: Integers,
    counters: Counters,
    sizes: Integers,
    weights: Integers,
    stretch: Integers,
    squash: Integers,
    law: Integers,
    rates: Integers,
) -> NDArray[np.uint8]:
    """Code the symbols of a coding step: cell by cell, in each channel by channel.

    Args:
        encoding: or decoding.
        coder, data: as in :func:`code_bit`; encoding makes more room where there is too little.
        number: of the step.
        channels, cells: of the step, (m,) and (h, w).
        levels: fine levels, (m, h, w).
        sent: symbols (C, h, w), read, or filled where they are decoded or chosen.
        wanted, trades: where symbols are chosen while encoding, latents and the bits of a squared
            error, (m, h, w); else nothing in them.
        magnitudes, past: of this frame (filled) and the last, (h + 2, w + 2, C), a border of zeros.
        totals: of magnitudes in each cell of this frame's earlier steps (changed) and of the last
            frame, (2, h + 2, w + 2).
        parents: for every channel six that are coded before it, or -1: two just below in frequency,
            three beyond these, and the same of another plane, (C, 6).
        counters: one after the other, each context's (changed).
        sizes: of a context's counters for one bin, (CONTEXTS + SIGN_CONTEXTS,).
        weights: (sets, INPUTS), changed.
        stretch, squash, law, rates: see :mod:`.mixing`.

    Returns:
        ``data``, or what took its place.
    """
    height, width = cells.shape
    run = np.zeros((height + 2, width + 2), np.int64)
    starts = np.zeros(CONTEXTS + 1, np.int64)  # of the contexts' counters, then of signs'
    for i in range(CONTEXTS):
        starts[i + 1] = starts[i] + BINS * sizes[i]
    base = np.zeros(CONTEXTS, np.int64)
    at = np.zeros(CONTEXTS, np.int64)
    seen = np.zeros(INPUTS, np.int64)
    seen[CONTEXTS + 1] = CONSTANT
    sets = np.empty((BINS, MIXERS), np.int64)
    choosing = wanted.size > 0
    going_on, ending = np.empty(BINS), np.empty(BINS)
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            if not cells[y - 1, x - 1]:
                continue
            here, active = 0, totals[0, y, x]
            was_active = _few(totals[1, y, x])
            run_beside = _few(run[y, x - 1] + run[y - 1, x])
            for k in range(len(channels)):
                fine = int(levels[k, y - 1, x - 1])
                level = (fine + FINE // 2) // FINE
                if level < 1:
                    continue
                c = channels[k]
                near = 2 * _beside(magnitudes, y, x, c) + (
                    magnitudes[y - 1, x - 1, c]
                    + magnitudes[y - 1, x + 1, c]
                    + magnitudes[y + 1, x - 1, c]
                    + magnitudes[y + 1, x + 1, c]
                )
                lower = lower_beside = 0
                for j in range(2):
                    q = parents[c, j]
                    if q >= 0:
                        lower += magnitudes[y, x, q]
                        lower_beside += _beside(magnitudes, y, x, q)
                lowest = 0
                for j in range(2, 5):
                    q = parents[c, j]
                    if q >= 0:
                        lowest += magnitudes[y, x, q]
                other = 0
                q = parents[c, 5]
                if q >= 0:
                    other = 1 + min(magnitudes[y, x, q], 3)
                before = min(past[y, x, c], 5)
                before_beside = _few(_beside(past, y, x, c))
                few_near, few_here, few_lower = _few(near), _few(here), _few(lower)
                beside_lower = _few(lower_beside)
                eighth, quarter = fine // 8, level // 4
                base[0] = number * 136 + fine // 4
                base[1] = c * LEVELS + level
                base[2] = (number * 16 + _many(near)) * LEVELS + level
                base[3] = ((number * 8 + few_here) * 8 + run_beside) * 9 + quarter
                base[4] = ((number * 6 + before) * 8 + was_active) * 17 + level // 2
                base[5] = (min(lower, 7) * 8 + min(lowest, 7)) * LEVELS + level
                base[6] = (c * 8 + few_near) * 8 + few_here
                base[7] = (c * 8 + _few(lower + lowest)) * 8 + few_near
                base[8] = (c * 6 + before) * 8 + before_beside
                base[9] = ((beside_lower * 8 + few_lower) * 8 + _few(active)) * 8 + few_near
                base[10] = (beside_lower * 5 + other) * 68 + eighth
                base[11] = (c * 8 + beside_lower) * 8 + _few(active + here)
                if encoding and coder[POSITION] + ROOM > len(data):
                    more = np.empty(2 * len(data) + ROOM, np.uint8)
                    more[: len(data)] = data
                    data = more
                busy = 0 if near + here == 0 else (1 if near + here < 4 else 2)
                for bin_ in range(BINS):
                    sets[bin_, 0] = (bin_ * STEPS + number) * 3 + busy
                    sets[bin_, 1] = SETS + (bin_ * 9 + quarter) * 8 + few_near
                    sets[bin_, 2] = SHARED_SETS + bin_ * len(parents) + c
                if choosing and abs(wanted[k, y - 1, x - 1]) > 0.5:
                    latent = abs(wanted[k, y - 1, x - 1])
                    rounded = int(latent + 0.5)
                    for bin_ in range(min(rounded + 1, BINS)):
                        for i in range(CONTEXTS):
                            at[i] = starts[i] + bin_ * sizes[i] + base[i]
                        one, two, three = _mixed(
                            at,
                            law[min(bin_, 1), fine],
                            seen,
                            counters,
                            weights,
                            sets[bin_],
                            stretch,
                        )
                        share = squash[(one + two + three) // MIXERS + END] / 65536
                        going_on[bin_], ending[bin_] = -np.log2(share), -np.log2(1 - share)
                    found = _chosen(latent, rounded, trades[k, y - 1, x - 1], going_on, ending)
                    sent[c, y - 1, x - 1] = found if wanted[k, y - 1, x - 1] > 0 else -found
                value = int(sent[c, y - 1, x - 1]) if encoding else 0
                magnitude = abs(value)
                found = 0
                while found < REACH:
                    bin_ = min(found, BINS - 1)
                    for i in range(CONTEXTS):
                        at[i] = starts[i] + bin_ * sizes[i] + base[i]
                    first, second = weights[sets[bin_, 0]], weights[sets[bin_, 1]]
                    third = weights[sets[bin_, 2]]
                    one, two, three = _mixed(
                        at, law[min(bin_, 1), fine], seen, counters, weights, sets[bin_], stretch
                    )
                    p = squash[(one + two + three) // MIXERS + END]
                    bit = code_bit(encoding, coder, data, p, 1 if magnitude > found else 0)
                    wrong_one = ((bit << 16) - squash[one + END]) * RATE
                    wrong_two = ((bit << 16) - squash[two + END]) * RATE
                    wrong_three = ((bit << 16) - squash[three + END]) * RATE
                    for i in range(INPUTS):
                        first[i] += (seen[i] * wrong_one + (1 << (RATE_SHIFT - 1))) >> RATE_SHIFT
                        second[i] += (seen[i] * wrong_two + (1 << (RATE_SHIFT - 1))) >> RATE_SHIFT
                        third[i] += (seen[i] * wrong_three + (1 << (RATE_SHIFT - 1))) >> RATE_SHIFT
                    for i in range(CONTEXTS):
                        counters[at[i]] = _learned(counters[at[i]], p, bit, rates)
                    if bit == 0:
                        break
                    found += 1
                if found == REACH:
                    found += _escape(encoding, coder, data, magnitude - REACH + 1) - 1
                if found > 0:
                    negative = _code_sign(
                        encoding,
                        coder,
                        data,
                        number,
                        c,
                        y,
                        x,
                        1 if value < 0 else 0,
                        sent,
                        magnitudes,
                        parents,
                        counters[starts[CONTEXTS] :],
                        sizes[CONTEXTS:],
                        weights[SHARED_SETS + BINS * len(parents) + number],
                        stretch,
                        squash,
                        rates,
                    )
                    magnitudes[y, x, c] = min(found, LARGEST_KNOWN)
                    if not encoding:
                        sent[c, y - 1, x - 1] = -found if negative else found
                here += found
            run[y, x] = here
    for y in range(1, height + 1):
        for x in range(1, width + 1):
            totals[0, y, x] += run[y, x]
    return data


@compiled
def _sign(sent: Floats, magnitudes: NDArray[np.int16], c: int, y: int, x: int) -> int:
    """Of a symbol: 0 none yet, 1 positive, 2 negative."""
    if c < 0 or magnitudes[y, x, c] == 0:
        return 0
    return 1 if sent[c, y - 1, x - 1] > 0 else 2


@compiled
def _code_sign(
    encoding: bool,
    coder: Integers,
    data: NDArray[np.uint8],
    number: int,
    c: int,
    y: int,
    x: int,
    negative: int,
    sent: Floats,
    magnitudes: NDArray[np.int16],
    parents: Integers,
    counters: Counters,
    sizes: Integers,
    weights: Integers,
    stretch: Integers,
    squash: Integers,
    rates: Integers,
) -> int:
    """A sign, by those beside it and those of lower frequencies. -> 1: negative."""
    left, above = _sign(sent, magnitudes, c, y, x - 1), _sign(sent, magnitudes, c, y - 1, x)
    right, below = _sign(sent, magnitudes, c, y, x + 1), _sign(sent, magnitudes, c, y + 1, x)
    one, two = (
        _sign(sent, magnitudes, parents[c, 2], y, x),
        _sign(sent, magnitudes, parents[c, 3], y, x),
    )
    three = _sign(sent, magnitudes, parents[c, 5], y, x)
    at = np.empty(SIGN_CONTEXTS, np.int64)
    at[0] = (c * 3 + left) * 3 + above
    at[1] = sizes[0] + (c * 3 + right) * 3 + below
    at[2] = sizes[0] + sizes[1] + ((c * 3 + one) * 3 + two) * 3 + three
    seen = np.empty(SIGN_CONTEXTS, np.int64)
    total = 0
    for i in range(SIGN_CONTEXTS):
        counter = np.int64(counters[at[i]])
        seen[i] = stretch[counter >> 16] if counter % COUNTS else 0
        total += weights[i] * seen[i]
    p = squash[_clipped(total >> 16) + END]
    negative = code_bit(encoding, coder, data, p, negative)
    wrong = ((negative << 16) - p) * RATE
    for i in range(SIGN_CONTEXTS):
        weights[i] += (seen[i] * wrong + (1 << (RATE_SHIFT - 1))) >> RATE_SHIFT
        counters[at[i]] = _learned(counters[at[i]], HALF, negative, rates)
    return negative
