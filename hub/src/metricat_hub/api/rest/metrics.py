"""Endpoints for the newest values and the history of metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from metricat_hub.api.rest import types
from metricat_hub.api.rest.parameters import read_query
from metricat_hub.api.rest.responses import number, paged, respond
from metricat_hub.api.services import services
from metricat_hub.model.measures import BY_NAME, MEASURES
from metricat_hub.model.times import rfc3339
from metricat_hub.use_cases import history as histories
from metricat_hub.use_cases import metric_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.rest.parameters import Query
    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

    Endpoint = Callable[[Request], Awaitable[Response]]

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
            for node, others in [metric_names.split_node(labels)]
        ]
        found += sorted(entries, key=lambda entry: (entry.node, sorted(entry.labels.items())))
    return found


async def metrics_current(request: Request) -> Response:
    """Return the newest values of metrics, by default of all measures."""
    query = await read_query(request)
    page = query.page()

    def work(own: Services, cancellation: Cancellation) -> types.Current:
        names = query.metrics()
        metric_names.check_known(own.store, names, own.now())
        data, following = paged(_values(own, cancellation, query, names or list(BY_NAME)), page)
        return types.Current(rfc3339(own.now()), data, following)

    return await respond(request, work, query.window())


async def query_by_name(request: Request) -> Response:
    """Return the newest values of one metric."""
    query = await read_query(request)
    page, name = query.page(), query.required("metric", "cpu_usage_percent")

    def work(own: Services, cancellation: Cancellation) -> types.Current:
        metric_names.check_known(own.store, [name], own.now())
        data, following = paged(_values(own, cancellation, query, [name]), page)
        return types.Current(rfc3339(own.now()), data, following)

    return await respond(request, work, query.window())


def of_category(category: str) -> Endpoint:
    """Return an endpoint for the newest values of the measures of a category; `process`: of metrics about processes."""
    measures = [measure.name for measure in MEASURES if measure.category == category] or list(_PROCESS)

    async def endpoint(request: Request) -> Response:
        query = await read_query(request)
        page = query.page()

        def work(own: Services, cancellation: Cancellation) -> types.Current:
            data, following = paged(_values(own, cancellation, query, measures), page)
            return types.Current(rfc3339(own.now()), data, following)

        return await respond(request, work, query.window())

    endpoint.__name__ = f"metrics_{category}"
    return endpoint


async def metrics_history(request: Request) -> Response:
    """Return the values of one metric over time."""
    query = await read_query(request)
    own = services(request)
    page, name = query.page(), query.required("metric", "cpu_usage_percent")
    now = own.now()
    end = query.time("end", now)
    start = query.time("start", end - histories.RANGE)
    aggregation: Any = query.choice("aggregation", metric_names.AGGREGATIONS)
    wanted = histories.HistoryRequest(
        metric=name,
        now=now,
        start=start,
        end=end,
        step=query.milliseconds("step", histories.usual_step(start, end, own.interval)),
        nodes=query.nodes(),
        device=query.text("device"),
        aggregation=aggregation,
    )
    histories.check(wanted)

    def work(own: Services, cancellation: Cancellation) -> types.History:
        found = histories.history(own.store, own.queries, wanted, own.interval, cancellation)
        data, following = paged(found.rows, page)
        return types.History(
            metric=name,
            unit=found.unit,
            start=rfc3339(start),
            end=rfc3339(end),
            step_seconds=wanted.step / 1000,
            aggregation=aggregation or "last",
            tier=found.tier,
            data=[
                types.HistoryOfSeries(row.node, row.node, row.labels, points)
                for row, points in zip(data, _points(data), strict=True)
            ],
            next=following,
            warnings=list(found.warnings),
        )

    return await respond(request, work, query.window(start, end, wanted.step, end=end))


def _points(rows: Sequence[histories.HistoryRow]) -> Iterator[list[tuple[str, float | None]]]:
    """Yield the points of each row. Rows without gaps have one array of times."""
    times: Any = None
    texts: list[str] = []
    for row in rows:
        if row.times is not times:
            times, texts = row.times, [rfc3339(at) for at in row.times.tolist()]
        values = row.values.tolist()
        finite = bool(np.isfinite(row.values).all())
        yield list(zip(texts, values if finite else map(number, values), strict=True))


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
