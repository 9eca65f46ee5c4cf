"""One scrape of the enabled collectors.

A collector that raises, hangs, is slow or returns invalid metrics loses its own series only. The registry counts its
failures. The registry logs when a collector starts to fail, fails for another reason, or works again. At most scrapes,
it skips the collectors that found nothing. Concurrent scrapes of the same collectors in the same format share one
result.
"""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, Protocol

from metricat_agent.collectors import Collector
from metricat_agent.exposition.compression import gzipped
from metricat_agent.exposition.writer import CONTENT_TYPES, NO_NAMES, TRAILERS, Writer
from metricat_agent.host.skips import EXPECTED
from metricat_agent.scrape import collector_metrics, cpu_limiter
from metricat_agent.scrape.cpu_limiter import CpuLimiter, CpuLimits
from metricat_agent.scrape.empty_collectors import EmptyCollectors
from metricat_agent.scrape.executor import CollectorExecutor, ExecutorLimits, Outcome
from metricat_agent.scrape.page_names import PageNames
from metricat_agent.scrape.series_limit import DEFAULT_LIMIT, limit_series
from metricat_agent.scrape.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from metricat_agent.exposition.layout import Format, Layout
    from metricat_agent.exposition.model import Family, Metrics
    from metricat_agent.scrape.page_names import Sources

FAMILIES = (*collector_metrics.FAMILIES, *cpu_limiter.FAMILIES)


class OwnMetrics(Protocol):
    """Metrics of a part of the agent that is not a collector."""

    @property
    def families(self) -> Sequence[Family]:
        """All families that the metrics may have."""

    def metrics(self) -> Metrics:
        """Return the current metrics."""


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


class _Written(NamedTuple):
    """The text of a collector's metrics, kept for the next scrape that returns the very same object."""

    metrics: Metrics
    fmt: Format
    taken: frozenset[str]
    plain: bytes
    layout: Layout | None
    """Of the metrics within the limit of series; None until they are written."""
    dropped: int


class _Record:
    """One collector, and its state from scrape to scrape."""

    def __init__(self, collector: Collector, series_limit: int) -> None:
        self.collector = collector
        self.state = collector_metrics.CollectorState(collector.name)
        self.background = 0.0
        self.has_skips = False
        """Whether the last scrape left out a part for a reason that a healthy node does not have."""
        self._series_limit = None if collector.essential or collector.per_cpu else series_limit
        self._written: _Written | None = None
        self._writer = Writer()
        self._conflict_writer = Writer()

    def collected(self, fmt: Format) -> _Written:
        """Collect the metrics and write their text immediately, while the data is in the CPU's cache.

        The registry writes the metrics of a collector that yields to others after all others have returned.
        """
        self.has_skips = False
        try:
            metrics = self.collector.collect()
        except FileNotFoundError:
            if self.collector.essential:
                raise
            metrics = []  # the kernel or the hardware has no such file
        finally:
            if found := self.collector.host.skips.take():
                self.has_skips = not all(reason in EXPECTED for reason, _ in found)
                self.state.record_skips(found)
        if self.collector.yields_to_others:
            return _Written(metrics, fmt, NO_NAMES, b"", None, 0)
        return self.written(metrics, fmt, NO_NAMES)

    def is_empty(self, written: _Written | None) -> bool:
        """Return whether the collector found nothing on the host, without an error."""
        if written is None or self.has_skips or self.collector.yields_to_others:
            return False
        return written.layout is None or not (written.layout.series or written.layout.duplicates)

    def written(self, metrics: Metrics, fmt: Format, taken: frozenset[str]) -> _Written:
        """Return the metrics as text, within the limit of series and without the names that are taken."""
        written = self._written
        if written is None or written.metrics is not metrics or written.fmt != fmt or written.taken != taken:
            written = self._written = self._write(self._writer, metrics, fmt, taken)
        return written

    def rewritten(self, metrics: Metrics, fmt: Format, taken: frozenset[str]) -> _Written:
        """Return the same text as `written`, while another scrape may run the collector and write its metrics."""
        return self._write(self._conflict_writer, metrics, fmt, taken)

    def _write(self, writer: Writer, metrics: Metrics, fmt: Format, taken: frozenset[str]) -> _Written:
        kept, _, dropped = limit_series(metrics, self._series_limit)
        text, layout = writer.write(kept, fmt, taken)
        return _Written(metrics, fmt, taken, text.encode(), layout, dropped)

    def record(self, now: int, seconds: float, written: _Written | None, why: str | None) -> None:
        """Record the collector's outcome, and the series that the response lacks."""
        layout = written.layout if written is not None else None
        if written is None or layout is None:
            self.state.record(now, seconds, 0, why)
            return
        if written.dropped or self.state.dropped:
            self.state.record_dropped(written.dropped, layout.series)
        if layout.duplicates:
            self.state.record_duplicates(layout.duplicates)
        self.state.record(now, seconds, layout.series, None)


