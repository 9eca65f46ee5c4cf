"""The values of one metric over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.model.errors import InvalidParameterError
from metricat_hub.use_cases import metric_names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Reader, Tier
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.query_engine import QueryEngine
    from metricat_hub.use_cases.cancellation import Cancellation
    from metricat_hub.use_cases.metric_names import Aggregation

RANGE = 3_600_000
"""The default time range in milliseconds."""
_STEPS, _MOST_STEPS = 300, 11_000


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """A request for values over time. Times and step are in milliseconds; both ends are inclusive."""

    metric: str
    now: int
    start: int
    end: int
    step: int
    nodes: Sequence[str] = ()
    """Names of nodes; empty: all."""
    device: str = ""
    aggregation: Aggregation = ""
    """How the samples of a step are aggregated to one point; empty: the newest value."""


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """The values of one series over time."""

    node: str
    labels: dict[str, str]
    """The labels without the node and the metric name."""
    times: Times
    values: Values


@dataclass(frozen=True, slots=True)
class History:
    """The result: the series, sorted by node and labels."""

    unit: str
    tier: Tier
    rows: Sequence[HistoryRow]
    warnings: Sequence[str]


def usual_step(start: int, end: int, interval: int) -> int:
    """Return the default step in milliseconds: the range divided by 300, but at least the interval of samples."""
    return max(interval, -(-(end - start) // _STEPS // 1000) * 1000)


def check(request: HistoryRequest) -> None:
    """Raise `InvalidParameterError` for a range or a step that is not valid."""
    if request.start > request.end:
        raise InvalidParameterError("start", "start is after end; set start before end")
    if (request.end - request.start) // request.step >= _MOST_STEPS:
        raise InvalidParameterError(
            "step", f"the range has more than {_MOST_STEPS} steps; use a longer step, or a shorter range"
        )


def history(
    reader: Reader, queries: QueryEngine, request: HistoryRequest, interval: int, cancellation: Cancellation
) -> History:
    """Return the values of a metric over time. `interval` is the usual time between two samples in milliseconds.

    Raises:
        UnknownMetricError: no series has the name.
        HubError: as `QueryEngine.range`.
    """
    metric_names.check_known(reader, [request.metric], request.now)
    chosen = metric_names.matchers(request.nodes, request.device)
    # An aggregation evaluates several rates in each step.
    step = 0 if request.aggregation else request.step
    metric = metric_names.metric(request.metric, chosen, interval, step)
    expression = metric.aggregated(request.aggregation, request.step, interval)
    result = queries.range(expression, request.start, request.end, request.step, cancellation)
    rows = [HistoryRow(*metric_names.split_node(one.labels), one.times, one.values) for one in result.series]
    rows.sort(key=lambda row: (row.node, sorted(row.labels.items())))
    return History(metric.unit, result.tier, rows, result.warnings)
