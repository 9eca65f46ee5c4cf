"""Finds the tables that have some series. A selector reads a few columns of the table of each scrape target."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


class TableIndex:
    """The tables and columns of each series. The index is valid until the series of one of the tables change."""

    def __init__(self, tables: Sequence[NDArray[np.int32]]) -> None:
        """Index the series of each table, which ascend."""
        self._begins = np.cumsum([0, *map(len, tables)])[:-1]
        series = np.concatenate(tables) if tables else np.zeros(0, np.int32)
        self._places = np.argsort(series, kind="stable").astype(np.int32)
        """The places in all tables, one after the other, by series."""
        self._series = series[self._places]

    def find(self, numbers: NDArray[np.int32]) -> Iterator[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
        """Yield the index of each table that has some of these series, indices in `numbers`, and their columns.

        `numbers` must ascend, and the yielded indices in `numbers` ascend.
        """
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