class Registry:
    """Runs the enabled collectors and returns their metrics as text. Thread-safe."""

    def __init__(  # noqa: PLR0913 -- keywords with their own names
        self,
        collectors: Iterable[Collector],
        *,
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
        limits: ExecutorLimits | None = None,
        series_limit: int = DEFAULT_LIMIT,
        cpu_limits: CpuLimits | None = None,
        detailed: bool = False,
        uevents: Callable[[], bytes | None] = lambda: None,
        own: OwnMetrics | None = None,
    ) -> None:
        """`detailed` adds all metrics about the collectors.

        `uevents` returns the kernel's count of device events: see `EmptyCollectors`. `own` are further metrics of the
        agent itself.
        """
        self._records = {collector.name: _Record(collector, series_limit) for collector in collectors}
        self.names = tuple(self._records)
        """The names of the collectors, in the order of a scrape."""
        self._jobs = {
            fmt: {name: partial(record.collected, fmt) for name, record in self._records.items()}
            for fmt in CONTENT_TYPES
        }
        self._with_background = {
            name
            for name, record in self._records.items()
            if type(record.collector).background_seconds is not Collector.background_seconds
        }
        self._clock = clock
        self._detailed = detailed
        self._empty = EmptyCollectors(uevents)
        self._writer = Writer()
        self._writing = threading.Lock()
        self._own = own
        self._page_names = PageNames(FAMILIES if own is None else (*FAMILIES, *own.families))
        optional = [name for name, record in self._records.items() if not record.collector.essential]
        self._cpu_limiter = CpuLimiter(optional, cpu_limits)
        self._executor: CollectorExecutor[_Written] = CollectorExecutor(limits, timer)
        self._single_flight: SingleFlight[ScrapeResult] = SingleFlight()

    def page(self, fmt: Format = "text", collect: Collection[str] = (), exclude: Collection[str] = ()) -> ScrapeResult:
        """Return a scrape of the selected collectors, by default all that are not paused.

        If an equal scrape (the same format and collectors) is running, wait for it and return its result.
        Raises `UnknownCollectorError`. A failing collector never raises.
        """
        if unknown := sorted({*collect, *exclude} - self._records.keys()):
            raise UnknownCollectorError(", ".join(unknown))
        selected, paused = self.names, self._cpu_limiter.paused
        if collect:
            selected = tuple([name for name in selected if name in collect and name not in exclude])
        elif exclude or paused:
            selected = tuple([name for name in selected if name not in exclude and name not in paused])
        return self._single_flight.get(
            (fmt, selected, bool(collect)), lambda: ScrapeResult(self._bytes(fmt, selected, by_name=bool(collect)))
        )

    def scrape(self) -> str:
        """Return a scrape of all collectors as text."""
        return self._bytes("text", self.names, by_name=False).decode()

    def _bytes(self, fmt: Format, selected: Collection[str], *, by_name: bool) -> bytes:
        """Return a scrape; ``by_name`` is whether the request names the collectors."""
        to_run, token = self._empty.begin(selected, skips=not by_name)
        jobs, measures_cpu = self._jobs[fmt], self._cpu_limiter.needs_costs
        outcomes = self._executor.run({name: jobs[name] for name in to_run}, measures_cpu=measures_cpu)
        with self._writing:
            parts = self._record_outcomes(fmt, to_run, outcomes, token)
            self._record_cpu(outcomes, is_measured=measures_cpu)
            states = [self._records[name].state for name in selected]
            own = collector_metrics.collector_metrics(states, shows_all=by_name, detailed=self._detailed)
            own += self._cpu_limiter.metrics()
            if self._own is not None:
                own += self._own.metrics()
            return b"".join((*parts, self._writer.text(own, fmt).encode(), TRAILERS[fmt].encode()))

    def _record_outcomes(
        self, fmt: Format, selected: Iterable[str], outcomes: Mapping[str, Outcome[_Written]], token: bytes | None
    ) -> list[bytes]:
        """Record what the collectors returned; return their text."""
        parts: list[bytes] = []
        found: list[str] = []
        empty: list[str] = []
        now = int(self._clock())  # whole seconds are exact enough for an age of hours, and shorter
        conflicts, taken = self._page_names.check(_sources(selected, outcomes))
        for name in selected:
            outcome, record = outcomes[name], self._records[name]
            written, why = outcome.result, outcome.why
            if written is not None and written.layout is None:
                try:
                    written = record.written(written.metrics, fmt, taken)
                except Exception as error:  # noqa: BLE001 -- invalid metrics must not cost the others' series
                    written, why = None, f"{type(error).__name__}: {error}"
            elif written is not None and name in conflicts:
                written = record.rewritten(written.metrics, fmt, conflicts[name])
            if written is not None:
                parts.append(written.plain)
            record.record(now, outcome.seconds, written, why)
            (empty if record.is_empty(written) else found).append(name)
        self._empty.record(found, empty, token)
        return parts

    def _record_cpu(self, outcomes: Mapping[str, Outcome[_Written]], *, is_measured: bool) -> None:
        """Record the CPU time of each collector, in and between scrapes; suspend the collectors that are paused now."""
        spent = {name: outcome.cpu_seconds for name, outcome in outcomes.items()} if is_measured else {}
        for name in self._with_background.intersection(outcomes):
            record = self._records[name]
            background = record.collector.background_seconds()
            spent[name] = spent.get(name, 0) + background - record.background
            record.background = background
        paused_before = self._cpu_limiter.paused
        self._cpu_limiter.record(spent)
        if self._cpu_limiter.paused != paused_before:
            for name in set(self._cpu_limiter.paused) - set(paused_before):
                self._records[name].collector.suspend()


def _sources(selected: Iterable[str], outcomes: Mapping[str, Outcome[_Written]]) -> Sources:
    """Return the names on the page of each collector that does not yield to others."""
    found: list[tuple[str, frozenset[str]]] = []
    for name in selected:
        written = outcomes[name].result
        if written is not None and written.layout is not None and written.layout.names:
            found.append((name, written.layout.names))
    return tuple(found)
