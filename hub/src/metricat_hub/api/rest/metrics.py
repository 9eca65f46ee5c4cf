"""Endpoints for the newest values and the history of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from metricat_hub.api.problems import Problem
from metricat_hub.api.prometheus.metadata import rfc3339
from metricat_hub.api.rest import types
from metricat_hub.api.rest.parameters import read_query
from metricat_hub.api.rest.responses import number, paged, respond, split_node
from metricat_hub.api.services import services
from metricat_hub.model.labels import NAME
from metricat_hub.model.measures import BY_NAME, MEASURES
from metricat_hub.model.ports import Matcher
from metricat_hub.use_cases import metric_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.rest.parameters import Query
    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

    Endpoint = Callable[[Request], Awaitable[Response]]

_HOUR = 3_600_000
_STEPS, _MOST_STEPS = 300, 11_000
_PROCESS = ("metricat_process_cpu_ratio", "metricat_process_resident_memory_bytes", "metricat_process_threads")


def _values(own: Services, cancellation: Cancellation, query: Query, names: Sequence[str]) -> list[types.CurrentValue]:
    """Return the newest values of metrics, ordered by metric, node and labels."""
    now = own.now()
    found: list[types.CurrentValue] = []
    for name in names:
        one = metric_names.metric(name, query.matchers(), own.interval)
        result = own.queries.instant(one.expression, now, cancellation)
        entries = [
            types.CurrentValue(name, one.unit, node, node, others, number(value), rfc3339(now))
            for labels, value in zip(result.labels, result.values.tolist(), strict=True)
            for node, others in [split_node(labels)]
        ]
        found += sorted(entries, key=lambda entry: (entry.node, sorted(entry.labels.items())))
    return found


def _known(own: Services, names: Sequence[str]) -> None:
    """Raise a problem for a name that is neither a measure nor the name of stored series."""
    now = own.now()
    for name in names:
        metric_names.metric(name, (), own.interval)
        if name in BY_NAME or own.store.series([[Matcher(NAME, "=", name)]], now - 31 * 24 * _HOUR, now):
            continue
        known = [*BY_NAME, *own.store.label_values(NAME, [], now - _HOUR, now)]
        from difflib import get_close_matches  # noqa: PLC0415 -- needed only for an error

        near = get_close_matches(name, known, 3, 0.6)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise Problem(404, f"no metric has the name {name}; {hint}GET /api/v1/metrics/measures lists the measures")


async def metrics_current(request: Request) -> Response:
    """Return the newest values of metrics, of all measures by default."""
    query = await read_query(request)
    page = query.page()

    def work(own: Services, cancellation: Cancellation) -> types.Current:
        names = query.metrics()
        _known(own, names)
        data, following = paged(_values(own, cancellation, query, names or list(BY_NAME)), page)
        return types.Current(rfc3339(own.now()), data, following)

    return await respond(request, work)


async def query_by_name(request: Request) -> Response:
    """Return the newest values of one metric."""
    query = await read_query(request)
    page, name = query.page(), query.required("metric", "cpu_usage_percent")

    def work(own: Services, cancellation: Cancellation) -> types.Current:
        _known(own, [name])
        data, following = paged(_values(own, cancellation, query, [name]), page)
        return types.Current(rfc3339(own.now()), data, following)

    return await respond(request, work)


def of_category(category: str) -> Endpoint:
    """Return the endpoint for the measures of a category."""
    measures = [measure.name for measure in MEASURES if measure.category == category] or list(_PROCESS)

    async def endpoint(request: Request) -> Response:
        query = await read_query(request)
        page = query.page()

        def work(own: Services, cancellation: Cancellation) -> types.Current:
            data, following = paged(_values(own, cancellation, query, measures), page)
            return types.Current(rfc3339(own.now()), data, following)

        return await respond(request, work)

    endpoint.__name__ = f"metrics_{category}"
    return endpoint


async def metrics_history(request: Request) -> Response:
    """Return the values of one metric over time."""
    query = await read_query(request)
    own = services(request)
    page, name = query.page(), query.required("metric", "cpu_usage_percent")
    end = query.time("end", own.now())
    start = query.time("start", end - _HOUR)
    if start > end:
        raise query.error("start", "it is after the end; swap them")
    step = query.milliseconds("step", max(own.interval, -(-(end - start) // _STEPS // 1000) * 1000))
    aggregation: Any = query.choice("aggregation", metric_names.AGGREGATIONS)
    if (end - start) // step >= _MOST_STEPS:
        raise query.error("step", f"the range has more than {_MOST_STEPS} steps; use a longer step, or a shorter range")

    def work(own: Services, cancellation: Cancellation) -> types.History:
        _known(own, [name])
        metric = metric_names.metric(name, query.matchers(), own.interval)
        expression = metric.aggregated(aggregation, step, own.interval)
        result = own.queries.range(expression, start, end, step, cancellation)
        rows = sorted(
            ((*split_node(one.labels), one.times, one.values) for one in result.series),
            key=lambda row: (row[0], sorted(row[1].items())),
        )
        data, following = paged(rows, page)
        return types.History(
            metric=name,
            unit=metric.unit,
            start=rfc3339(start),
            end=rfc3339(end),
            step_seconds=step / 1000,
            aggregation=aggregation or "last",
            tier=result.tier,
            data=[
                types.HistoryOfSeries(
                    node,
                    node,
                    labels,
                    [(rfc3339(at), number(value)) for at, value in zip(times.tolist(), values.tolist(), strict=True)],
                )
                for node, labels, times, values in data
            ],
            next=following,
            warnings=list(result.warnings),
        )

    return await respond(request, work)


async def measures(request: Request) -> Response:
    """Return all measures with their units and expressions."""

    def work(own: Services, _: Cancellation) -> types.Measures:
        window = metric_names.rate_window(own.interval)
        return types.Measures(
            [
                types.MeasureDescription(one.name, one.title, one.unit, one.category, one.expression(window))
                for one in MEASURES
            ]
        )

    return await respond(request, work)
