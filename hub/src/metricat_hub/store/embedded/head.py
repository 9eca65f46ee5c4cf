"""The head: the newest samples in memory. They are also in the file's table `head`, and not yet packed.

A scrape target exports the same series each time. So most batches become a row of a table, with one time and a value
for each series. Other batches become runs, with a time for each sample.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from metricat_hub.store.embedded.table_index import TableIndex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times, Values

_MERGED = 64
"""The number of small runs that are merged to one."""
_LARGE = 20_000
"""Runs with this number of samples or more are not merged."""
_FIRST_ROWS = 8
_MOST_SEEN = 100_000


@dataclass(frozen=True, slots=True)
class Run:
    """Samples sorted by series, then by time."""

    series: NDArray[np.int32]
    times: Times
    values: Values
    first: int
    """The earliest time."""
    last: int

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.series)

    @property
    def lowest(self) -> int:
        """The lowest number of a series."""
        return int(self.series[0])

    @property
    def highest(self) -> int:
        """The highest number of a series."""
        return int(self.series[-1])

    def as_run(self) -> Run:
        """Return the samples as a run."""
        return self

    def as_table(self) -> Table | None:
        """Return the samples as a table; None if they have more than one time."""
        return Table(self.series, self.times[:1], self.values[None]) if self.first == self.last else None

    def after(self, time: int) -> Run | None:
        """Return a copy of the samples after a time; None without such samples."""
        if self.last <= time:
            return None
        chosen = self.times > time
        return run_of(self.series[chosen], self.times[chosen], self.values[chosen])

    def pick(self, numbers: NDArray[np.int32], start: int, end: int) -> Iterator[tuple[int, Times, Values]]:
        """Yield the samples from start to end of each of the series `numbers` that has any. `numbers` must ascend."""
        begins = self.series.searchsorted(numbers)
        ends = self.series.searchsorted(numbers, "right")
        is_inside = start <= self.first and self.last <= end
        for number, low, high in zip(numbers.tolist(), begins.tolist(), ends.tolist(), strict=True):
            if low < high and not is_inside:
                times = self.times[low:high]
                low, high = low + int(times.searchsorted(start)), low + int(times.searchsorted(end, "right"))  # noqa: PLW2901
            if low < high:
                yield number, self.times[low:high], self.values[low:high]


@dataclass(frozen=True, slots=True)
class Table:
    """Samples of several series at the same times: a row for each time, a column for each series."""

    series: NDArray[np.int32]
    """In ascending order."""
    times: Times
    """In ascending order."""
    values: Values

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.series) * len(self.times)

    @property
    def first(self) -> int:
        """The earliest time."""
        return int(self.times[0])

    @property
    def last(self) -> int:
        """The latest time."""
        return int(self.times[-1])

    @property
    def lowest(self) -> int:
        """The lowest number of a series."""
        return int(self.series[0])

    @property
    def highest(self) -> int:
        """The highest number of a series."""
        return int(self.series[-1])

    def as_run(self) -> Run:
        """Return the samples as a run."""
        rows = len(self.times)
        return Run(
            np.repeat(self.series, rows), np.tile(self.times, len(self.series)), self.values.T.ravel(), *self.bounds()
        )

    def as_table(self) -> Table:
        """Return the table."""
        return self

    def bounds(self) -> tuple[int, int]:
        """Return the earliest and the latest time."""
        return self.first, self.last

    def after(self, time: int) -> Table | None:
        """Return a copy of the rows after a time; None without such rows."""
        if self.last <= time:
            return None
        low = int(np.searchsorted(self.times, time, "right"))
        return Table(self.series, self.times[low:].copy(), self.values[low:].copy())

    def pick(self, numbers: NDArray[np.int32], start: int, end: int) -> Iterator[tuple[int, Times, Values]]:
        """Yield the samples from start to end of each of the series `numbers` that has any. `numbers` must ascend."""
        places, times, values = self.block(numbers, start, end)
        if len(times):
            for number, row in zip(numbers[places].tolist(), values, strict=True):
                yield number, times, row

    def columns(self, columns: NDArray[np.intp], start: int, end: int) -> tuple[Times, Values]:
        """Return the times from start to end, and a row of values for each of `columns` (indices in `series`)."""
        low, high = self.times.searchsorted((start, end + 1)).tolist()
        return self.times[low:high], self.values[low:high].take(columns, axis=1).T.copy()

    def block(self, numbers: NDArray[np.int32], start: int, end: int) -> tuple[NDArray[np.intp], Times, Values]:
        """Return the samples from start to end of the series `numbers`, which must ascend.

        Returns:
            The indices in `numbers` of the series in the table, the times, and a row of values for each index.
        """
        columns = self.series.searchsorted(numbers)
        columns[columns == len(self.series)] = 0
        places = np.flatnonzero(self.series[columns] == numbers)
        return places, *self.columns(columns[places], start, end)


Part: TypeAlias = Run | Table


class Columns(NamedTuple):
    """The columns of a table for the series that a selector matches."""

    table: Table
    rows: NDArray[np.intp]
    """The indices of the series among those that a selector matches, in ascending order."""
    columns: NDArray[np.intp]
    """The indices of the series in `Table.series`."""


class Parts:
    """Runs and tables that do not change, with an index. Not thread-safe: the owner must lock it."""

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._parts = tuple(parts)
        self._tables: list[Table] = []
        self._runs: list[Part] = []
        self._index: TableIndex | None = None

    def __iter__(self) -> Iterator[Part]:
        """Yield each part."""
        return iter(self._parts)

    @property
    def samples(self) -> int:
        """The number of samples."""
        return sum(map(len, self._parts))

    def columns(self, numbers: NDArray[np.int32]) -> list[Columns]:
        """Return the tables that have a series of `numbers`, each with the indices of these series."""
        index = self._indexed()
        return [Columns(self._tables[at], rows, columns) for at, rows, columns in index.find(numbers)]

    def runs(self, lowest: int, highest: int) -> list[Part]:
        """Return the runs that may have samples of the series from `lowest` to `highest`."""
        self._indexed()
        return [run for run in self._runs if run.lowest <= highest and run.highest >= lowest]

    def _indexed(self) -> TableIndex:
        if self._index is None:
            for part in self._parts:
                table = part.as_table()
                if table is None:
                    self._runs.append(part)
                else:
                    self._tables.append(table)
            self._index = TableIndex([table.series for table in self._tables])
        return self._index


class _GrowingTable:
    """A table that gets rows. What it returned before does not change."""

    def __init__(self, series: NDArray[np.int32]) -> None:
        self._series = series
        self._times: Times = np.empty(_FIRST_ROWS, np.int64)
        self._values: Values = np.empty((_FIRST_ROWS, len(series)))
        self._rows = 0
        self.last = np.iinfo(np.int64).min

    def add(self, time: int, values: Values) -> None:
        """Add a row with a later time."""
        if self._rows == len(self._times):
            rows = self._rows * 3 // 2
            times, table = np.empty(rows, np.int64), np.empty((rows, len(self._series)))
            times[: self._rows], table[: self._rows] = self._times, self._values
            self._times, self._values = times, table
        self._times[self._rows] = self.last = time
        self._values[self._rows] = values
        self._rows += 1

    @property
    def series(self) -> NDArray[np.int32]:
        """The series, in ascending order."""
        return self._series

    def table(self) -> Table:
        """Return the rows."""
        return Table(self._series, self._times[: self._rows], self._values[: self._rows])


def run_of(series: NDArray[np.int32], times: Times, values: Values) -> Run:
    """Build a run from sorted samples."""
    return Run(series, times, values, int(times.min()), int(times.max()))


def merge(parts: Iterable[Part]) -> Run:
    """Merge parts to one run."""
    runs = sorted((part.as_run() for part in parts), key=lambda run: run.lowest)
    series = np.concatenate([run.series for run in runs])
    times = np.concatenate([run.times for run in runs])
    values = np.concatenate([run.values for run in runs])
    if any(before.highest >= after.lowest for before, after in pairwise(runs)):
        order = np.lexsort((times, series))
        series, times, values = series[order], times[order], values[order]
    return run_of(series, times, values)


class Head:
    """Parts with the newest samples. The owner must lock all methods. The returned parts are immutable."""

    def __init__(self, before: Head | None = None) -> None:
        """Begin empty. A batch with the series of a batch in the head `before` becomes a row of a table immediately."""
        self._large: list[Part] = []
        self._small: list[Run] = []
        self._tables: dict[bytes, _GrowingTable] = {}
        self._seen: set[int] = set() if before is None else before.seen
        """Hashes of the series of earlier batches. The second batch with equal series begins a table."""
        self._lowest: NDArray[np.int32] | None = None
        self._highest: NDArray[np.int32] | None = None
        self._index: TableIndex | None = None
        self.samples = 0

    @property
    def seen(self) -> set[int]:
        """Hashes of the series of each batch. The next head starts with them."""
        return self._seen

    def add(self, run: Run) -> None:
        """Add samples."""
        self.samples += len(run)
        if not self._added_to_table(run):
            self._add_run(run)

    def _added_to_table(self, run: Run) -> bool:
        if run.first != run.last:
            return False
        key = run.series.tobytes()
        table = self._tables.get(key)
        if table is None:
            digest = hash(key)
            if digest not in self._seen:
                if len(self._seen) >= _MOST_SEEN:
                    self._seen.clear()
                self._seen.add(digest)
                return False
            table = self._tables[key] = _GrowingTable(run.series.copy())
            self._lowest = self._highest = self._index = None
        if run.first <= table.last:
            return False
        table.add(run.first, run.values)
        return True

    def _add_run(self, run: Run) -> None:
        # Copies, because a caller may reuse its arrays.
        run = Run(run.series, run.times.copy(), run.values.copy(), run.first, run.last)
        if len(run) >= _LARGE:
            self._large.append(run)
            return
        self._small.append(run)
        if len(self._small) >= _MERGED:
            merged = merge(self._small)
            self._small = []
            if len(merged) >= _LARGE:
                self._large.append(merged)
            else:
                self._small.append(merged)

    def snapshot(self) -> tuple[Part, ...]:
        """Return all parts."""
        return (*self._large, *self._small, *(table.table() for table in self._tables.values()))

    def columns(self, numbers: NDArray[np.int32]) -> list[Columns]:
        """Return the tables that have a series of `numbers`, each with the indices of these series."""
        if self._index is None:
            self._index = TableIndex([table.series for table in self._tables.values()])
        tables = list(self._tables.values())
        return [Columns(tables[at].table(), rows, columns) for at, rows, columns in self._index.find(numbers)]

    def runs(self, lowest: int, highest: int) -> list[Part]:
        """Return the runs that may have samples of the series from `lowest` to `highest`."""
        return [run for run in (*self._large, *self._small) if run.lowest <= highest and run.highest >= lowest]

    def overlapping(self, lowest: int, highest: int) -> list[Part]:
        """Return the parts that may have samples of the series from `lowest` to `highest`."""
        found = self.runs(lowest, highest)
        if self._lowest is None or self._highest is None:
            tables = [table.table() for table in self._tables.values()]
            self._lowest = np.array([table.lowest for table in tables], np.int32)
            self._highest = np.array([table.highest for table in tables], np.int32)
        chosen = np.flatnonzero((self._lowest <= highest) & (self._highest >= lowest))
        if len(chosen):
            tables_of = list(self._tables.values())
            found += [tables_of[at].table() for at in chosen.tolist()]
        return found

    def replace(self, parts: Sequence[Part]) -> None:
        """Replace all parts by `parts`."""
        self._large = list(parts)
        self._small = []
        self._tables = {}
        self._lowest = self._highest = self._index = None
        self.samples = sum(map(len, parts))
