"""A store with a buffer. While the store is down, samples wait on disk, and queries read recent samples from memory.

See docs/design/0037.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import SeriesRemovedError, StoreUnavailableError
from metricat_hub.model.ports import Selection, Series
from metricat_hub.model.samples import RESOLUTIONS, Appended, Batch
from metricat_hub.model.times import utc
from metricat_hub.promql.engine import Engine
from metricat_hub.promql.query_engine import LOOKBACK
from metricat_hub.remote import records
from metricat_hub.remote.delivery import Delivery, QueueSettings
from metricat_hub.remote.outcome import Outcome
from metricat_hub.store.recent_samples import RecentSamples
from metricat_hub.store.series_numbers import SeriesNumbers
from metricat_hub.store.spreading import rejections, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Hints, ManagedStore, Matcher, Reader
    from metricat_hub.model.samples import Numbers
    from metricat_hub.model.self_metrics import Sample
    from metricat_hub.promql.engine import Result
    from metricat_hub.promql.limits import Limits
    from metricat_hub.promql.query_engine import QueryEngine, Stop
    from metricat_hub.remote.delivery import DeliveryState
    from metricat_hub.remote.records import Samples

_LOG = logging.getLogger(__name__)
CACHE_BYTES = 32 << 20
CACHE_AGE = 30 * 60_000
"""Limits of the recent samples in memory. The age is in milliseconds."""
AHEAD = 600_000
"""The most milliseconds by which a sample may be in the future, the same as in the embedded store."""
_PREFIX = "metricat_hub_store_buffer"


class BufferedStore:
    """A store with a buffer on disk, in which samples wait while the store is down. Thread-safe."""

    def __init__(
        self,
        inner: ManagedStore,
        queue: QueueSettings,
        clock: Callable[[], int],
        limits: Limits,
        waits: tuple[float, float] = (1.0, 30.0),
    ) -> None:
        """Open the buffer, and send the samples that wait in it.

        Args:
            inner: the store.
            queue: the directory and the limits of the buffer.
            clock: returns milliseconds since 1970-01-01 UTC.
            limits: the limits of queries.
            waits: the first and the longest time between attempts to reach the store, in seconds.
        """
        self.inner = inner
        self.recent = RecentSamples(CACHE_BYTES, CACHE_AGE, limits.samples)
        self.limits = limits
        self._clock = clock
        self._numbers = SeriesNumbers()
        self._inner_numbers: dict[Labels, int] = {}
        self._inner_generation = inner.generation
        self._metadata: Mapping[str, Metadata] = {}
        self._unsent_metadata: dict[str, Metadata] = {}
        self._lock = threading.Lock()
        self._delivery = Delivery("store", replace(queue, flushes=True), self._drain, clock, waits)
        self._delivery.start()

    @property
    def generation(self) -> int:
        """A number that changes when numbers of series become invalid, or rejected series may be accepted."""
        return self._numbers.generation + self.inner.generation

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series; -1 if the store rejects it. A store that is down rejects no series."""
        numbers = self._numbers.resolve(labels)
        if self._delivery.is_empty():
            with suppress(StoreUnavailableError):
                numbers[self._resolved(labels) < 0] = -1
        return numbers

    def append(self, batch: Batch) -> Appended:
        """Write samples to the store or, while it is down, to the buffer. Buffered samples count as accepted.

        Raises:
            StoreUnavailableError: the store is down, and the buffer cannot be written.
        """
        samples, unknown = self._numbers.samples(batch)
        if not len(samples.times):
            return Appended(0, unknown=unknown)
        if self._delivery.is_empty():
            try:
                appended = self._append_to_store(samples)
            except StoreUnavailableError as error:
                _LOG.debug("store: %s", error)
            else:
                rejected = rejections(appended)
                self.recent.add(samples if rejected is None else _kept(samples, ~rejected))
                return spread(appended, unknown)
        too_new = samples.times > self._clock() + AHEAD
        if bool(too_new.any()):
            samples = _kept(samples, ~too_new)
        self._buffer(samples)
        self.recent.add(samples)
        accepted = Appended(len(samples.times), too_new=too_new if bool(too_new.any()) else None)
        return spread(accepted, unknown)

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics, later if the store is down.

        A restart loses metadata that waits for the store, but senders send it again.
        """
        with self._lock:
            self._unsent_metadata.update(metadata)
        self._send_metadata()

    def select(self, matchers: Sequence[Matcher], start: int, end: int, hints: Hints) -> Selection:
        """Return stored and waiting samples. While the store is down, return recent samples, with a warning."""
        waits = not self._delivery.is_empty()
        try:
            found = self.inner.select(matchers, start, end, hints)
        except StoreUnavailableError as error:
            self.check_recent(min(end, start + max(hints.range, LOOKBACK)), error)
            selection = self.recent.select(matchers, start, end, hints)
            return Selection(selection.series, warnings=[self.warning(error)])
        if not waits:
            return found
        recent = self.recent.select(matchers, start, end, hints)
        return Selection(_united(found.series, recent.series), found.tier, found.warnings)

    def series(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[Labels]:
        """See `Reader.series`. While the store is down, return only series with recent samples."""
        return self._listed(lambda reader: reader.series(matchers, start, end), end)

    def label_names(self, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """See `Reader.label_names`. While the store is down, use only series with recent samples."""
        return self._listed(lambda reader: reader.label_names(matchers, start, end), end)

    def label_values(self, name: str, matchers: Sequence[Sequence[Matcher]], start: int, end: int) -> Sequence[str]:
        """See `Reader.label_values`. While the store is down, use only series with recent samples."""
        return self._listed(lambda reader: reader.label_values(name, matchers, start, end), end)

    def metadata(self) -> Mapping[str, Metadata]:
        """Return the metadata of metrics by name. While the store is down, return the metadata that was read before."""
        with suppress(StoreUnavailableError):
            self._metadata = self.inner.metadata()
        return {**self._metadata, **self._unsent_metadata}

    def maintain(self) -> object:
        """Maintain the store, and send metadata that waits. Raise no error if the store is down: see `notices`."""
        with suppress(StoreUnavailableError):
            self._send_metadata()
            return self.inner.maintain()
        return None

    def metrics(self) -> Sequence[Sample]:
        """Return the metrics of the store and of the buffer."""
        found = self._delivery.metrics(_PREFIX, {})
        with suppress(StoreUnavailableError):
            found = [*self.inner.metrics(), *found]
        return found

    def problems(self) -> Sequence[str]:
        """Return a problem if the hub accepts no samples: the store is down, and the buffer cannot be written."""
        if self._delivery.is_empty() or self._delivery.buffer.is_on_disk():
            return ()
        return [*self.inner.problems(), self._full()]

    def notices(self) -> Sequence[str]:
        """Return messages about an outage of the store: its start, the number of waiting samples, and the remedy."""
        state = self._delivery.state()
        if not state.waiting_samples:
            return self.inner.problems()
        waiting = f"{state.waiting_samples} samples wait in {state.waiting_bytes / 2**20:.1f} MiB"
        lost = sum(state.dropped.values())
        loss = f", and {lost} were dropped" if lost else ""
        if not state.failing_since:
            return [f"the store is up again; {waiting}{loss}; the hub writes them now"]
        text = (
            f"the store is down since {utc(state.failing_since)}: {state.error.rstrip('.')}; {waiting} of "
            f"{self._delivery.most_bytes / 2**20:.0f} MiB{loss}; the hub writes them when the store is up again. "
            "Until then, queries return only recent samples. Check the server in --store.url"
        )
        return [text]

    def state(self) -> DeliveryState:
        """Return the state of the buffer."""
        return self._delivery.state()

    def is_drained(self) -> bool:
        """Return whether no samples wait."""
        return self._delivery.is_empty()

    def close(self) -> None:
        """Write waiting samples for at most a few seconds, and close the store. Unwritten samples remain on disk."""
        self._delivery.close()
        self.inner.close()

    def check_recent(self, start: int, error: StoreUnavailableError) -> None:
        """Raise `error` with an explanation if the samples in memory do not cover the time from `start`."""
        begin = self.recent.begin
        if begin is None or start < begin:
            rest = "the hub has no samples in memory"
            if begin is not None:
                rest = f"the hub has only samples since {utc(begin)}. Use a later start, or retry later"
            raise StoreUnavailableError(f"{error} While the store is down, {rest}.")

    def warning(self, error: StoreUnavailableError) -> str:
        """Return the warning for a result from memory."""
        since = utc(self.recent.begin or 0)
        return f"the store is down ({str(error).rstrip('.')}); the result covers only samples since {since}"

    def _append_to_store(self, samples: Samples) -> Appended:
        """Append samples to the store; series that it removed are resolved again."""
        for _ in range(RESOLUTIONS):
            numbers = self._resolved(samples.labels)
            series = numbers[samples.index]
            refused = series < 0
            if bool(refused.any()):
                appended = self.inner.append(Batch(series[~refused], samples.times[~refused], samples.values[~refused]))
                # The store counts refused series. For the writer, they are like series that are gone.
                return spread(appended, refused)
            appended = self.inner.append(Batch(series, samples.times, samples.values))
            if appended.unknown is None or not bool(appended.unknown.any()):
                return appended
            with self._lock:
                self._inner_numbers = {}
        raise SeriesRemovedError

    def _resolved(self, labels: Sequence[Labels]) -> Numbers:
        """Return the store's number of each series."""
        generation = self.inner.generation
        with self._lock:
            if generation != self._inner_generation:
                self._inner_numbers, self._inner_generation = {}, generation
            known = self._inner_numbers
            missing = [one for one in labels if one not in known]
        added = dict(zip(missing, self.inner.resolve(missing).tolist(), strict=True)) if missing else {}
        with self._lock:
            known.update({one: number for one, number in added.items() if number >= 0})
        return np.array([known.get(one, added.get(one, -1)) for one in labels], np.int64)

    def _drain(self, parts: Sequence[Samples]) -> Outcome:
        """Write samples of the buffer to the store."""
        samples = records.merged(parts)
        try:
            appended = self._append_to_store(samples)
        except StoreUnavailableError as error:
            return Outcome(text=str(error), is_retried=True)
        stored = appended.accepted + appended.duplicates
        masks = {
            "the store has a different value at this time": appended.conflicting,
            "the sample is too old": appended.too_old,
            "the sample is too far in the future": appended.too_new,
            "the store rejects the series": appended.unknown,
        }
        reasons = [reason for reason, mask in masks.items() if mask is not None and bool(mask.any())]
        return Outcome(stored, len(samples.times) - stored, text=", ".join(reasons))

    def _buffer(self, samples: Samples) -> None:
        """Write samples to the buffer; raise an error if they are not on disk then."""
        if not self._delivery.is_empty() and not self._delivery.buffer.is_on_disk():
            raise StoreUnavailableError(self._full())
        self._delivery.put(samples)
        if not self._delivery.buffer.is_on_disk() and not self._delivery.is_empty():
            raise StoreUnavailableError(self._full())

    def _full(self) -> str:
        return (
            "the store is down, and its buffer in the data directory cannot be written. "
            "Check the free space and the permissions of --data."
        )

    def _send_metadata(self) -> None:
        with self._lock:
            pending, self._unsent_metadata = self._unsent_metadata, {}
        if not pending:
            return
        try:
            self.inner.set_metadata(pending)
        except StoreUnavailableError:
            with self._lock:
                self._unsent_metadata = {**pending, **self._unsent_metadata}

    def _listed(self, read: Callable[[Reader], Sequence[Labels]] | Callable[[Reader], Sequence[str]], end: int) -> list:  # type: ignore[type-arg] # of labels or texts
        waits = not self._delivery.is_empty()
        try:
            found = list(read(self.inner))
        except StoreUnavailableError as error:
            self.check_recent(end, error)
            return list(read(self.recent))
        return sorted({*found, *read(self.recent)}) if waits else found


