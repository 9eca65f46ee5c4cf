"""Endpoints of the Prometheus HTTP API that evaluate queries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from metricat_hub.api.answers import Window
from metricat_hub.api.operations import DURATION, TIME, Operation, Parameter
from metricat_hub.api.prometheus import encoding
from metricat_hub.api.prometheus.errors import with_prometheus_errors
from metricat_hub.api.prometheus.parameters import ParameterError, Parameters
from metricat_hub.api.services import services
from metricat_hub.model.errors import HubError, InvalidQueryError
from metricat_hub.promql import parser, source_parser
from metricat_hub.promql.engine import LOOKBACK
from metricat_hub.promql.formatting import formatted
from metricat_hub.promql.reach import reads_ahead
from metricat_hub.promql.syntax_json import syntax_json

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from starlette.requests import Request

    from metricat_hub.model.ports import Series
    from metricat_hub.promql.engine import Result
    from metricat_hub.promql.nodes import Node
    from metricat_hub.use_cases.cancellation import Cancellation

_FORM = "application/x-www-form-urlencoded"
_MOST_STEPS = 11_000
_TRUNCATED = "results truncated due to limit"
_STATS = ("", "true", "all")


@with_prometheus_errors
async def query(request: Request) -> Response:
    """Evaluate a query at one time."""
    own = services(request)
    parameters = await Parameters.of(request)
    limit = parameters.limit()
    at = parameters.time("time", own.now())
    seconds, lookback = _timeout(parameters), _lookback(parameters)
    text = parameters.get("query")

    def work(cancellation: Cancellation) -> Response:
        with _parameter("query"):
            result = own.queries.instant(text, at, cancellation, lookback)
        return _response(result, limit, parameters)

    return await _answered(request, parameters, (at, at), lambda: own.threads.run(request, work, seconds))


@with_prometheus_errors
async def query_range(request: Request) -> Response:
    """Evaluate a query at each step of a time range."""
    own = services(request)
    parameters = await Parameters.of(request)
    limit = parameters.limit()
    start, end = parameters.time("start"), parameters.time("end")
    if end < start:
        raise ParameterError('invalid parameter "end": end timestamp must not be before start time')
    step = int(parameters.duration("step") * 1000)
    if step <= 0:
        raise ParameterError(
            'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
            "Try a positive integer"
        )
    if (end - start) // step > _MOST_STEPS:
        raise ParameterError(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    seconds, lookback = _timeout(parameters), _lookback(parameters)
    text = parameters.get("query")

    def work(cancellation: Cancellation) -> Response:
        with _parameter("query"):
            result = own.queries.range(text, start, end, step, cancellation, lookback)
        return _response(result, limit, parameters)

    return await _answered(request, parameters, (start, end), lambda: own.threads.run(request, work, seconds))


async def _answered(
    request: Request, parameters: Parameters, times: tuple[int, int], evaluate: Callable[[], Awaitable[Response]]
) -> Response:
    """Return the cached answer of a query that ended in the past, or what `evaluate` returns."""
    answers = services(request).answers
    if answers is None:
        return await evaluate()
    start, end = times
    try:
        ahead = reads_ahead(parser.parse(parameters.get("query"), step=1_000, span=end - start), end)
    except HubError:
        return await evaluate()  # it raises the error with the name of the parameter
    key = sorted(f"{name}={value}" for name, value in parameters.pairs if name != "timeout")
    return await answers.respond(request, Window((*key, start, end), None if ahead else end), evaluate)


@with_prometheus_errors
async def format_query(request: Request) -> Response:
    """Return a query with standard line breaks and indentation."""
    return await _syntax(request, formatted)


@with_prometheus_errors
async def parse_query(request: Request) -> Response:
    """Return the syntax tree of a query."""
    return await _syntax(request, syntax_json)


async def _syntax(request: Request, show: Callable[[Node], Any]) -> Response:
    parameters = await Parameters.of(request)

    def work(_: Cancellation) -> Response:
        with _parameter("query"):
            data = msgspec.json.encode(show(source_parser.parse(parameters.get("query")))).decode()
        return Response(encoding.success(data), media_type="application/json")

    return await services(request).threads.run(request, work)


def _timeout(parameters: Parameters) -> float | None:
    if not parameters.get("timeout"):
        return None
    return max(0.0, parameters.duration("timeout"))


def _lookback(parameters: Parameters) -> int:
    """Return the milliseconds of `lookback_delta`; zero and negative ones mean the default, as in Prometheus."""
    if not parameters.get("lookback_delta"):
        return LOOKBACK
    try:
        found = int(parameters.duration("lookback_delta") * 1000)
    except ParameterError as error:
        why = str(error).partition(": ")[2]
        raise ParameterError(f"error parsing lookback delta duration: {why}") from None
    return found if found > 0 else LOOKBACK


class _parameter:  # noqa: N801 -- a context manager, used like a function
    """Adds the name of a parameter to the message of an invalid query."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        """Do nothing."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raise the error with the parameter's name."""
        if isinstance(error, InvalidQueryError):
            raise ParameterError(f'invalid parameter "{self._name}": {error}') from error


