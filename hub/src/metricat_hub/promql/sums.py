"""Sums in double-double arithmetic.

Prometheus adds with Kahan's and Neumaier's compensation, so that a sum has the precision of a float64 even if large
terms cancel. Sums of float64 pairs (Dekker 1971; Knuth's two-sum) have the same precision, and numpy computes them for
many windows at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.vector import Indices, Mask


_FEW: Final = 256
"""As many terms or fewer are added one after the other: `fsum` costs less than a dozen numpy operations."""


@dataclass(slots=True)
class Sum:
    """Sums as pairs of a rounded value (`high`) and its rounding error (`low`), without infinite and NaN terms."""

    high: Values
    low: Values
    special: Values | None = None
    """The sum of the infinite and NaN terms; 0: no such term; None: all terms are finite."""

    def overflowed(self) -> Mask:
        """Return a mask of the sums that overflow float64. The caller must compute these sums term by term."""
        overflowed = ~np.isfinite(self.high + self.low)
        return overflowed if self.special is None else overflowed & (self.special == 0)

    def total(self) -> Values:
        """Return the sum as float64."""
        total = self.high + self.low
        return total if self.special is None else total + self.special

    def mean(self, count: Values) -> Values:
        """Return the sum divided by the number of terms."""
        mean = self.high / count + self.low / count
        return mean if self.special is None else mean + self.special


def add(high: Values, low: Values, other: Values, other_low: Values) -> tuple[Values, Values]:
    """Return the sum of two pairs of a rounded value and its rounding error, as such a pair."""
    total = high + other
    part = total - high
    rest = (high - (total - part)) + (other - part)
    rest += low + other_low
    rounded = total + rest
    return rounded, rest - (rounded - total)


def _split(values: Values) -> tuple[Values, Values | None]:
    """Return finite terms (0 for others) and the other terms (0 for finite ones)."""
    finite = np.isfinite(values)
    if bool(finite.all()):
        return values, None
    return np.where(finite, values, 0.0), np.where(finite, 0.0, values)


def last_axis(values: Values) -> Sum:
    """Return the sums over the last axis."""
    high, special = _split(values)
    low = None
    while (size := high.shape[-1]) > 1:
        if high.size <= _FEW and (few := _of_few(high, low)) is not None:
            high, low = few
            break
        if low is None:
            low = np.zeros_like(high)
        whole = size - size % 2
        sums, rests = add(high[..., :whole:2], low[..., :whole:2], high[..., 1:whole:2], low[..., 1:whole:2])
        if whole < size:
            sums, rests = (
                np.concatenate([pairs, terms[..., -1:]], axis=-1) for pairs, terms in ((sums, high), (rests, low))
            )
        high, low = sums, rests
    if size == 0:
        zeros = np.zeros(high.shape[:-1])
        return Sum(zeros, zeros, None)
    rest = np.zeros(high.shape[:-1]) if low is None else low[..., 0]
    return Sum(high[..., 0], rest, None if special is None else special.sum(axis=-1))


def _of_few(high: Values, low: Values | None) -> tuple[Values, Values] | None:
    """Return the sums of a few values, or of a few pairs, over the last axis; None: a sum overflows."""
    terms = high if low is None else np.concatenate([high, low], axis=-1)
    rows = terms.reshape(-1, terms.shape[-1]).tolist()
    try:
        totals = [math.fsum(row) for row in rows]
        rests = [math.fsum((*row, -total)) for row, total in zip(rows, totals, strict=True)]
    except (OverflowError, ValueError):  # a ValueError: a pair has overflowed
        return None
    pair = np.array([totals, rests]).reshape(2, *high.shape[:-1], 1)
    return pair[0], pair[1]


def windows(values: Values, low: Indices, high: Indices) -> Sum:
    """Return the sums of ``values[:, low[i]:high[i]]`` for each window i, as columns.

    Sums of 2, 4, 8, ... neighbours are built once; a window is the sum of a few of them.
    """
    terms, special = _split(values)
    length = high - low
    total, rest = np.zeros((len(values), len(low))), np.zeros((len(values), len(low)))
    position = low.copy()
    block, block_low, size = terms, np.zeros_like(terms), 1
    longest = int(length.max(initial=0))
    while size <= longest:
        chosen = np.flatnonzero(length & size)
        if len(chosen):
            at = position[chosen]
            total[:, chosen], rest[:, chosen] = add(total[:, chosen], rest[:, chosen], block[:, at], block_low[:, at])
            position[chosen] += size
        if 2 * size <= longest:
            block, block_low = add(block[:, :-size], block_low[:, :-size], block[:, size:], block_low[:, size:])
        size *= 2
    if special is None:
        return Sum(total, rest, None)
    return Sum(total, rest, _special(special, low, high))


def _special(special: Values, low: Indices, high: Indices) -> Values:
    """Return the sums of infinite terms and NaN in each window."""
    counts = []
    for found in (np.isnan(special), special == np.inf, special == -np.inf):
        before = np.zeros((len(special), special.shape[1] + 1), dtype=np.int64)
        np.cumsum(found, axis=1, out=before[:, 1:])
        counts.append(before[:, high] - before[:, low])
    nan, positive, negative = counts
    total = np.where(positive > 0, np.inf, 0.0) + np.where(negative > 0, -np.inf, 0.0)
    return np.where(nan > 0, np.nan, total)


def groups(values: Values, present: Mask, starts: Indices) -> Sum:
    """Return the sums over the rows of each group. `starts` has the first row of each group."""
    terms, special = _split(np.where(present, values, 0.0))
    low = np.zeros_like(terms)
    bounds = np.append(starts, len(values))
    group = np.repeat(np.arange(len(starts)), np.diff(bounds))
    while len(terms) > len(starts):
        first = np.flatnonzero(np.append(True, group[1:] != group[:-1]))
        within = np.arange(len(group)) - first[group]
        even = np.flatnonzero(within % 2 == 0)
        paired = np.append(group[1:] == group[:-1], False)[even]
        left, right = even[paired], even[paired] + 1
        high_next, low_next = terms[even], low[even]
        high_next[paired], low_next[paired] = add(terms[left], low[left], terms[right], low[right])
        terms, low, group = high_next, low_next, group[even]
    if special is None:
        return Sum(terms, low, None)
    return Sum(terms, low, np.add.reduceat(special, starts, axis=0))
