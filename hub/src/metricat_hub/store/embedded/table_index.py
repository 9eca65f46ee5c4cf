"""An index that finds the tables of the head (`head.Table`) that have a series.

A selector reads a few columns of the table of each scrape target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    Found: TypeAlias = tuple[int, NDArray[np.intp], NDArray[np.intp]]
    """The index of a table, indices of series in the numbers, and the columns of these series in the table."""

_MOST_FOUND, _MOST_NUMBERS = 8, 10_000
"""The most results that an index keeps, and the most series of one of them."""


class TableIndex:
    """The tables and columns of each series. The index is valid until the series of one of the tables change."""

    def __init__(self, tables: Sequence[NDArray[np.int32]]) -> None:
        """Index the series of each table, which ascend."""
        self._begins = np.cumsum([0, *map(len, tables)])[:-1]
        series = np.concatenate(tables) if tables else np.zeros(0, np.int32)
        self._places = np.argsort(series, kind="stable").astype(np.int32)
        """The places in all tables, one after the other, by series."""
        self._series = series[self._places]
        self._found: dict[int, tuple[NDArray[np.int32], list[Found]]] = {}
        """By `id` of the numbers: the selectors of rules have the same object in each round."""

    def find(self, numbers: NDArray[np.int32]) -> list[Found]:
        """Return each table that has a series of `numbers`, in the order of the tables, with indices of these series.

        `numbers` must ascend, and the returned indices in `numbers` ascend. The caller must not change the arrays.
        """
        known = self._found.get(id(numbers))
        if known is None or known[0] is not numbers:
            known = numbers, list(self._search(numbers))
            if len(numbers) <= _MOST_NUMBERS:
                if len(self._found) >= _MOST_FOUND:
                    self._found = {}
                self._found[id(numbers)] = known
        return known[1]

    def _search(self, numbers: NDArray[np.int32]) -> Iterator[Found]:
        first = self._series.searchsorted(numbers)
        counts = self._series.searchsorted(numbers, "right") - first
        rows = np.repeat(np.arange(len(numbers)), counts)
        if not len(rows):
            return
        within = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        places = self._places[np.repeat(first, counts) + within]
        tables = self._begins.searchsorted(places, "right") - 1
        order = np.argsort(tables, kind="stable")
        tables, rows, columns = tables[order], rows[order], (places - self._begins[tables])[order]
        bounds = [0, *(np.flatnonzero(tables[1:] != tables[:-1]) + 1).tolist(), len(rows)]
        for low, high, table in zip(bounds[:-1], bounds[1:], tables[bounds[:-1]].tolist(), strict=True):
            yield table, rows[low:high], columns[low:high]
