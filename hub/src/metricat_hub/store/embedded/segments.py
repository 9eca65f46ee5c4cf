"""Segments: samples of incomplete windows, in the file but not yet in chunks.

A chunk has all samples of a series in a window, so writing it takes as long for five minutes as for two hours. A
segment has the samples of many series, as a table or a run of `head`. See docs/design/0027.
"""

from __future__ import annotations

import sqlite3
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.store.embedded import segment_encoding
from metricat_hub.store.embedded.encoding import DamagedError
from metricat_hub.store.embedded.head import Table, merge, run_of
from metricat_hub.store.embedded.windows import RAW

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from metricat_hub.store.embedded.head import Part, Run

TIER = "segment"
"""The name of the tier in reports of damage."""

_BOUNDS = struct.Struct("<6q")
_MOST_SERIES = 1024
"""The most series of a table in a segment: a query reads whole segments."""
_MOST_SAMPLES = 20_000
"""The most samples of a run in a segment, apart from those of a single series."""
_FEWEST_SERIES = 8
"""Fewer series with the same times than this are not worth a table of their own."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The description of a segment in memory: its row number, window and bounds."""

    number: int
    """The number of the segment's row in the file."""
    window: int
    first: int
    """The earliest time."""
    last: int
    lowest: int
    """The lowest number of a series."""
    highest: int
    samples: int

    def bounds(self) -> bytes:
        """Return the columns of the row as bytes for the checksum."""
        return _BOUNDS.pack(self.window, self.first, self.last, self.lowest, self.highest, self.samples)


class SegmentIndex:
    """The index of the segments in the file. Not thread-safe: the owner must lock it."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._damaged: set[int] = set()
        self._bounds: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Return the number of segments."""
        return len(self._segments)

    def add(self, segments: Iterable[Segment]) -> None:
        """Add segments."""
        self._segments = [*self._segments, *segments]
        self._bounds = None

    def remove(self, segments: Iterable[Segment]) -> None:
        """Remove segments."""
        gone = {one.number for one in segments}
        self._segments = [one for one in self._segments if one.number not in gone]
        self._bounds = None

    def set_aside(self, numbers: Iterable[int]) -> None:
        """Mark segments as damaged. They stay in the file, so that queries and checks report them."""
        self._damaged.update(numbers)

    def windows(self) -> list[int]:
        """Return the numbers of the windows that have segments without damage, in ascending order."""
        return sorted({one.window for one in self._segments if one.number not in self._damaged})

    def of_window(self, window: int) -> list[Segment]:
        """Return the segments of a window, without damaged ones."""
        return [one for one in self._segments if one.window == window and one.number not in self._damaged]

    def before(self, window: int) -> list[Segment]:
        """Return the segments of all windows before a window."""
        return [one for one in self._segments if one.window < window]

    def overlapping(self, lowest: int, highest: int, start: int, end: int) -> list[Segment]:
        """Return the segments that may have samples from start to end of the series from `lowest` to `highest`."""
        if not self._segments:
            return []
        if self._bounds is None:
            rows = [(one.lowest, one.highest, one.first, one.last) for one in self._segments]
            self._bounds = np.array(rows, np.int64).T.copy()
        lows, highs, firsts, lasts = self._bounds
        chosen = (lows <= highest) & (highs >= lowest) & (firsts <= end) & (lasts >= start)
        return [self._segments[at] for at in np.flatnonzero(chosen).tolist()]


