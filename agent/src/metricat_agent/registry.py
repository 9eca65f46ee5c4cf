"""One scrape of the collectors that are switched on.

A collector that raises, hangs or is slow costs its own series and nothing else: it is counted, timed and named in the
log when it starts to fail and when it works again, not at every scrape in between. Scrapes at the same time are one.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from typing import TYPE_CHECKING

from metricat_agent import budget
from metricat_agent.exposition import Format, Writer
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

    def __init__(self, text: str) -> None:
        self.plain = text.encode()
        self._gzipped = b""

    @property
    def gzipped(self) -> bytes:
        """Compressed quickly: the network to Prometheus is near, the node's CPU is not ours."""
        if not self._gzipped:
            compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_FORMAT)
            self._gzipped = compressor.compress(self.plain) + compressor.flush()
        return self._gzipped


class _Record:
    """What is remembered of one collector from scrape to scrape."""

    def __init__(self) -> None:
        self.errors = 0
        self.dropped = 0
        self.last_success: float | None = None
        self.why: str | None = None


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
        return self._flights.get((form, chosen), lambda: Page(self._text(form, chosen)))

    def scrape(self) -> str:
        """Return a scrape of all collectors as text."""
        return self._text("text", self.names)

    def _text(self, form: Format, chosen: Iterable[str]) -> str:
        outcomes = self._lanes.run([self._collectors[name] for name in chosen])
        with self._writing:
            return self._written(form, chosen, outcomes)

    def _written(self, form: Format, chosen: Iterable[str], outcomes: Mapping[str, Outcome]) -> str:
        metrics: Metrics = []
        own: list[list[Sample]] = [[] for _ in _OF_COLLECTORS]
        for name in chosen:
            labels = (name,)
            outcome, record = outcomes[name], self._records[name]
            self._note(name, record, outcome)
            offered = outcome.metrics or []
            if self._collectors[name].foreign:
                ours = {family.name for family, _ in metrics} | _OUR_NAMES
                offered = [metric for metric in offered if metric[0].name not in ours]
            found, series, dropped = budget.cut(offered, self._series)
            record.dropped += dropped
            metrics += found
            values = (
                outcome.seconds,
                int(outcome.metrics is not None),
                record.errors,
                record.last_success,
                series,
                record.dropped or None,
            )
            for samples, value in zip(own, values, strict=True):
                if value is not None:
                    samples.append((labels, value))
        self._thrift.note({name: outcome.seconds for name, outcome in outcomes.items()})
        return self._writer.text([*metrics, *zip(_OF_COLLECTORS, own, strict=True), *self._thrift.metrics()], form)

    def _note(self, name: str, record: _Record, outcome: Outcome) -> None:
        """Count an outcome, and log it if it is news."""
        if outcome.metrics is None:
            record.errors += 1
            if record.why != outcome.why:
                _LOG.warning("collector %s fails: %s", name, outcome.why)
            record.why = outcome.why
            return
        record.last_success = self._clock()
        if record.why is not None:
            _LOG.warning("collector %s works again", name)
            record.why = None
