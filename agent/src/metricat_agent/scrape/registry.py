"""One scrape of the enabled collectors.

A collector that raises, hangs, is slow or returns invalid metrics loses its own series only. The registry counts and
times its failures. The registry logs when a collector starts to fail and when it works again, not every failed scrape.
Concurrent scrapes of the same collectors in the same format share one result.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from metricat_agent.exposition.compression import gzipped
from metricat_agent.exposition.model import Metrics, Sample, counter, gauge
from metricat_agent.exposition.writer import TRAILERS, Format, Writer
from metricat_agent.host.skips import EXPECTED
from metricat_agent.scrape import cpu_limiter
from metricat_agent.scrape.cpu_limiter import CpuLimiter, CpuLimits
from metricat_agent.scrape.executor import CollectorExecutor, ExecutorLimits, Outcome
from metricat_agent.scrape.series_limit import DEFAULT_LIMIT, limit_series
from metricat_agent.scrape.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from metricat_agent.collectors import Collector

DURATION = gauge("node_scrape_collector_duration_seconds", "Duration of a collector's scrape, in seconds.", "collector")
SUCCESS = gauge("node_scrape_collector_success", "1 if the collector succeeded, 0 if it failed.", "collector")
ERRORS = counter("metricat_collector_errors_total", "Number of scrapes at which a collector failed.", "collector")
LAST_SUCCESS = gauge(
    "metricat_collector_last_success_timestamp_seconds",
    "Time of a collector's last success, in seconds since 1970 (UTC).",
    "collector",
)
SERIES = gauge("metricat_collector_series", "Number of series that a collector exposed at this scrape.", "collector")
DROPPED = counter(
    "metricat_collector_dropped_series_total",
    "Series dropped because a collector exceeded --collector.series-limit, summed over scrapes; absent if none was.",
    "collector",
)
SKIPPED = counter(
    "metricat_collector_skipped_total",
    "Files and other parts of the host that a collector left out, by reason, summed over scrapes; absent if none was.",
    "collector",
    "reason",
)
_COLLECTOR_FAMILIES = (DURATION, SUCCESS, ERRORS, LAST_SUCCESS, SERIES, DROPPED, SKIPPED)
FAMILIES = (*_COLLECTOR_FAMILIES, *cpu_limiter.FAMILIES)

_OUR_NAMES = frozenset(family.name for family in FAMILIES)
_LOG = logging.getLogger(__name__)
_NAMED_AT_ONCE = 5
_MOST_NAMED = 200
"""Upper bound of parts left out by a collector that the log names."""
_MICROSECOND = 6
"""Digits of a duration after the point: more would be noise of the clock."""


class UnknownCollectorError(Exception):
    """The request names collectors that are not enabled; the message holds their names."""


class ScrapeResult:
    """One scrape as bytes. Requests that share it also share its compressed form."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self._gzipped = b""

    @property
    def gzipped(self) -> bytes:
        """The same bytes, compressed at the first use."""
        if not self._gzipped:
            self._gzipped = gzipped(self.plain)
        return self._gzipped


@dataclass(frozen=True, slots=True)
class _Written:
    """The text of a collector's metrics, kept for the next scrape that returns the very same object."""

    metrics: Metrics
    fmt: Format
    plain: bytes
    kept: Metrics
    """The metrics within the limit of series."""
    series: int
    dropped: int


class _Record:
    """One collector, and its state from scrape to scrape."""

    def __init__(self, collector: Collector, series_limit: int) -> None:
        self.collector = collector
        self.labels = (collector.name,)
        self.errors = 0
        self.dropped = 0
        self.background = 0.0
        self.skipped: dict[str, int] = {}
        """Number of parts left out so far, by reason."""
        self._skipped_parts: set[tuple[str, str]] = set()
        self.last_success: float | None = None
        self.why: str | None = None
        self._series_limit = series_limit
        self._written: _Written | None = None
        self._writer = Writer()

    def collected(self, fmt: Format) -> _Written:
        """Collect and write in one go, while the data is in the CPU's cache.

        The registry writes the metrics of a collector that yields to others after all others have returned.
        """
        try:
            metrics = self.collector.collect()
        finally:
            if found := self.collector.host.skips.take():
                self._record_skips(found)
        if self.collector.yields_to_others:
            return _Written(metrics, fmt, b"", metrics, 0, 0)
        return self.written(metrics, fmt)

    def _record_skips(self, found: Mapping[tuple[str, str], str]) -> None:
        """Count the parts that the collector left out. Log the first parts that were not left out before."""
        skipped = dict(self.skipped)
        for reason, _ in found:
            skipped[reason] = skipped.get(reason, 0) + 1
        self.skipped = skipped  # a scrape that does not wait for this collector reads it at the same time
        new = [key for key in found if key not in self._skipped_parts]
        if not new or len(self._skipped_parts) >= _MOST_NAMED:
            return
        self._skipped_parts.update(new)
        for reason in {reason for reason, _ in new}:
            named = [f"{part} ({found[reason, part]})" for why, part in new if why == reason]
            more = f" and {len(named) - _NAMED_AT_ONCE} more" if len(named) > _NAMED_AT_ONCE else ""
            level = logging.DEBUG if reason in EXPECTED else logging.WARNING
            _LOG.log(
                *(level, "collector %s leaves out, because of %s: %s%s"),
                *(self.collector.name, reason, ", ".join(named[:_NAMED_AT_ONCE]), more),
            )

    def written(self, metrics: Metrics, fmt: Format) -> _Written:
        """Return the metrics as text, within the limit of series."""
        written = self._written
        if written is None or written.metrics is not metrics or written.fmt != fmt:
            kept, series, dropped = limit_series(metrics, self._series_limit)
            plain = self._writer.text(kept, fmt).encode()
            written = self._written = _Written(metrics, fmt, plain, kept, series, dropped)
        return written


