"""Endpoints of the Prometheus HTTP API about series, labels, metrics, targets and the hub itself."""

from __future__ import annotations

import os
import platform
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.responses import Response

from metricat_hub import __version__
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.prometheus.encoding import success
from metricat_hub.api.prometheus.errors import with_prometheus_errors
from metricat_hub.api.prometheus.parameters import MAX_TIME, MIN_TIME, ParameterError, Parameters
from metricat_hub.api.services import services
from metricat_hub.model.durations import format_duration
from metricat_hub.model.times import rfc3339
from metricat_hub.use_cases import matchers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

    from metricat_hub.model.ports import Matcher
    from metricat_hub.use_cases.cancellation import Cancellation

_FORM = "application/x-www-form-urlencoded"
_TRUNCATED = "results truncated due to limit"
_NUMBER = {"type": "integer", "minimum": 0}
_MATCH = Parameter("match[]", 'Series selector, for example up{job="nodes"}.', many=True)
_START = Parameter("start", "Start: seconds since 1970 or RFC 3339. Default: no bound.")
_END = Parameter("end", "End: seconds since 1970 or RFC 3339. Default: no bound.")
_LIMIT = Parameter("limit", "Largest number of entries to return; 0: no limit.", _NUMBER)


def json_response(data: Any, warnings: Sequence[str] = ()) -> Response:
    """Return a successful response in Prometheus' format."""
    return Response(success(msgspec.json.encode(data).decode(), warnings), media_type="application/json")


def _selectors(parameters: Parameters) -> list[list[Matcher]]:
    """Return the matchers of each `match[]`; each must exclude series without labels."""
    found = [matchers.parse(text) for text in parameters.all("match[]")]
    if any(all(matchers.matches_empty(one) for one in selector) for selector in found):
        raise ParameterError("match[] must contain at least one non-empty matcher")
    return found


async def _listed(request: Request, read: Callable[[Parameters, list[list[Matcher]], int, int], list[Any]]) -> Response:
    """Return the list that `read` gets from the store, cut at the limit. `read` runs in a thread."""
    parameters = await Parameters.of(request)
    limit = parameters.limit()
    start, end = parameters.time("start", MIN_TIME), parameters.time("end", MAX_TIME)
    selectors = _selectors(parameters)

    def work(cancellation: Cancellation) -> Response:
        cancellation.check()
        found = read(parameters, selectors, start, end)
        cut = bool(limit) and len(found) > limit
        return json_response(found[:limit] if cut else found, [_TRUNCATED] if cut else [])

    return await services(request).threads.run(request, work)


@with_prometheus_errors
async def series(request: Request) -> Response:
    """Return the series that match at least one selector."""
    store = services(request).store

    def read(parameters: Parameters, selectors: list[list[Matcher]], start: int, end: int) -> list[Any]:
        if not parameters.all("match[]"):
            raise ParameterError("no match[] parameter provided")
        return [dict(labels) for labels in store.series(selectors, start, end)]

    return await _listed(request, read)


@with_prometheus_errors
async def labels(request: Request) -> Response:
    """Return the label names of the series that match at least one selector."""
    store = services(request).store
    return await _listed(request, lambda _, selectors, start, end: list(store.label_names(selectors, start, end)))


@with_prometheus_errors
async def label_values(request: Request) -> Response:
    """Return the values of a label in the series that match at least one selector."""
    store, name = services(request).store, _unescaped(request.path_params["name"])
    if not name:
        raise ParameterError(f'invalid label name: "{name}"')
    return await _listed(
        request, lambda _, selectors, start, end: list(store.label_values(name, selectors, start, end))
    )


def _unescaped(name: str) -> str:
    """Return a label name without Prometheus' escapes: ``U__`` first, then ``_HEX_`` for a character."""
    if not name.startswith("U__"):
        return name
    parts = name[3:].replace("__", "\0").split("_")
    if len(parts) % 2 == 0:
        return name
    try:
        text = "".join(part if at % 2 == 0 else chr(int(part, 16)) for at, part in enumerate(parts))
    except (ValueError, OverflowError):
        return name
    return text.replace("\0", "_")


