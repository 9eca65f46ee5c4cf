"""Which collectors there are, and one scrape of all of them.

A collector that raises costs its own series of this scrape and nothing else: it is counted, timed and named in the log
when it starts to fail and when it works again, not at every scrape in between.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from metricat_agent.collectors.agent import Agent
from metricat_agent.collectors.cpu import Cpu
from metricat_agent.collectors.diskstats import Disks
from metricat_agent.collectors.filefd import FileDescriptors
from metricat_agent.collectors.filesystem import FileSystems
from metricat_agent.collectors.loadavg import LoadAverage
from metricat_agent.collectors.meminfo import Memory
from metricat_agent.collectors.netclass import NetworkClass
from metricat_agent.collectors.netdev import NetworkDevices
from metricat_agent.collectors.stat import Stat
from metricat_agent.collectors.time import Time
from metricat_agent.collectors.uname import Uname
from metricat_agent.exposition import Writer
from metricat_agent.families import Metrics, Sample, counter, gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from metricat_agent.collectors import Collector

COLLECTORS: dict[str, type[Collector]] = {
    collector.name: collector
    for collector in (
        Agent,
        Cpu,
        Disks,
        FileDescriptors,
        FileSystems,
        LoadAverage,
        Memory,
        NetworkClass,
        NetworkDevices,
        Stat,
        Time,
        Uname,
    )
}
"""Every collector there is; nothing is found by looking around."""

DURATION = gauge("node_scrape_collector_duration_seconds", "Time that a collector took, in seconds.", "collector")
SUCCESS = gauge("node_scrape_collector_success", "1 if the collector worked at this scrape, else 0.", "collector")
ERRORS = counter("metricat_collector_errors_total", "Scrapes at which a collector failed.", "collector")
LAST_SUCCESS = gauge(
    "metricat_collector_last_success_timestamp_seconds",
    "When a collector last worked, in seconds since 1970 (UTC).",
    "collector",
)
SERIES = gauge("metricat_collector_series", "Series that a collector gave at this scrape.", "collector")
FAMILIES = (DURATION, SUCCESS, ERRORS, LAST_SUCCESS, SERIES)

_LOG = logging.getLogger(__name__)


class Registry:
    """The collectors that are switched on. Threads may scrape it at the same time."""

    def __init__(
        self,
        collectors: Iterable[Collector],
        clock: Callable[[], float] = time.time,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._collectors = tuple(collectors)
        self._clock = clock
        self._timer = timer
        self._writer = Writer()
        self._lock = threading.Lock()
        self._errors = {collector.name: 0 for collector in self._collectors}
        self._last_success: dict[str, float] = {}
        self._failing: dict[str, str] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the collectors, in the order of a scrape."""
        return tuple(collector.name for collector in self._collectors)

    def scrape(self) -> str:
        """Return one scrape as text. Never raises for what a collector does."""
        metrics: Metrics = []
        durations: list[Sample] = []
        successes: list[Sample] = []
        series: list[Sample] = []
        for collector in self._collectors:
            labels = (collector.name,)
            started = self._timer()
            found = self._collect(collector)
            durations.append((labels, self._timer() - started))
            successes.append((labels, int(found is not None)))
            series.append((labels, sum(len(samples) for _, samples in found or ())))
            metrics += found or ()
        with self._lock:
            errors: list[Sample] = [((name,), count) for name, count in self._errors.items()]
            worked: list[Sample] = [((name,), when) for name, when in self._last_success.items()]
        own = zip(FAMILIES, (durations, successes, errors, worked, series), strict=True)
        return self._writer.text([*metrics, *own])

    def _collect(self, collector: Collector) -> Metrics | None:
        """Return what a collector finds, or None if it raises."""
        try:
            found = collector.collect()
        except Exception as error:  # noqa: BLE001 -- the boundary: one collector's bug must not cost the others' series
            self._failed(collector.name, f"{type(error).__name__}: {error}")
            return None
        self._worked(collector.name)
        return found

    def _failed(self, name: str, why: str) -> None:
        with self._lock:
            self._errors[name] += 1
            news = self._failing.get(name) != why
            self._failing[name] = why
        if news:
            _LOG.warning("collector %s fails: %s", name, why)

    def _worked(self, name: str) -> None:
        with self._lock:
            self._last_success[name] = self._clock()
            recovered = self._failing.pop(name, None)
        if recovered is not None:
            _LOG.warning("collector %s works again", name)
