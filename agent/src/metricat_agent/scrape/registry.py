"""One scrape of the collectors that are switched on.

A collector that raises, hangs, is slow or gives what cannot be written costs its own series and nothing else: it is
counted, timed and named in the log when it starts to fail and when it works again, not at every scrape in between.
Scrapes at the same time are one.
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
from metricat_agent.scrape import series_limit
from metricat_agent.scrape.cpu_limiter import FAMILIES as THRIFT
from metricat_agent.scrape.cpu_limiter import Limits as ThriftLimits
from metricat_agent.scrape.cpu_limiter import Thrift
from metricat_agent.scrape.executor import Lanes, Limits, Outcome
from metricat_agent.scrape.single_flight import Flights

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from metricat_agent.collectors import Collector

DURATION = gauge("node_scrape_collector_duration_seconds", "Time that a collector took, in seconds.", "collector")
SUCCESS = gauge("node_scrape_collector_success", "1 if the collector worked at this scrape, else 0.", "collector")
ERRORS = counter("metricat_collector_errors_total", "Scrapes at which a collector failed.", "collector")
LAST_SUCCESS = gauge(
    "metricat_collector_last_success_timestamp_seconds",
    "When a collector last worked, in seconds since 1970 (UTC).",
    "collector",
)
SERIES = gauge("metricat_collector_series", "Series that a collector gave at this scrape.", "collector")
DROPPED = counter(
    "metricat_collector_dropped_series_total",
    "Series left out because a collector had more than its budget, added up over scrapes; absent if it never had.",
    "collector",
)
_OF_COLLECTORS = (DURATION, SUCCESS, ERRORS, LAST_SUCCESS, SERIES, DROPPED)
FAMILIES = (*_OF_COLLECTORS, *THRIFT)

_OUR_NAMES = frozenset(family.name for family in FAMILIES)
_LOG = logging.getLogger(__name__)
_MICROSECOND = 6
"""Digits of a duration: a clock's noise is not worth its bytes."""


class UnknownCollectorError(Exception):
    """A scrape asked for collectors that are not switched on; holds their names."""