class SegmentReader:
    """Reads segments through one connection. It skips damaged segments, and adds them to `damaged`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.damaged: dict[tuple[str, int], str] = {}
        """Why each segment is damaged, by `TIER` and number."""
        self.missing = False
        """Whether a segment no longer exists, because its samples are in chunks."""

    def read(self, segment: Segment, numbers: NDArray[np.int32] | None = None) -> Part | None:
        """Return the samples of the series `numbers`; None: of all series.

        Return None if the segment has no such samples, is damaged (`damaged`) or no longer exists (`missing`).
        """
        statement = "SELECT data FROM segments WHERE number = ?"
        try:
            row = self._connection.execute(statement, (segment.number,)).fetchone()
            if row is None:
                self.missing = True
                return None
            return segment_encoding.decode(row[0], segment.bounds(), numbers)
        except sqlite3.OperationalError:
            raise
        except (sqlite3.DatabaseError, DamagedError) as error:
            self.damaged[TIER, segment.number] = str(error)
            return None


def load(connection: sqlite3.Connection) -> Iterator[Segment]:
    """Yield the segments of a file."""
    statement = "SELECT number, window, first, last, lowest, highest, samples FROM segments ORDER BY number"
    for row in connection.execute(statement):
        yield Segment(*row)


def encode(part: Part) -> tuple[Segment, bytes]:
    """Return the description of a segment, with the number 0 until `insert`, and its bytes."""
    segment = Segment(0, RAW.window(part.first), part.first, part.last, part.lowest, part.highest, len(part))
    return segment, segment_encoding.encode(part, segment.bounds())


def insert(connection: sqlite3.Connection, segment: Segment, data: bytes) -> Segment:
    """Insert a segment, and return it with its number."""
    columns = segment.window, segment.first, segment.last, segment.lowest, segment.highest, segment.samples
    statement = "INSERT INTO segments VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)"
    return Segment(connection.execute(statement, (*columns, data)).lastrowid or 0, *columns)


def divided(parts: Sequence[Part]) -> Iterator[Part]:
    """Split parts of the head into parts for segments, each with one window and a limited size."""
    runs = []
    for part in parts:
        if isinstance(part, Table):
            yield from _tables(part)
        else:
            runs.append(part)
    if runs:
        merged = merge(runs)
        for window in range(RAW.window(merged.first), RAW.window(merged.last) + 1):
            inside = (merged.times > RAW.base(window)) & (merged.times <= RAW.end(window))
            if inside.all():
                yield from _parts_of(merged)
            elif inside.any():
                yield from _parts_of(run_of(merged.series[inside], merged.times[inside], merged.values[inside]))


def _tables(table: Table) -> Iterator[Table]:
    windows = range(RAW.window(table.first), RAW.window(table.last) + 1)
    bounds = table.times.searchsorted([RAW.end(window) for window in windows], "right").tolist()
    for low, high in pairwise([0, *bounds]):
        if low < high:
            for at in range(0, len(table.series), _MOST_SERIES):
                part = slice(at, at + _MOST_SERIES)
                yield Table(table.series[part], table.times[low:high], table.values[low:high, part])


def _parts_of(run: Run) -> Iterator[Part]:
    """Yield tables of the series with the same times, and the others as runs. A series may have a time twice."""
    starts = np.flatnonzero(np.diff(run.series, prepend=run.series[0] - 1))
    bounds = [*starts.tolist(), len(run.series)]
    groups: dict[bytes, list[int]] = {}
    for at, (low, high) in enumerate(pairwise(bounds)):
        groups.setdefault(run.times[low:high].tobytes(), []).append(at)
    others: list[int] = []
    for data, members in groups.items():
        times = np.frombuffer(data, np.int64)
        if len(members) < _FEWEST_SERIES or not bool((times[1:] > times[:-1]).all()):
            others += members
            continue
        values = np.stack([run.values[bounds[at] : bounds[at + 1]] for at in members], axis=1)
        yield from _tables(Table(run.series[starts[members]], times, values))
    rest: list[int] = []
    samples = 0
    for at in sorted(others):
        rest.append(at)
        samples += bounds[at + 1] - bounds[at]
        if samples >= _MOST_SAMPLES:
            yield _slices(run, bounds, rest)
            rest, samples = [], 0
    if rest:
        yield _slices(run, bounds, rest)


def _slices(run: Run, bounds: Sequence[int], members: Sequence[int]) -> Run:
    """Return the samples of some series of a run."""
    chosen = np.concatenate([np.arange(bounds[at], bounds[at + 1]) for at in members])
    return run_of(run.series[chosen], run.times[chosen], run.values[chosen])