class Registry:
    """The enabled collectors. Thread-safe."""

    def __init__(  # noqa: PLR0913 -- keywords with their own names
        self,
        collectors: Iterable[Collector],
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
        limits: ExecutorLimits | None = None,
        series_limit: int = DEFAULT_LIMIT,
        cpu_limits: CpuLimits | None = None,
    ) -> None:
        self._records = {collector.name: _Record(collector, series_limit) for collector in collectors}
        self._clock = clock
        self._writer = Writer()
        self._writing = threading.Lock()
        optional = [name for name, record in self._records.items() if not record.collector.essential]
        self._cpu_limiter = CpuLimiter(optional, cpu_limits)
        self._executor: CollectorExecutor[_Written] = CollectorExecutor(limits, timer)
        self._single_flight: SingleFlight[ScrapeResult] = SingleFlight()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the collectors, in the order of a scrape."""
        return tuple(self._records)

    def page(self, fmt: Format = "text", collect: Collection[str] = (), exclude: Collection[str] = ()) -> ScrapeResult:
        """Return a scrape of the selected collectors, by default all that are not paused; share one that is running.

        Raises `UnknownCollectorError`. A failing collector never raises.
        """
        if unknown := sorted({*collect, *exclude} - set(self._records)):
            raise UnknownCollectorError(", ".join(unknown))
        without = exclude if collect else {*exclude, *self._cpu_limiter.paused}
        selected = tuple([name for name in self._records if (not collect or name in collect) and name not in without])
        return self._single_flight.get((fmt, selected), lambda: ScrapeResult(self._bytes(fmt, selected)))

    def scrape(self) -> str:
        """Return a scrape of all collectors as text."""
        return self._bytes("text", self.names).decode()

    def _bytes(self, fmt: Format, selected: Iterable[str]) -> bytes:
        outcomes = self._executor.run({name: partial(self._records[name].collected, fmt) for name in selected})
        with self._writing:
            return self._assemble(fmt, selected, outcomes)

    def _assemble(self, fmt: Format, selected: Iterable[str], outcomes: Mapping[str, Outcome[_Written]]) -> bytes:
        parts: list[bytes] = []
        own: list[list[Sample]] = [[] for _ in _COLLECTOR_FAMILIES]
        durations, successes, errors, last, counts, dropped, skipped = own
        now = int(self._clock())  # whole seconds are exact enough for an age of hours, and shorter
        for name in selected:
            outcome, record = outcomes[name], self._records[name]
            written, why = outcome.result, outcome.why
            if written is not None and record.collector.yields_to_others:
                try:
                    written = record.written(_without_taken_names(written.metrics, outcomes), fmt)
                except Exception as error:  # noqa: BLE001 -- invalid metrics must not cost the others' series
                    written, why = None, f"{type(error).__name__}: {error}"
            if written is not None:
                parts.append(written.plain)
                record.dropped += written.dropped
            self._record_outcome(record, now, None if written is not None else why)
            labels = record.labels
            durations.append((labels, round(outcome.seconds, _MICROSECOND)))
            successes.append((labels, int(written is not None)))
            errors.append((labels, record.errors))
            if record.last_success is not None:
                last.append((labels, record.last_success))
            counts.append((labels, written.series if written is not None else 0))
            if record.dropped:
                dropped.append((labels, record.dropped))
            if record.skipped:
                skipped += [((name, reason), number) for reason, number in record.skipped.items()]
        self._record_cpu(outcomes)
        metrics = [*zip(_COLLECTOR_FAMILIES, own, strict=True), *self._cpu_limiter.metrics()]
        return b"".join((*parts, self._writer.text(metrics, fmt).encode(), TRAILERS[fmt].encode()))

    def _record_cpu(self, outcomes: Mapping[str, Outcome[_Written]]) -> None:
        """Record the CPU time of each collector, also between scrapes; suspend the collectors that are paused now."""
        spent = {}
        for name, outcome in outcomes.items():
            record = self._records[name]
            background = record.collector.background_seconds()
            spent[name] = outcome.cpu_seconds + background - record.background
            record.background = background
        paused_before = self._cpu_limiter.paused
        self._cpu_limiter.record(spent)
        for name in set(self._cpu_limiter.paused) - set(paused_before):
            self._records[name].collector.suspend()

    def _record_outcome(self, record: _Record, now: float, why: str | None) -> None:
        """Record success, or the reason of a failure; log a change."""
        name = record.collector.name
        if why is not None:
            record.errors += 1
            if record.why != why:
                _LOG.warning("collector %s fails: %s", name, why)
            record.why = why
            return
        record.last_success = now
        if record.why is not None:
            _LOG.warning("collector %s works again", name)
            record.why = None


def _without_taken_names(metrics: Metrics, outcomes: Mapping[str, Outcome[_Written]]) -> Metrics:
    """Return the metrics without the families that the registry or another collector exposes."""
    taken = set(_OUR_NAMES)
    for outcome in outcomes.values():
        if outcome.result is not None and outcome.result.metrics is not metrics:
            taken.update(family.name for family, _ in outcome.result.kept)
    return [metric for metric in metrics if metric[0].name not in taken]
