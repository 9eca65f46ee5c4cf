"""The interface of the PostgreSQL store for the other packages of the hub."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.model.self_metrics import Sample
from metricat_hub.store import accepting
from metricat_hub.store.embedded.head import merge
from metricat_hub.store.embedded.settings import DAY, MINUTE, Settings
from metricat_hub.store.postgresql import registry, selection
from metricat_hub.store.postgresql.connections import Connections
from metricat_hub.store.postgresql.errors import ConnectionLostError
from metricat_hub.store.postgresql.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, Matcher, Selection, Series, Tier
    from metricat_hub.model.samples import Appended, Batch, Numbers, Times
    from metricat_hub.store.embedded.head import Run

T = TypeVar("T")
_READERS = 4
_GROUP = 50_000
"""Samples of batches that share one commit."""
_QUERY_TIMEOUT = 120_000
_IDLE_CHECK = 10 * MINUTE


class PostgresStore:
    """A store of samples in a PostgreSQL database. Thread-safe."""

    def __init__(self, state: State) -> None:
        """Use `open` instead."""
        self._state = state
        self._maintaining = threading.Lock()
        self._waiting: deque[_Waiting] = deque()
        self._idle_checked = 0
        self._unsampled_below = 0
        """Series with a lower number existed at the check before."""
        self._bytes = 0

    @classmethod
    def open(
        cls,
        url: str,
        settings: Settings,
        clock: Callable[[], int],
        *,
        readers: int = _READERS,
        query_timeout: int = _QUERY_TIMEOUT,
    ) -> Self:
        """Open the store of a database. While the database is down, methods raise `StoreUnavailableError`.

        Args:
            url: `postgresql://...`.
            settings: retention and limits.
            clock: returns the time in milliseconds.
            readers: the largest number of connections for queries; one more writes.
            query_timeout: time limit of a query's statement in milliseconds.

        Raises:
            StoreLockedError: another hub has the store open.
            StoreConfigurationError: the hub cannot use the database because of a setting or a privilege.
        """
        connections = Connections(url, readers=readers, query_timeout=query_timeout)
        state = State(connections, settings, clock)
        try:
            state.ready()
        except StoreUnavailableError:
            pass  # `problems` reports it, and each use of the store tries again.
        except BaseException:
            connections.close()
            raise
        return cls(state)

    @classmethod
    def open_read_only(cls, url: str, clock: Callable[[], int]) -> Self:
        """Open the store of a database for reading, even while a hub has it open.

        Raises:
            StoreConfigurationError: a setting or a privilege is wrong, or no hub has used the database.
            StoreUnavailableError: the database is not available.
        """
        connections = Connections(url, readers=0, query_timeout=_QUERY_TIMEOUT)
        state = State(connections, Settings(), clock, read_only=True)
        try:
            state.ready()
        except BaseException:
            connections.close()
            raise
        return cls(state)

    def close(self) -> None:
        """Close the connections, which releases the lease. All accepted samples are in the database already."""
        self._state.closed = True
        self._state.connections.close()

    @property
    def layout(self) -> str:
        """The layout of the tables: `plain` or `timescaledb`."""
        return self._state.ready().name

    @property
    def generation(self) -> int:
        """A number that changes when series are removed from the index. Their numbers then become invalid."""
        return self._state.generation

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series; -1 if it is rejected. See `Writer.resolve`."""
        return _again_if_lost(lambda: registry.resolve(self._state, labels))

    def append(self, batch: Batch) -> Appended:
        """Store samples. See `Writer.append`."""
        waiting = _Waiting(batch)
        self._waiting.append(waiting)
        with self._state.mutex:
            # While another thread had the mutex, batches have gathered: they share one statement and one commit.
            while waiting.result is None and waiting.error is None:
                self._append_together(self._next_group())
        if waiting.error is not None:
            raise waiting.error
        assert waiting.result is not None  # noqa: S101 -- see the loop
        return waiting.result

    def append_any_age(self, batch: Batch) -> Appended:
        """Store samples that may be older than the out-of-order window and the retention, for an import."""
        with self._state.mutex:
            return _again_if_lost(lambda: self._append([batch], any_age=True))[0]

    def _next_group(self) -> list[_Waiting]:
        """Return the oldest batches that wait, one at least."""
        group = [self._waiting.popleft()]
        samples = len(group[0].batch.series)
        while self._waiting and samples < _GROUP:
            group.append(self._waiting.popleft())
            samples += len(group[-1].batch.series)
        return group

    def _append_together(self, group: list[_Waiting]) -> None:
        """Store batches of several threads, and note the result of each. The caller has the mutex."""
        batches = [one.batch for one in group]
        try:
            results = _again_if_lost(lambda: self._append(batches, any_age=False))
        except BaseException as error:
            for one in group:
                one.error = error
            if not isinstance(error, Exception):
                raise
        else:
            for one, result in zip(group, results, strict=True):
                one.result = result

    def _append(self, batches: Sequence[Batch], *, any_age: bool) -> list[Appended]:
        state = self._state
        try:
            state.ready()
            # A new connection may load the series again, so it must be there before numbers are checked.
            with state.writer():
                target = _Target(state)
                now = state.clock()
                results = [accepting.accept(target, batch, now, any_age=any_age) for batch in batches]
                target.flush()
                return results
        except StoreUnavailableError:
            state.rejected["unavailable"] += sum(len(batch.series) for batch in batches)
            raise

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics, by metric name."""
        state = self._state
        state.ready()
        with state.mutex:
            changed = {name: one for name, one in metadata.items() if state.metadata.get(name) != one}
            if changed:
                rows = [
                    (name.encode(), one.type, one.help.encode(), one.unit.encode()) for name, one in changed.items()
                ]
                _again_if_lost(lambda: self._write_metadata(rows))
                state.metadata = {**state.metadata, **changed}

    def _write_metadata(self, rows: Sequence[tuple[bytes, str, bytes, bytes]]) -> None:
        with self._state.writer() as connection, connection.transaction(), connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO metricat.metadata VALUES (%s, %s, %s, %s) ON CONFLICT (metric) DO UPDATE SET "
                "type = EXCLUDED.type, help = EXCLUDED.help, unit = EXCLUDED.unit",
                rows,
            )

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of each metric by name."""
        return self._state.metadata

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return the samples from start to end of all series that match every matcher. See `Reader.select`."""
        return _again_if_lost(lambda: selection.select(self._state, matchers, start, end, hints))

    def iterate(self, matchers: Sequence[Matcher], start: int, end: int, tier: Tier = "raw") -> Iterator[Series]:
        """Yield all matching series, sorted by metric name, without limits. For `tier`, see `selection.iterate`."""
        return selection.iterate(self._state, matchers, start, end, tier)

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """Return the labels of series that match any list of matchers and may have samples from start to end."""
        self._state.check_open()
        found: dict[int, Labels] = {}
        for one in matchers:
            found.update(_again_if_lost(partial(registry.match, self._state, one, start, end))[1])
        return [found[number] for number in sorted(found)]

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted label names of the series that `series` returns. See `Reader.label_names`."""
        return sorted({name for labels in self.series(matchers or [[]], start, end) for name, _ in labels})

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """Return the sorted values of a label in the series that `series` returns. See `Reader.label_values`."""
        found = self.series(matchers or [[]], start, end)
        return sorted({value for labels in found for label, value in labels if label == name})

    def maintain(self, now: int | None = None, *, pack_all: bool = False) -> None:
        """Run due packing, downsampling and retention. Call it every few seconds from a thread.

        Args:
            now: the time in milliseconds; None: the current time.
            pack_all: not used; it exists for compatibility with the embedded store.

        Raises:
            StoreUnavailableError: the database is not available. No sample is lost; a later call continues.
        """
        del pack_all
        state = self._state
        with self._maintaining:
            now = state.clock() if now is None else now
            layout = state.ready()
            layout.maintain(now)
            if now >= self._idle_checked + _IDLE_CHECK:
                settings = state.settings
                registry.remove_idle(state, now, self._unsampled_below)
                longest = max(settings.raw_retention, settings.minute_retention, settings.hour_retention)
                # A partition is dropped when all of it is old, so samples stay for one partition longer.
                registry.delete_expired(state, now - longest - 31 * DAY)
                self._bytes = layout.size()
                self._idle_checked = now
                with state.mutex:
                    self._unsampled_below = len(state.times.active)

    def metrics(self) -> Sequence[Sample]:
        """Return the metrics of the store itself."""
        state = self._state
        found = [
            Sample("metricat_hub_store_up", "Whether the database is available.", 0 if self._is_down() else 1),
            Sample("metricat_hub_store_series", "Active series, which received samples recently.", len(state.index)),
            Sample(
                "metricat_hub_store_series_limit",
                "Limit of active series (store.max-series).",
                state.settings.series_limit,
            ),
            Sample(
                "metricat_hub_store_database_bytes", "Size of the store's tables and indexes in bytes.", self._bytes
            ),
            Sample(
                "metricat_hub_store_refused_series",
                "Series that the store rejected because of store.max-series.",
                state.refused_series,
                is_counter=True,
            ),
        ]
        text = "Samples that the store rejected, by reason."
        for reason, count in state.rejected.items():
            labels = {"reason": reason}
            found.append(Sample("metricat_hub_store_rejected_samples", text, count, is_counter=True, labels=labels))
        return found

    def problems(self) -> Sequence[str]:
        """Return a problem with time and cause if the database is not available."""
        if not self._is_down():
            return ()
        connections = self._state.connections
        since = datetime.fromtimestamp(connections.down_since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return (f"the database is not available since {since}: {connections.down_reason}",)

    def _is_down(self) -> bool:
        return bool(self._state.connections.down_since)


def _again_if_lost(work: Callable[[], T]) -> T:
    """Run the work, and again if it found its connection lost, as after a restart of the database.

    Appending may be repeated: a sample that the lost connection has stored is then not stored again.
    """
    try:
        return work()
    except ConnectionLostError:
        return work()


@dataclass(slots=True, eq=False)
class _Waiting:
    """A batch that a thread appends, and its result."""

    batch: Batch
    result: Appended | None = None
    error: BaseException | None = None


class _Target:
    """The store as `accepting` uses it for a group of batches. The caller has the writing connection and calls `flush`.

    Times of series are newer than the database if `flush` fails. Then `accept` looks up the samples when they are sent
    again, and stores them.
    """

    def __init__(self, state: State) -> None:
        self._state = state
        self._layout = state.ready()
        self.settings = state.settings
        self.times = state.times
        self.rejected = state.rejected
        self._parts: list[Run] = []

    def stored(self, series: NDArray[np.int32], times: Times) -> tuple[NDArray[np.bool_], NDArray[np.uint64]]:
        self.flush()  # a sample of an earlier batch of the group may have the same time
        stored = np.zeros(len(series), np.bool_)
        bits = np.zeros(len(series), np.uint64)
        numbers, starts = np.unique(series, return_index=True)
        places = dict(zip(numbers.tolist(), zip(starts, [*starts[1:], len(series)], strict=True), strict=True))
        with self._state.writer() as connection:
            for number, have, values in self._layout.raw(connection, numbers, int(times.min()), int(times.max())):
                begin, stop = places[number]
                found = np.searchsorted(have, times[begin:stop])
                found[found == len(have)] = 0
                stored[begin:stop] = have[found] == times[begin:stop]
                bits[begin:stop] = np.ascontiguousarray(values).view(np.uint64)[found]
        return stored, bits

    def store(self, run: Run, *, in_order: bool) -> None:
        del in_order
        self._parts.append(run)

    def flush(self) -> None:
        """Write the samples of all batches so far, in one transaction."""
        if not self._parts:
            return
        merged = merge(self._parts)
        self._parts.clear()
        with self._state.writer() as connection:
            self._layout.insert(connection, merged.series, merged.times, merged.values)
