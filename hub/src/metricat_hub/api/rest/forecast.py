"""Endpoints of forecasts and of unusual values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.rest.parameters import Query, read_query
from metricat_hub.api.rest.responses import number, respond
from metricat_hub.evaluation.shipped import SHIPPED
from metricat_hub.model.times import rfc3339
from metricat_hub.use_cases import forecast as forecasts
from metricat_hub.use_cases import metric_names

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

_TAG = "Metrics"
_DAYS = 7
_THRESHOLD = SHIPPED["NodeUnusual"].levels[0].threshold or 3.0
Number = float | None


class ForecastOfSeries(msgspec.Struct):
    """The forecast of one series."""

    node: str
    hostname: str
    labels: dict[str, str]
    value: Annotated[Number, Meta(description="Current value; with the method daily: the average of the last hour.")]
    points: Annotated[
        list[tuple[str, Number, Number, Number]],
        Meta(description="One point for each hour: time, value, and lower and upper end of the prediction interval."),
    ]
    growth_per_hour_6h: Number
    growth_per_hour_1d: Number
    full_in_hours_6h: Annotated[
        Number,
        Meta(
            description="Hours until the filesystem is full, as in the alert NodeFilesystemFillsUp; null: not a "
            "filling filesystem."
        ),
    ]
    full_in_hours_1d: Number


class ForecastResult(msgspec.Struct):
    """The forecast of a metric."""

    metric: str
    unit: str
    time: str
    days: int
    method: str
    data: list[ForecastOfSeries]


class UnusualSeries(msgspec.Struct):
    """A series whose last hour differs from the same hour of earlier days more than usual."""

    metric: str
    unit: str
    node: str
    hostname: str
    labels: dict[str, str]
    value: Annotated[Number, Meta(description="Average of the last hour.")]
    usual: Annotated[Number, Meta(description="Median of the same hour on the days before.")]
    spread: Annotated[Number, Meta(description="Usual spread around the median, as a standard deviation.")]
    week_before: Number
    daily_deviation: Annotated[
        Number, Meta(description="Difference from the usual value, as a multiple of the spread.")
    ]
    weekly_deviation: Annotated[
        Number, Meta(description="Difference from the value a week before, as a multiple of the spread.")
    ]
    deviation: Annotated[
        Number,
        Meta(description="The smaller of both deviations, which the alert NodeUnusual compares with its threshold."),
    ]
    why: str


class UnusualResult(msgspec.Struct):
    """The unusual series, the one with the largest deviation first."""

    time: str
    threshold: float
    metrics: list[str]
    data: list[UnusualSeries]
    without_history: Annotated[
        int, Meta(description="Number of series that have less than four days of history and were not checked.")
    ]


async def forecast(request: Request) -> Response:
    """Return the forecast of a metric."""
    query = await read_query(request)
    name = query.required("metric", "filesystem_used_bytes")
    days = _whole(query, "days", _DAYS)
    method: Any = query.choice("method", forecasts.METHODS) or forecasts.usual_method(name)

    def work(own: Services, cancellation: Cancellation) -> ForecastResult:
        now = own.now()
        found = forecasts.forecast(
            own.store, own.queries, name, query.matchers(), now, days, method, own.interval, cancellation
        )
        return ForecastResult(
            name,
            metric_names.unit_of(name),
            rfc3339(now),
            days,
            method,
            [
                ForecastOfSeries(
                    one.node,
                    one.node,
                    dict(one.labels),
                    number(one.value),
                    [(rfc3339(at), number(value), number(low), number(high)) for at, value, low, high in one.points],
                    *(_optional(each) for each in (one.growth_6h, one.growth_1d, one.full_6h, one.full_1d)),
                )
                for one in found
            ],
        )

    return await respond(request, work)


async def unusual(request: Request) -> Response:
    """Return the series whose last hour is unusual, each with a reason."""
    query = await read_query(request)
    names = query.metrics() or list(forecasts.WATCHED)
    threshold = _threshold(query)

    def work(own: Services, cancellation: Cancellation) -> UnusualResult:
        now = own.now()
        found = forecasts.unusual(
            own.store, own.queries, names, query.matchers(), now, threshold, own.interval, cancellation
        )
        return UnusualResult(
            rfc3339(now),
            threshold,
            names,
            [
                UnusualSeries(
                    metric=one.metric,
                    unit=one.unit,
                    node=one.node,
                    hostname=one.node,
                    labels=dict(one.labels),
                    value=number(one.value),
                    usual=number(one.usual),
                    spread=number(one.spread),
                    week_before=_optional(one.week_before),
                    daily_deviation=number(one.daily),
                    weekly_deviation=_optional(one.weekly),
                    deviation=_optional(one.deviation),
                    why=one.why,
                )
                for one in found.rows
            ],
            found.without_history,
        )

    return await respond(request, work)


def _optional(value: float | None) -> float | None:
    return None if value is None else number(value)


def _whole(query: Query, name: str, default: int) -> int:
    text = query.text(name)
    if text and not (text.isascii() and text.isdecimal() and len(text) < 4):
        raise query.error(
            name, f"{text[:100]!r} is not a number from 1 to {forecasts.LONGEST}; write for example {default}"
        )
    return int(text or default)


def _threshold(query: Query) -> float:
    text = query.text("threshold")
    try:
        found = float(text or _THRESHOLD)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise query.error(
            "threshold", f"{text[:100]!r} is not a number of at least 0; write for example {_THRESHOLD:g}"
        )
    return found


_NODE = Parameter("node", "Name of a node; repeat the parameter for several nodes.", many=True)
_DEVICE = Parameter("device", "Name of a device, for example sda or eth0.")
_ERRORS = (400, 404, 422, 503)
OPERATIONS = (
    Operation(
        "/api/v1/forecast",
        forecast,
        "Forecast a metric, with a prediction interval",
        _TAG,
        parameters=(
            Parameter(
                "metric", "A measure such as filesystem_used_bytes, or a metric name such as node_load1.", required=True
            ),
            _NODE,
            _DEVICE,
            Parameter("days", f"Days ahead, from 1 to {forecasts.LONGEST}. Default: {_DAYS}."),
            Parameter(
                "method",
                "growth: linear, from the growth of the last 6 hours and of the last day. daily: the usual value of "
                "each hour. Default: growth for filesystems, daily for other metrics.",
                {"type": "string", "enum": list(forecasts.METHODS)},
            ),
        ),
        result=ForecastResult,
        errors=_ERRORS,
    ),
    Operation(
        "/api/v1/unusual",
        unusual,
        "List the series whose last hour is unusual, with reasons",
        _TAG,
        parameters=(
            Parameter(
                "metric",
                "A measure or a metric name; repeat the parameter for several. Default: common measures.",
                many=True,
            ),
            _NODE,
            _DEVICE,
            Parameter(
                "threshold",
                f"Smallest deviation to report, in standard deviations. Default: {_THRESHOLD:g}, as in the alert "
                "NodeUnusual.",
            ),
        ),
        result=UnusualResult,
        errors=_ERRORS,
    ),
)
