"""What the operator counts about its own work, for Prometheus. Nothing here serves it."""

from collections.abc import Callable, Iterable, Iterator
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
            "How long a reconcile of one target took; its count is the number of reconciles.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.errors = Counter(
            "metricat_reconcile_errors",
            "Reconciles that failed and are tried again, by the reason that the API server gave, or the error's name.",
            ["reason"],
            registry=self.registry,
        )
        self._requests = Counter(
            "metricat_api_requests",
            "Answers of the API server by verb and HTTP status, `none` where none came; without kopf's own requests.",
            ["verb", "code"],
            registry=self.registry,
        )

    def asked(self, verb: str, status: int) -> None:
        """Count a request to the API server; status 0 stands for no answer."""
        self._requests.labels(verb, str(status) if status else "none").inc()

    def read(self, families: Callable[[], Iterable[Metric]]) -> None:
        """Have these families read at each scrape."""
        self.registry.register(_Read(families))


@dataclass(eq=False)  # the registry keeps it in a dict
class _Read(Collector):
    families: Callable[[], Iterable[Metric]]

    def collect(self) -> Iterator[Metric]:
        yield from self.families()

    def describe(self) -> list[Metric]:
        return []  # or the registry would read them to learn their names, before there is anything to read


def leader(leads: bool) -> Iterator[Metric]:  # noqa: FBT001 (the value of the metric)
    """Which replica writes."""
    yield GaugeMetricFamily("metricat_leader", "Whether this replica holds the Lease, and so writes.", value=leads)


def queue_depth(overdue: int) -> Iterator[Metric]:
    """How many targets wait."""
    yield GaugeMetricFamily(
        "metricat_queue_depth", "Targets that are due to be reconciled and wait for a worker.", value=overdue
    )


def watch_ages(now: float, heard: Iterable[tuple[str, float]]) -> Iterator[Metric]:
    """How long each watch has been silent, by the kind that it watches; of several, the most silent one."""
    family = GaugeMetricFamily(
        "metricat_watch_age_seconds",
        "Time since the watch of this kind last heard from the API server, which sends a bookmark every minute.",
        labels=["kind"],
    )
    oldest: dict[str, float] = {}
    for kind, when in heard:
        oldest[kind] = min(when, oldest.get(kind, when))
    for kind, when in sorted(oldest.items()):
        family.add_metric([kind], now - when)
    yield family