@with_prometheus_errors
async def metadata(request: Request) -> Response:
    """Return type, help text and unit of metrics."""
    parameters = await Parameters.of(request)
    limit, per_metric = (_whole(parameters, name) for name in ("limit", "limit_per_metric"))
    del per_metric  # the store has one entry for each metric
    metric = parameters.get("metric")
    found = await services(request).threads.run(request, lambda _: services(request).store.metadata())
    chosen = {name: one for name, one in found.items() if metric in ("", name)}
    names = list(chosen)[: limit if limit >= 0 else None]
    return json_response(
        {name: [{"type": one.type, "help": one.help, "unit": one.unit}] for name in names for one in [chosen[name]]}
    )


def _whole(parameters: Parameters, name: str) -> int:
    text = parameters.get(name)
    try:
        return int(text) if text else -1
    except ValueError:
        raise ParameterError(f"{name} must be a number") from None


@with_prometheus_errors
async def targets(request: Request) -> Response:
    """Return the targets of the scraper."""
    parameters = await Parameters.of(request)
    pool, state = parameters.get("scrapePool"), parameters.get("state").lower()
    found = services(request).targets()
    active = [_target(one) for one in found.active if pool in ("", one.pool)]
    dropped = [
        {"discoveredLabels": dict(one.discovered), "scrapePool": one.pool}
        for one in found.dropped
        if pool in ("", one.pool)
    ]
    counts: dict[str, int] = {}
    for one in found.dropped:
        counts[one.pool] = counts.get(one.pool, 0) + 1
    data: dict[str, Any] = {"activeTargets": active if state in ("", "any", "active") else []}
    data["droppedTargets"] = dropped if state in ("", "any", "dropped") else []
    data["droppedTargetCounts"] = counts if state in ("", "any", "dropped") else None
    return json_response(data)


def _target(one: Any) -> dict[str, Any]:
    return {
        "discoveredLabels": dict(one.discovered),
        "labels": dict(one.labels),
        "scrapePool": one.pool,
        "scrapeUrl": one.url,
        "globalUrl": one.url,
        "lastError": one.error,
        "lastScrape": rfc3339(one.last_scrape) if one.last_scrape else "0001-01-01T00:00:00Z",
        "lastScrapeDuration": one.duration,
        "health": one.health,
        "scrapeInterval": format_duration(one.interval),
        "scrapeTimeout": format_duration(one.timeout),
    }


@with_prometheus_errors
async def build_information(request: Request) -> Response:  # noqa: ARG001 -- an endpoint
    """Return the version of a Prometheus with the same features. Grafana reads it to select features."""
    return json_response(
        {
            "version": "3.15.0",
            "revision": f"metricat-{__version__}",
            "branch": "metricat",
            "buildUser": "",
            "buildDate": "",
            "goVersion": f"Python {platform.python_version()}",
        }
    )


@with_prometheus_errors
async def runtime_information(request: Request) -> Response:
    """Return runtime information about the process of the hub."""
    own = services(request)
    return json_response(
        {
            "startTime": rfc3339(own.started),
            "CWD": str(os.getcwd()),  # noqa: PTH109 -- as text
            "hostname": socket.gethostname(),
            "serverTime": rfc3339(own.now()),
            "reloadConfigSuccess": True,
            "lastConfigTime": rfc3339(own.started),
            "corruptionCount": 0,
            "goroutineCount": threading.active_count(),
            "GOMAXPROCS": os.cpu_count() or 1,
            "GOMEMLIMIT": sys.maxsize,
            "GOGC": "",
            "GODEBUG": "",
            "storageRetention": format_duration(own.settings.store.raw) if own.settings else "",
        }
    )


@with_prometheus_errors
async def flags(request: Request) -> Response:
    """Return all settings as text. Settings that can contain a secret are empty."""
    own = services(request).settings
    return json_response(dict(own.texts) if own else {})


@with_prometheus_errors
async def configuration(request: Request) -> Response:
    """Return the settings as YAML."""
    own = services(request).settings
    lines = [
        f"{name}: {msgspec.json.encode(text).decode()}\n" for name, text in (own.texts if own else {}).items() if text
    ]
    return json_response({"yaml": "".join(lines)})


