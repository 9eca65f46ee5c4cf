"""One scrape of the collectors that are switched on.

A collector that raises, hangs, is slow or gives what cannot be written costs its own series and nothing else: it is
counted, timed and named in the log when it starts to fail and when it works again, not at every scrape in between.
Scrapes at the same time are one.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_agent import budget
from metricat_agent.exposition import ENDS, Format, Writer
from metricat_agent.families import Metrics, Sample, counter, gauge
from metricat_agent.flights import Flights
from metricat_agent.lanes import Lanes, Limits, Outcome
from metricat_agent.thrift import FAMILIES as THRIFT
from metricat_agent.thrift import Limits as ThriftLimits
from metricat_agent.thrift import Thrift

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
_GZIP_FORMAT = 16 + zlib.MAX_WBITS


class UnknownCollectorError(Exception):
    """A scrape asked for collectors that are not switched on; holds their names."""


class Page:
    """One scrape as bytes; who shares it shares its compressed form too."""

    def __init__(self, plain: bytes) -> None:
        self.plain = plain
        self._gzipped = b""

    @property
    def gzipped(self) -> bytes:
        """Compressed quickly: the network to Prometheus is near, the node's CPU is not ours."""
        if not self._gzipped:
            compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_FORMAT)
            self._gzipped = compressor.compress(self.plain) + compressor.flush()
        return self._gzipped


@dataclass(slots=True)
class _Written:
    """What a collector gave, as it was written: the same again if it gives the very same object again."""

    metrics: Metrics
    form: Format
    plain: bytes
    found: Metrics
    series: int
    dropped: int


class _Record:
    """What is remembered of one collector from scrape to scrape."""

    def __init__(self) -> None:
        self.errors = 0
        self.dropped = 0
        self.background = 0.0
        self.last_success: float | None = None
        self.why: str | None = None
        self.written: _Written | None = None
        self.writer = Writer()


class Registry:
    """The collectors that are switched on. Threads may scrape it at the same time."""

    def __init__(  # noqa: PLR0913 -- keywords that say what they are
        self,
        collectors: Iterable[Collector],
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
        limits: Limits | None = None,
        series: int = budget.SERIES,
        thrift: ThriftLimits | None = None,
    ) -> None:
        self._collectors = {collector.name: collector for collector in collectors}
        self._clock = clock
        self._series = series
        self._writer = Writer()
        self._writing = threading.Lock()
        self._thrift = Thrift([name for name, one in self._collectors.items() if not one.essential], thrift)
        self._lanes = Lanes(limits, timer)
        self._flights: Flights[Page] = Flights()
        self._records = {name: _Record() for name in self._collectors}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the collectors, in the order of a scrape."""
        return tuple(self._collectors)

    def page(self, form: Format = "text", collect: Collection[str] = (), exclude: Collection[str] = ()) -> Page:
        """Return a scrape, or the one that is being made for another; of the collectors asked for, or of all.

        Raises `UnknownCollectorError`; never for what a collector does.
        """
        if unknown := sorted({*collect, *exclude} - set(self._collectors)):
            raise UnknownCollectorError(", ".join(unknown))
        without = exclude if collect else {*exclude, *self._thrift.shed}
        chosen = tuple(name for name in self._collectors if (not collect or name in collect) and name not in without)
        return self._flights.get((form, chosen), lambda: Page(self._bytes(form, chosen)))

    def scrape(self) -> str:
        """Return a scrape of all collectors as text."""
        return self._bytes("text", self.names).decode()

    def _bytes(self, form: Format, chosen: Iterable[str]) -> bytes:
        outcomes = self._lanes.run([self._collectors[name] for name in chosen])
        with self._writing:
            return self._written(form, chosen, outcomes)

    def _written(self, form: Format, chosen: Iterable[str], outcomes: Mapping[str, Outcome]) -> bytes:
        parts: list[bytes] = []
        own: list[list[Sample]] = [[] for _ in _OF_COLLECTORS]
        taken: Metrics = []
        for name in chosen:
            outcome, record = outcomes[name], self._records[name]
            series, why = 0, outcome.why
            worked = outcome.metrics is not None
            if outcome.metrics is not None:
                try:
                    written = self._rendered(name, outcome.metrics, form, taken)
                    parts.append(written.plain)
                    taken += written.found
                    series = written.series
                    record.dropped += written.dropped
                except Exception as error:  # noqa: BLE001 -- what cannot be written must not cost the others' series
                    worked, series, why = False, 0, f"{type(error).__name__}: {error}"
            self._note(name, record, None if worked else why)
            values = (outcome.seconds, int(worked), record.errors, record.last_success, series, record.dropped or None)
            for samples, value in zip(own, values, strict=True):
                if value is not None:
                    samples.append(((name,), value))
        self._account(outcomes)
        last = [*zip(_OF_COLLECTORS, own, strict=True), *self._thrift.metrics()]
        return b"".join((*parts, self._writer.text(last, form).encode(), ENDS[form].encode()))

    def _account(self, outcomes: Mapping[str, Outcome]) -> None:
        """Charge each collector for the CPU that it used, since the last scrape too; pause those left out for it."""
        spent = {}
        for name, outcome in outcomes.items():
            record, background = self._records[name], self._collectors[name].background_seconds()
            spent[name] = outcome.cpu_seconds + background - record.background
            record.background = background
        before = self._thrift.shed
        self._thrift.note(spent)
        for name in set(self._thrift.shed) - set(before):
            self._collectors[name].pause()

    def _rendered(self, name: str, metrics: Metrics, form: Format, taken: Metrics) -> _Written:
        """Return the metrics as text; those of a foreign collector without the names that are taken."""
        if self._collectors[name].foreign:
            ours = {family.name for family, _ in taken} | _OUR_NAMES
            metrics = [metric for metric in metrics if metric[0].name not in ours]
        record = self._records[name]
        written = record.written
        if written is None or written.metrics is not metrics or written.form != form:
            found, series, dropped = budget.cut(metrics, self._series)
            plain = record.writer.text(found, form).encode()
            written = record.written = _Written(metrics, form, plain, found, series, dropped)
        return written

    def _note(self, name: str, record: _Record, why: str | None) -> None:
        """Count that a collector worked, or why not, and log it if it is news."""
        if why is not None:
            record.errors += 1
            if record.why != why:
                _LOG.warning("collector %s fails: %s", name, why)
            record.why = why
            return
        record.last_success = self._clock()
        if record.why is not None:
            _LOG.warning("collector %s works again", name)
            record.why = None
