"""Metrics of the operator's own work: reconciles, API requests, the work queue and watches."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class OperatorMetrics:
    """The operator's own metrics; one per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.duration = Histogram(
            "metricat_reconcile_duration_seconds",
            "Duration of a reconcile of one target, in seconds.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.errors = Counter(
            "metricat_reconcile_errors",
            "Failed reconciles, which are retried, by the reason of the API server or the name of the error.",
            ["reason"],
            registry=self.registry,
        )
        self._requests = Counter(
            "metricat_rest_client_requests",
            "Requests to the API server by verb and HTTP status (`none` without a response), without those of kopf.",
            ["verb", "code"],
            registry=self.registry,
        )

    def count_request(self, verb: str, status: int) -> None:
        """Count a request to the API server; status 0 means no response."""
        self._requests.labels(verb, str(status) if status else "none").inc()

    def collect_families(self, families: Callable[[], Iterable[Metric]]) -> None:
        """Collect these families at each scrape."""
        self.registry.register(_FamiliesCollector(families))


@dataclass(eq=False)  # hashable, as the registry requires
class _FamiliesCollector(Collector):
    families: Callable[[], Iterable[Metric]]

    def collect(self) -> Iterator[Metric]:
        yield from self.families()

    def describe(self) -> list[Metric]:
        return []  # otherwise the registry collects them at registration, before any value exists


def leader(leads: bool) -> Iterator[Metric]:  # noqa: FBT001 (the value of the metric)
    """Yield the metric that is 1 if this replica is the leader, otherwise 0."""
    yield GaugeMetricFamily(
        "metricat_leader", "1 if this replica holds the Lease and writes, otherwise 0.", value=leads
    )


def workqueue_depth(overdue: int) -> Iterator[Metric]:
    """Yield the metric of the number of targets that wait for a worker."""
    yield GaugeMetricFamily(
        "metricat_workqueue_depth", "Targets that are due for a reconcile and wait for a worker.", value=overdue
    )


def asyncio_tasks(count: int) -> Iterator[Metric]:
    """Yield the metric of the number of asyncio tasks."""
    yield GaugeMetricFamily(
        "metricat_asyncio_tasks", "Unfinished asyncio tasks; a number that grows for hours is a leak.", value=count
    )


def open_watches(counts: Mapping[str, int]) -> Iterator[Metric]:
    """Yield the metric of the number of open watches of each kind."""
    family = GaugeMetricFamily(
        "metricat_watches",
        "Open watches of this kind, without those of kopf: one, or one for each watched namespace.",
        labels=["kind"],
    )
    for kind, count in sorted(counts.items()):
        family.add_metric([kind], count)
    yield family


def watch_activity_ages(now: float, last_activity: Iterable[tuple[str, float]]) -> Iterator[Metric]:
    """Yield the metric of the time since each kind's watch was last active; of several watches, the longest."""
    family = GaugeMetricFamily(
        "metricat_watch_last_activity_age_seconds",
        "Time since the watch of this kind last received data; the API server sends a bookmark every minute.",
        labels=["kind"],
    )
    oldest: dict[str, float] = {}
    for kind, when in last_activity:
        oldest[kind] = min(when, oldest.get(kind, when))
    for kind, when in sorted(oldest.items()):
        family.add_metric([kind], now - when)
    yield family