def _response(result: Result, limit: int, parameters: Parameters) -> Response:
    """Return the JSON of a result."""
    warnings = list(result.warnings)
    series, labels, values = result.series, result.labels, result.values
    if result.kind == "vector" and limit and len(labels) > limit:
        labels, values = labels[:limit], values[:limit]
        warnings.append(_TRUNCATED)
    if result.kind == "matrix" and limit and len(series) > limit:
        series = series[:limit]
        warnings.append(_TRUNCATED)
    if (stats := parameters.get("stats")) not in _STATS:
        warnings.append(
            f'value "{stats}" for parameter "stats" is deprecated and will be rejected in the next major release, '
            'use "true" or "all"'
        )
    match result.kind:
        case "vector":
            data = encoding.vector_json(labels, result.time, values)
        case "matrix":
            data = encoding.matrix_json(_rows(series))
        case "scalar":
            data = encoding.scalar_json(result.time, float(values[0]))
        case "string":
            data = encoding.string_json(result.time, result.text)
    tail = _stats(result) if stats else ""
    body = encoding.success(f'{{"resultType":"{result.kind}","result":{data}{tail}}}', warnings, result.infos)
    return Response(body, headers={"X-Metricat-Tier": result.tier}, media_type="application/json")


def _rows(series: Sequence[Series]) -> Iterator[tuple[Any, Any, Any]]:
    """Yield labels, prefixes and values; series without gaps share their times."""
    times: Any = None
    prefixes: list[str] = []
    for one in series:
        if one.times is not times:
            times, prefixes = one.times, encoding.time_prefixes(one.times)
        yield one.labels, prefixes, one.values


def _stats(result: Result) -> str:
    counts = {"totalQueryableSamples": result.samples, "peakSamples": result.samples}
    return f',"stats":{msgspec.json.encode({"timings": {}, "samples": counts}).decode()}'


_QUERY = Parameter("query", "PromQL, for example rate(node_cpu_seconds_total[5m]).", required=True)
_TIMEOUT = Parameter("timeout", "Time limit of the evaluation: seconds or a duration.", DURATION)
_LIMIT = Parameter("limit", "Largest number of series to return; 0: no limit.", {"type": "integer", "minimum": 0})
_LOOKBACK = Parameter(
    "lookback_delta", "Lookback: maximum age of the newest sample of a series. Default: 5m.", DURATION
)
_STATS_OF_QUERY = Parameter("stats", "Return statistics of the evaluation.", {"enum": ["true", "all"]})
_COMMON = (_TIMEOUT, _LIMIT, _LOOKBACK, _STATS_OF_QUERY)


def _operation(path: str, endpoint: Any, summary: str, *parameters: Parameter) -> Operation:
    return Operation(
        f"/api/v1/{path}",
        endpoint,
        summary,
        "Prometheus",
        methods=("GET", "POST"),
        parameters=parameters,
        body=_FORM,
        errors=(400, 422, 503),
    )


OPERATIONS = (
    _operation(
        "query",
        query,
        "Evaluate a query at one time",
        _QUERY,
        Parameter("time", "Time of the evaluation: seconds since 1970 or RFC 3339. Default: now.", TIME),
        *_COMMON,
    ),
    _operation(
        "query_range",
        query_range,
        "Evaluate a query over a time range",
        _QUERY,
        Parameter("start", "Time of the first evaluation: seconds since 1970 or RFC 3339.", TIME, required=True),
        Parameter("end", "End of the time range: seconds since 1970 or RFC 3339.", TIME, required=True),
        Parameter("step", "Time between two evaluations: seconds or a duration.", DURATION, required=True),
        *_COMMON,
    ),
    _operation("format_query", format_query, "Format a query", _QUERY),
    _operation("parse_query", parse_query, "Return the syntax tree of a query", _QUERY),
)
