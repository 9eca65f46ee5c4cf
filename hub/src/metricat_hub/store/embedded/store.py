"""The embedded store: appends to the head, and selects from the head and the chunks."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import zlib
from typing import TYPE_CHECKING, Self

import msgspec
import numpy as np

from metricat_hub.model.errors import LimitError, StoreUnavailableError
from metricat_hub.model.labels import metric_name
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.ports import Hints, Selection, Series
from metricat_hub.model.samples import Appended
from metricat_hub.store.embedded import encoding
from metricat_hub.store.embedded.database import FILE, MIGRATIONS, Lock, Readers, open_for_writing, transaction
from metricat_hub.store.embedded.head import Head, Run, pick
from metricat_hub.store.embedded.label_index import LabelIndex
from metricat_hub.store.embedded.series_times import SeriesTimes
from metricat_hub.store.embedded.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Matcher
    from metricat_hub.model.samples import Batch, Numbers, Times, Values

_SLICE = 256
"""The number of series that a selection reads at once, so that no read transaction is long."""


def now() -> int:
    """Return the time in milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


class EmbeddedStore:
    """A store of samples in one directory. Any thread may call its methods."""

    def __init__(self, folder: Path, settings: Settings, clock: Callable[[], int]) -> None:
        """Use `open` instead."""
        self.folder = folder
        self.settings = settings
        self.clock = clock
        self._mutex = threading.RLock()
        """Guards the connection that writes, the head, and the times of series."""
        self._index_mutex = threading.Lock()
        self._index = LabelIndex()
        self._times = SeriesTimes()
        self._head = Head()
        self._packing: tuple[Run, ...] = ()
        """Runs that maintenance writes into chunks now. They are no longer in `_head`."""
        self._metadata: dict[str, Metadata] = {}
        self._warnings: list[str] = []
        """What is damaged in the head of the file."""
        self._generation = 0
        self._closed = False
        self.refused_series = 0
        self._lock = Lock(folder)
        try:
            self._writer = open_for_writing(folder / FILE, MIGRATIONS)
            self._readers = Readers(folder / FILE)
            self._load()
        except BaseException:
            self._lock.release()
            raise

    @classmethod
    def open(cls, folder: Path, settings: Settings | None = None, clock: Callable[[], int] = now) -> Self:
        """Open the store in a directory, which is created if it does not exist.

        Raises:
            StoreLockedError: another process has it open.
            StoreUnavailableError: it cannot be read or written.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            return cls(folder, settings or Settings(), clock)
        except OSError as error:
            raise StoreUnavailableError(
                f"{folder}: cannot open the store: {error.strerror}. Check the directory and its permissions."
            ) from error

    def close(self) -> None:
        """Close the files and release the lock. All accepted samples are in the file already."""
        with self._mutex:
            if self._closed:
                return
            self._closed = True
            self._readers.close()
            self._writer.close()
            self._lock.release()

    @property
    def generation(self) -> int:
        """A number that changes when series leave the index."""
        return self._generation

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series, -1 for a refused one. Add those that are new."""
        with self._index_mutex:
            known = self._index.numbers
            found = [known.get(one, -1) for one in labels]
        numbers = np.array(found, np.int64)
        if not bool((numbers < 0).any()):
            return numbers
        with self._mutex:
            self._check_open()
            missing = dict.fromkeys(one for one, number in zip(labels, found, strict=True) if number < 0)
            added = self._add_series([one for one in missing if one not in known])
            for at in np.flatnonzero(numbers < 0).tolist():
                numbers[at] = added.get(labels[at], known.get(labels[at], -1))
        return numbers

    def append(self, batch: Batch) -> Appended:
        """Store samples. See `Writer.append`."""
        with self._mutex:
            self._check_open()
            return self._append(batch, self.clock(), self.settings.out_of_order)

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics, by metric name."""
        with self._mutex:
            self._check_open()
            changed = {name: one for name, one in metadata.items() if self._metadata.get(name) != one}
            if not changed:
                return
            self._write(
                "INSERT OR REPLACE INTO metadata VALUES (?, ?, ?, ?)",
                [(name, one.type, one.help, one.unit) for name, one in changed.items()],
            )
            self._metadata = {**self._metadata, **changed}

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of each metric by name."""
        return self._metadata

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return the samples from start to end of all series that match every matcher. See `Reader.select`."""
        del hints
        self._check_open()
        numbers, labels = self._match(matchers, start, end)
        if len(numbers) > self.settings.query_series:
            raise LimitError(
                f"the selector matches {len(numbers)} series, more than the limit of {self.settings.query_series}. "
                "Add a matcher."
            )
        series: list[Series] = []
        total = 0
        for at in range(0, len(numbers), _SLICE):
            part = numbers[at : at + _SLICE]
            for number, times, values in self._read_raw(part, start, end):
                total += len(times)
                if total > self.settings.query_samples:
                    raise LimitError(
                        f"the query needs more than {self.settings.query_samples} samples. "
                        "Use a shorter range or a longer step, or add a matcher."
                    )
                series.append(Series(labels[number], times, values))
        return Selection(series, "raw", tuple(self._warnings))

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series that match any list of matchers and may have samples from start to end."""
        found: dict[int, Labels] = {}
        for one in matchers:
            found.update(self._match(one, start, end)[1])
        return [found[number] for number in sorted(found)]

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted label names of these series; without matchers: of all series."""
        return sorted({name for labels in self.series(matchers or [[]], start, end) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label of these series; without matchers: of all series."""
        found = self.series(matchers or [[]], start, end)
        return sorted({value for labels in found for label, value in labels if label == name})

    # Appending

    def _append(self, batch: Batch, time: int, out_of_order: int) -> Appended:
        series, times, values = batch.series, batch.times, batch.values
        if not len(series):
            return Appended(0)
        active = self._times.known(series)
        if bool(active.all()) and bool((series[1:] > series[:-1]).all()):
            numbers = series.astype(np.int32)
            if bool((times > self._times.newest[numbers]).all()) and not bool(self._outside(times, time).any()):
                self._store(numbers, times, values)
                self._times.update_in_order(numbers, times)
                return Appended(len(numbers))
        return self._append_carefully(batch, active, time, out_of_order)

    def _outside(self, times: Times, time: int) -> NDArray[np.bool_]:
        return (times > time + self.settings.future) | (times <= time - self.settings.raw_retention)

    def _append_carefully(self, batch: Batch, active: NDArray[np.bool_], time: int, out_of_order: int) -> Appended:
        """Store a batch that is not simply newer than everything."""
        times = batch.times
        too_new = active & (times > time + self.settings.future)
        oldest = np.full(len(times), time - self.settings.raw_retention + 1)
        oldest[active] = np.maximum(oldest[active], self._times.newest[batch.series[active]] - out_of_order)
        too_old = active & (times < oldest)
        order = np.flatnonzero(active & ~too_new & ~too_old)
        order = order[np.lexsort((times[order], batch.series[order]))]
        series = batch.series[order].astype(np.int32)
        times = times[order]
        bits = batch.values.view(np.uint64)[order]

        again = np.zeros(len(order), np.bool_)
        again[1:] = (series[1:] == series[:-1]) & (times[1:] == times[:-1])
        # The first of several samples at one time is stored; the others are compared with it.
        first = np.maximum.accumulate(np.where(again, 0, np.arange(len(order))))
        differs = again & (bits != bits[first])
        late = np.flatnonzero(~again & (times <= self._times.newest[series]))
        if len(late):
            stored, other = self._stored(series[late], times[late], bits[late])
            again[late[stored]] = True
            differs[late[stored & other]] = True
            # Repeated samples were compared with a sample of the batch; what counts is the stored one.
            repeated = np.flatnonzero(again & again[first] & (first != np.arange(len(order))))
            if len(repeated):
                _, other = self._stored(series[repeated], times[repeated], bits[repeated])
                differs[repeated] = other
        new = ~again
        if bool(new.any()):
            self._store(series[new], times[new], bits[new].view(np.float64))
            self._times.update(series[new], times[new])
        conflicting = np.zeros(len(active), np.bool_)
        conflicting[order[differs]] = True
        return Appended(
            int(new.sum()),
            int((again & ~differs).sum()),
            conflicting if bool(differs.any()) else None,
            too_old if bool(too_old.any()) else None,
            too_new if bool(too_new.any()) else None,
            ~active if not bool(active.all()) else None,
        )

    def _stored(
        self, series: NDArray[np.int32], times: Times, bits: NDArray[np.uint64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return for each sample whether the store has one of this series and time, and whether its value differs."""
        stored = np.zeros(len(series), np.bool_)
        differs = np.zeros(len(series), np.bool_)
        numbers = np.unique(series)
        starts = np.searchsorted(series, numbers, "left")
        ends = np.searchsorted(series, numbers, "right")
        places = {int(number): slice(begin, end) for number, begin, end in zip(numbers, starts, ends, strict=True)}
        for at in range(0, len(numbers), _SLICE):
            part = numbers[at : at + _SLICE]
            for number, have, values in self._read_raw(part, int(times.min()), int(times.max())):
                place = places[number]
                found = np.searchsorted(have, times[place])
                found[found == len(have)] = 0
                same = have[found] == times[place]
                stored[place] = same
                differs[place] = same & (values.view(np.uint64)[found] != bits[place])
        return stored, differs

    def _store(self, series: NDArray[np.int32], times: Times, values: Values) -> None:
        """Write sorted samples to the file, then to memory."""
        # Copies: a caller may reuse its arrays.
        times = np.array(times, np.int64)
        values = np.array(values, np.float64)
        self._check_space()
        self._write("INSERT INTO head (data) VALUES (?)", [(encoding.encode_batch(series, times, values),)])
        self._head.add(series, times, values)

    def _check_space(self) -> None:
        if not hasattr(os, "statvfs"):
            return
        state = os.statvfs(self.folder)
        free = state.f_bavail * state.f_frsize
        if free < self.settings.reserve_bytes:
            raise StoreUnavailableError(
                f"{self.folder}: the disk is full: {free >> 20} MiB are free, and the store keeps "
                f"{self.settings.reserve_bytes >> 20} MiB in reserve. Free space, or set a smaller limit of size."
            )

    def _write(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        """Run a statement for each row, all in one transaction.

        Raises:
            StoreUnavailableError: no row is stored.
        """
        try:
            if len(rows) == 1:
                self._writer.execute(statement, rows[0])
                return
            with transaction(self._writer):
                self._writer.executemany(statement, rows)
        except sqlite3.Error as error:
            raise unavailable(self.folder, error) from error

    def _add_series(self, labels: Sequence[Labels]) -> dict[Labels, int]:
        room = max(0, self.settings.series_limit - len(self._index))
        self.refused_series += max(0, len(labels) - room)
        labels = labels[:room]
        if not labels:
            return {}
        added = {}
        try:
            with transaction(self._writer):
                for one in labels:
                    added[one] = self._writer.execute(
                        "INSERT INTO series (name, hash, labels) VALUES (?, ?, ?)",
                        (metric_name(one), labels_hash(one), msgspec.json.encode(one)),
                    ).lastrowid
        except sqlite3.Error as error:
            raise unavailable(self.folder, error) from error
        numbers = {one: number for one, number in added.items() if number is not None}
        with self._index_mutex:
            for one, number in numbers.items():
                self._index.add(one, number)
                self._times.add(number)
        return numbers

    # Reading

    def _match(self, matchers: Sequence[Matcher], start: int, end: int) -> tuple[NDArray[np.int32], dict[int, Labels]]:
        """Return the matching series that may have samples from start to end."""
        with self._index_mutex:
            numbers = self._index.match(matchers)
            kept = (self._times.newest[numbers] >= start) & (self._times.first[numbers] <= end)
            numbers = numbers[kept]
            return numbers, {number: self._index.labels[number] for number in numbers.tolist()}

    def _read_raw(self, numbers: NDArray[np.int32], start: int, end: int) -> list[tuple[int, Times, Values]]:
        """Return the raw samples of the series that have any."""
        with self._mutex:
            runs = (*self._packing, *self._head.snapshot())
        picked = pick(runs, numbers, start, end)
        if picked is None:
            return []
        series, times, values = picked
        bounds = np.flatnonzero(series[1:] != series[:-1]) + 1
        starts = [0, *bounds.tolist()]
        ends = [*bounds.tolist(), len(series)]
        return [(int(series[a]), times[a:b], values[a:b]) for a, b in zip(starts, ends, strict=True)]

    # Opening

    def _load(self) -> None:
        for number, data, first, last in self._writer.execute(
            "SELECT number, labels, first, last FROM series WHERE NOT idle ORDER BY number"
        ):
            self._index.add(msgspec.json.decode(data, type=tuple[tuple[str, str], ...]), number)
            self._times.add(number)
            del first, last
        for name, kind, text, unit in self._writer.execute("SELECT metric, type, help, unit FROM metadata"):
            self._metadata[name] = Metadata(kind, text, unit)
        state = self._writer.execute("SELECT value FROM state WHERE name = 'times'").fetchone()
        if state is not None:
            self._times.restore(state[0])
        for row, data in self._writer.execute("SELECT number, data FROM head ORDER BY number"):
            try:
                series, times, values = encoding.decode_batch(data)
            except encoding.DamagedError as error:
                self._warnings.append(f"batch {row} of the head is damaged ({error}); its samples are missing")
                continue
            self._head.add(series, times, values)
            self._times.update(series, times)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailableError(f"{self.folder}: the store is closed. Open it again.")


def labels_hash(labels: Labels) -> int:
    """Return a 32-bit hash of labels, the same in every process."""
    return zlib.crc32(msgspec.json.encode(labels))


def unavailable(folder: Path, error: sqlite3.Error) -> StoreUnavailableError:
    """Return the error for users of an error of SQLite while writing."""
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return StoreUnavailableError(f"{folder}: the disk is full or fails: {error}. Free space or replace the disk.")
    return StoreUnavailableError(f"{folder}: cannot write the store: {error}. Retry later, or run a check.")