@with_prometheus_errors
async def store_status(request: Request) -> Response:
    """Return counts about the series of the last hour: series by metric name and label pair, and values by label."""
    parameters = await Parameters.of(request)
    limit = _whole(parameters, "limit") if parameters.get("limit") else 10
    if limit < 1:
        raise ParameterError("limit must be a positive number")
    if limit > 10_000:
        raise ParameterError("limit must not exceed 10000")
    own = services(request)

    def work(cancellation: Cancellation) -> Response:
        now = own.now()
        names: dict[str, int] = {}
        values: dict[str, set[str]] = {}
        pairs: dict[str, int] = {}
        found = own.store.series([[]], now - 3_600_000, now)
        for at, one in enumerate(found):
            if at % 1_000 == 0:
                cancellation.check()
            for name, value in one:
                if name == "__name__":
                    names[value] = names.get(value, 0) + 1
                values.setdefault(name, set()).add(value)
                pair = f"{name}={value}"
                pairs[pair] = pairs.get(pair, 0) + 1

        def largest(counts: dict[str, int]) -> list[dict[str, Any]]:
            chosen = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
            return [{"name": name, "value": count} for name, count in chosen]

        return json_response(
            {
                "headStats": {
                    "numSeries": len(found),
                    "numLabelPairs": len(pairs),
                    "chunkCount": 0,
                    "minTime": now - 3_600_000,
                    "maxTime": now,
                },
                "seriesCountByMetricName": largest(names),
                "labelValueCountByLabelName": largest({name: len(found) for name, found in values.items()}),
                "memoryInBytesByLabelName": largest(
                    {name: sum(len(value.encode()) for value in found) for name, found in values.items()}
                ),
                "seriesCountByLabelValuePair": largest(pairs),
            }
        )

    return await own.threads.run(request, work)


def _operation(path: str, endpoint: Any, summary: str, *parameters: Parameter, form: bool = False) -> Operation:
    return Operation(
        f"/api/v1/{path}",
        endpoint,
        summary,
        "Prometheus",
        methods=("GET", "POST") if form else ("GET",),
        parameters=parameters,
        body=_FORM if form else "",
        errors=(400, 422, 503),
    )


OPERATIONS = (
    _operation(
        "series",
        series,
        "List series",
        Parameter("match[]", 'Series selector, for example up{job="nodes"}.', many=True, required=True),
        *(_START, _END, _LIMIT),
        form=True,
    ),
    _operation("labels", labels, "List label names", _MATCH, _START, _END, _LIMIT, form=True),
    _operation(
        "label/{name}/values",
        label_values,
        "List the values of a label",
        Parameter("name", "Name of the label.", where="path"),
        *(_MATCH, _START, _END, _LIMIT),
    ),
    _operation(
        "metadata",
        metadata,
        "List metrics with type, help text and unit",
        Parameter("metric", "Name of a metric."),
        Parameter("limit", "Largest number of metrics to return.", {"type": "integer"}),
        Parameter("limit_per_metric", "Largest number of entries for each metric.", {"type": "integer"}),
    ),
    _operation(
        "targets",
        targets,
        "List targets of the scraper",
        Parameter(
            "state", "State of the targets to return: active, dropped or any.", {"enum": ["active", "dropped", "any"]}
        ),
        Parameter("scrapePool", "Return only targets of the job with this name."),
    ),
    _operation("status/buildinfo", build_information, "Show the version of a Prometheus with the same features"),
    _operation("status/runtimeinfo", runtime_information, "Show runtime information about the process of the hub"),
    _operation("status/flags", flags, "Show all settings as text"),
    _operation("status/config", configuration, "Show the settings as YAML"),
    _operation(
        "status/tsdb",
        store_status,
        "Count the series of the last hour by metric name and label pair, and the values by label",
        Parameter(
            "limit", "Maximum number of entries in each list.", {"type": "integer", "minimum": 1, "maximum": 10_000}
        ),
    ),
)
