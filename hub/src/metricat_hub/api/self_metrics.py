"""The hub's own metrics at `/metrics`: requests by handler and status, queries, and counters of other packages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from starlette.responses import Response

from metricat_hub import __version__
from metricat_hub.api.operations import Operation
from metricat_hub.api.services import services

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric
    from starlette.requests import Request

    from metricat_hub.model.self_metrics import Sample

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class SelfMetrics:
    """Counts HTTP requests, and collects all metrics of the hub."""

    def __init__(self, others: Callable[[], Sequence[Sample]] = tuple) -> None:
        """`others` returns the counters of other packages. It must not block."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "metricat_hub_http_requests",
            "HTTP requests by handler and status code.",
            ("handler", "code"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "metricat_hub_http_request_duration_seconds",
            "Time from the head of an HTTP request to the end of its response, in seconds.",
            ("handler",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.queries = Gauge("metricat_hub_queries", "Queries that run or wait for a thread.", registry=self.registry)
        self.tasks = Gauge(
            "metricat_hub_asyncio_tasks",
            "Unfinished asyncio tasks. A number that grows for hours is a leak.",
            registry=self.registry,
        )
        Gauge(
            "metricat_hub_build_info",
            "Version of the hub as a label. The value is always 1.",
            ("version",),
            registry=self.registry,
        ).labels(__version__).set(1)
        self.add(others)

    def add(self, others: Callable[[], Sequence[Sample]]) -> None:
        """Add the metrics of another package. `others` returns them at each scrape, and must not block."""
        self.registry.register(_Others(others))

    def observe(self, handler: str, status: int, seconds: float) -> None:
        """Count a request and its duration in seconds."""
        self._requests.labels(handler, str(status)).inc()
        self._seconds.labels(handler).observe(seconds)


class _Others:
    def __init__(self, read: Callable[[], Sequence[Sample]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Yield the metric families."""
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for one in self._read():
            family = families.get(one.name)
            if family is None:
                kind = CounterMetricFamily if one.is_counter else GaugeMetricFamily
                family = families[one.name] = kind(one.name, one.help, labels=tuple(one.labels))
            family.add_metric(tuple(one.labels.values()), one.value)
        yield from families.values()


async def metrics(request: Request) -> Response:
    """Return the hub's own metrics in Prometheus' text format."""
    own: SelfMetrics = request.app.state.metrics
    own.queries.set(services(request).threads.running)
    own.tasks.set(len(asyncio.all_tasks()))
    return Response(generate_latest(own.registry), media_type="text/plain; version=0.0.4; charset=utf-8")


OPERATIONS = (
    Operation("/metrics", metrics, "Show the hub's own metrics", "Hub", media="text/plain", errors=(), group="scrapes"),
)