class BufferedEngine:
    """A `QueryEngine` that sends queries to the store's server.

    While the server is down, this process evaluates queries over recent samples.
    """

    def __init__(self, engine: QueryEngine, store: BufferedStore) -> None:
        self._engine = engine
        self._store = store
        self._local = Engine(store.limits)

    def instant(self, query: str, at: int, cancellation: Stop, lookback: int = LOOKBACK) -> Result:
        """Evaluate a query at one time. Errors: see `QueryEngine.instant`."""
        try:
            return self._marked(self._engine.instant(query, at, cancellation, lookback))
        except StoreUnavailableError as error:
            self._store.check_recent(at, error)
            recent = self._store.recent
            found = self._local.instant(recent, query, at, lookback=lookback, check=cancellation.check)
            return replace(found, warnings=[*found.warnings, self._store.warning(error)])

    def range(  # noqa: PLR0913, PLR0917 -- the parameters of a range query
        self, query: str, start: int, end: int, step: int, cancellation: Stop, lookback: int = LOOKBACK
    ) -> Result:
        """Evaluate a query at each step from start to end. Errors: see `QueryEngine.instant`."""
        try:
            return self._marked(self._engine.range(query, start, end, step, cancellation, lookback))
        except StoreUnavailableError as error:
            self._store.check_recent(start, error)
            recent = self._store.recent
            found = self._local.range(recent, query, start, end, step, lookback=lookback, check=cancellation.check)
            return replace(found, warnings=[*found.warnings, self._store.warning(error)])

    def _marked(self, result: Result) -> Result:
        """Return a result of the server, with a warning while samples wait in the buffer."""
        if self._store.is_drained():
            return result
        count = self._store.state().waiting_samples
        return replace(result, warnings=[*result.warnings, f"{count} samples wait to be written to the store"])


def _kept(samples: Samples, mask: NDArray[np.bool_]) -> Samples:
    return records.Samples(samples.labels, samples.index[mask], samples.times[mask], samples.values[mask])


def _united(stored: Sequence[Series], recent: Sequence[Series]) -> list[Series]:
    """Return the samples of both; of two with the same time, the stored one counts."""
    by_labels = {one.labels: one for one in stored}
    for one in recent:
        known = by_labels.get(one.labels)
        if known is None:
            by_labels[one.labels] = one
            continue
        new = ~np.isin(one.times, known.times)
        times = np.concatenate((known.times, one.times[new]))
        order = np.argsort(times, kind="stable")
        values = np.concatenate((known.values, one.values[new]))
        by_labels[one.labels] = Series(one.labels, times[order], values[order])
    return list(by_labels.values())