class Page:
    """One scrape as bytes; who shares it shares its compressed form too."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self._gzipped = b""

    @property
    def gzipped(self) -> bytes:
        """The same, compressed when somebody asks for it."""
        if not self._gzipped:
            self._gzipped = gzipped(self.plain)
        return self._gzipped


@dataclass(frozen=True, slots=True)
class _Written:
    """What a collector gave, as it was written: the same again if it gives the very same object again."""

    metrics: Metrics
    fmt: Format
    plain: bytes
    found: Metrics
    series: int
    dropped: int


class _Record:
    """One collector, and what is remembered of it from scrape to scrape."""

    def __init__(self, collector: Collector, series: int) -> None:
        self.collector = collector
        self.labels = (collector.name,)
        self.errors = 0
        self.dropped = 0
        self.background = 0.0
        self.last_success: float | None = None
        self.why: str | None = None
        self._series = series
        self._written: _Written | None = None
        self._writer = Writer()

    def collected(self, fmt: Format) -> _Written:
        """Collect and write at once, while all is at hand; what others told is written once it is known who has it."""
        metrics = self.collector.collect()
        if self.collector.foreign:
            return _Written(metrics, fmt, b"", metrics, 0, 0)
        return self.written(metrics, fmt)

    def written(self, metrics: Metrics, fmt: Format) -> _Written:
        """Return the metrics as text, within the budget."""
        written = self._written
        if written is None or written.metrics is not metrics or written.fmt != fmt:
            found, series, dropped = series_limit.cut(metrics, self._series)
            plain = self._writer.text(found, fmt).encode()
            written = self._written = _Written(metrics, fmt, plain, found, series, dropped)
        return written


class Registry:
    """The collectors that are switched on. Threads may scrape it at the same time."""

    def __init__(  # noqa: PLR0913 -- keywords that say what they are
        self,
        collectors: Iterable[Collector],
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
        limits: Limits | None = None,
        series: int = series_limit.SERIES,
        thrift: ThriftLimits | None = None,
    ) -> None:
        self._records = {collector.name: _Record(collector, series) for collector in collectors}
        self._clock = clock
        self._writer = Writer()
        self._writing = threading.Lock()
        self._thrift = Thrift([name for name, one in self._records.items() if not one.collector.essential], thrift)
        self._lanes: Lanes[_Written] = Lanes(limits, timer)
        self._flights: Flights[Page] = Flights()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the collectors, in the order of a scrape."""
        return tuple(self._records)

    def page(self, fmt: Format = "text", collect: Collection[str] = (), exclude: Collection[str] = ()) -> Page:
        """Return a scrape, or the one that is being made for another; of the collectors asked for, or of all.

        Raises `UnknownCollectorError`; never for what a collector does.
        """
        if unknown := sorted({*collect, *exclude} - set(self._records)):
            raise UnknownCollectorError(", ".join(unknown))
        without = exclude if collect else {*exclude, *self._thrift.shed}
        chosen = tuple([name for name in self._records if (not collect or name in collect) and name not in without])
        return self._flights.get((fmt, chosen), lambda: Page(self._bytes(fmt, chosen)))

    def scrape(self) -> str:
        """Return a scrape of all collectors as text."""
        return self._bytes("text", self.names).decode()

    def _bytes(self, fmt: Format, chosen: Iterable[str]) -> bytes:
        outcomes = self._lanes.run({name: partial(self._records[name].collected, fmt) for name in chosen})
        with self._writing:
            return self._together(fmt, chosen, outcomes)

    def _together(self, fmt: Format, chosen: Iterable[str], outcomes: Mapping[str, Outcome[_Written]]) -> bytes:
        parts: list[bytes] = []
        own: list[list[Sample]] = [[] for _ in _OF_COLLECTORS]
        durations, successes, errors, last, counts, dropped = own
        now = int(self._clock())  # whole seconds do for what tells hours from days, and are short
        for name in chosen:
            outcome, record = outcomes[name], self._records[name]
            written, why = outcome.result, outcome.why
            if written is not None and record.collector.foreign:
                try:
                    written = record.written(_foreign(written.metrics, outcomes), fmt)
                except Exception as error:  # noqa: BLE001 -- what cannot be written must not cost the others' series
                    written, why = None, f"{type(error).__name__}: {error}"
            if written is not None:
                parts.append(written.plain)
                record.dropped += written.dropped
            self._note(record, now, None if written is not None else why)
            labels = record.labels
            durations.append((labels, round(outcome.seconds, _MICROSECOND)))
            successes.append((labels, int(written is not None)))
            errors.append((labels, record.errors))
            if record.last_success is not None:
                last.append((labels, record.last_success))
            counts.append((labels, written.series if written is not None else 0))
            if record.dropped:
                dropped.append((labels, record.dropped))
        self._account(outcomes)
        metrics = [*zip(_OF_COLLECTORS, own, strict=True), *self._thrift.metrics()]
        return b"".join((*parts, self._writer.text(metrics, fmt).encode(), TRAILERS[fmt].encode()))

    def _account(self, outcomes: Mapping[str, Outcome[_Written]]) -> None:
        """Charge each collector for the CPU that it used, since the last scrape too; pause those left out for it."""
        spent = {}
        for name, outcome in outcomes.items():
            record = self._records[name]
            background = record.collector.background_seconds()
            spent[name] = outcome.cpu_seconds + background - record.background
            record.background = background
        before = self._thrift.shed
        self._thrift.note(spent)
        for name in set(self._thrift.shed) - set(before):
            self._records[name].collector.pause()

    def _note(self, record: _Record, now: float, why: str | None) -> None:
        """Count that a collector worked, or why not, and log it if it is news."""
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


def _foreign(metrics: Metrics, outcomes: Mapping[str, Outcome[_Written]]) -> Metrics:
    """Return the metrics of others without the names that are ours."""
    ours = set(_OUR_NAMES)
    for outcome in outcomes.values():
        if outcome.result is not None and outcome.result.metrics is not metrics:
            ours.update(family.name for family, _ in outcome.result.found)
    return [metric for metric in metrics if metric[0].name not in ours]
