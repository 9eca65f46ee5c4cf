"""The REST API: measures by their plain names, nodes, collectors and the state of the hub."""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import math
import re
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from starlette.responses import Response

from metricat_hub import __version__
from metricat_hub.api import rest_types as types
from metricat_hub.api.operations import DURATION, TIME, Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.prometheus.metadata import rfc3339
from metricat_hub.api.prometheus.parameters import ParameterError, Parameters, parse_seconds, parse_time
from metricat_hub.api.services import services
from metricat_hub.model.durations import format_duration
from metricat_hub.model.labels import NAME
from metricat_hub.model.measures import BY_NAME, MEASURES
from metricat_hub.model.ports import Matcher
from metricat_hub.use_cases import metric_names

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from starlette.requests import Request

    from metricat_hub.api.services import Services
    from metricat_hub.model.labels import Labels
    from metricat_hub.use_cases.cancellation import Cancellation

    Endpoint = Callable[[Request], Awaitable[Response]]

T = TypeVar("T")
_LARGEST_PAGE, _PAGE = 10_000, 1_000
_HOUR = 3_600_000
_STEPS, _MOST_STEPS = 300, 11_000
_CATEGORIES = ("cpu", "memory", "disk", "network", "filesystem", "process")
_PROCESS = ("metricat_process_cpu_ratio", "metricat_process_resident_memory_bytes", "metricat_process_threads")
_LAST_HOUR = "last_over_time({}[1h])"
_LAST_SEEN = "max by (node, pool, instance) (max_over_time(timestamp(node_load1)[1h:1m]) or timestamp(node_load1))"


class Query:
    """The parameters of a request to the REST API. Each error names the parameter and what to write."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters

    def text(self, name: str) -> str:
        """Return a parameter, empty if it is missing; reject two different values."""
        values = self._parameters.all(name)
        if len(set(values)) > 1:
            raise self.error(name, "it is given twice; give one value")
        return values[0] if values else ""

    def required(self, name: str, example: str) -> str:
        """Return a parameter that must be there."""
        if not (text := self.text(name)):
            raise self.error(name, f"it is missing; write for example ?{name}={example}")
        return text

    def time(self, name: str, default: int) -> int:
        """Return a time in milliseconds."""
        if not (text := self.text(name)):
            return default
        try:
            return parse_time(text)
        except ValueError as error:
            raise self.error(name, f"{error}; write for example 2026-01-31T12:00:00Z, or seconds since 1970") from None

    def milliseconds(self, name: str, default: int) -> int:
        """Return a duration of at least a millisecond."""
        if not (text := self.text(name)):
            return default
        try:
            found = round(parse_seconds(text) * 1000)
        except ValueError as error:
            raise self.error(name, f"{error}; write for example 30s, 5m or 1h") from None
        if found < 1:
            raise self.error(name, "it is not above zero; write for example 30s, 5m or 1h")
        return found

    def choice(self, name: str, choices: Sequence[str]) -> str:
        """Return one of the choices; empty if the parameter is missing."""
        text = self.text(name)
        if text and text not in choices:
            raise self.error(name, f"{text[:100]!r} is not a choice; write {', '.join(choices[:-1])} or {choices[-1]}")
        return text

    def page(self) -> tuple[int, int]:
        """Return the first entry of the page and the number of entries."""
        text = self.text("limit")
        if text and not (re.fullmatch(r"[0-9]{1,5}", text, re.ASCII) and 1 <= int(text) <= _LARGEST_PAGE):
            raise self.error("limit", f"it is not a number from 1 to {_LARGEST_PAGE}; write for example 100")
        cursor = self.text("cursor")
        try:
            first = int(base64.urlsafe_b64decode(cursor).decode("ascii")) if cursor else 0
        except (ValueError, binascii.Error):
            first = -1
        if first < 0:
            raise self.error("cursor", "it is not a cursor; use the value of `next` of the page before, unchanged")
        return first, int(text or _PAGE)

    def matchers(self) -> list[Matcher]:
        """Return the matchers for the parameters that restrict series."""
        found = []
        if nodes := sorted(set(self._parameters.all("node"))):
            one = len(nodes) == 1
            found.append(Matcher("node", "=" if one else "=~", nodes[0] if one else "|".join(map(_quoted, nodes))))
        if device := self.text("device"):
            found.append(Matcher("device", "=", device))
        return found

    def metrics(self) -> list[str]:
        """Return the names of all requested metrics, each once."""
        return list(dict.fromkeys(self._parameters.all("metric")))

    @staticmethod
    def error(name: str, why: str) -> Problem:
        """Return the error for a parameter."""
        return Problem(400, f"invalid parameter {name}: {why}", parameter=name)


def _quoted(text: str) -> str:
    """Return a regular expression for a text, in RE2's syntax."""
    return re.sub(r"([^A-Za-z0-9_])", r"\\\1", text)


async def _query(request: Request) -> Query:
    try:
        return Query(await Parameters.of(request))
    except ParameterError as error:
        raise Problem(400, str(error)) from None


async def _respond(request: Request, work: Callable[[Services, Cancellation], Any]) -> Response:
    """Return what `work` makes in a thread as JSON, or 304 if the client has it."""
    own = services(request)
    condition = request.headers.get("if-none-match", "")

    def run(cancellation: Cancellation) -> Response:
        body = msgspec.json.encode(work(own, cancellation))
        tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
        known = {one.strip().removeprefix("W/") for one in condition.split(",")}
        if tag in known or "*" in known:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type="application/json")

    return await own.threads.run(request, run)


def _paged(entries: Sequence[T], page: tuple[int, int]) -> tuple[list[T], str | None]:
    """Return the entries of a page and the cursor of the next one."""
    first, count = page
    last = first + count
    following = base64.urlsafe_b64encode(str(last).encode()).decode() if last < len(entries) else None
    return list(entries[first:last]), following


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _split(labels: Labels) -> tuple[str, dict[str, str]]:
    """Return the node of a series, and its other labels without the metric name."""
    others = dict(labels)
    others.pop(NAME, None)
    return others.pop("node", ""), others


def _values(own: Services, cancellation: Cancellation, query: Query, names: Sequence[str]) -> list[types.CurrentValue]:
    """Return the newest values of metrics, ordered by metric, node and labels."""
    now = own.now()
    found: list[types.CurrentValue] = []
    for name in names:
        one = metric_names.metric(name, query.matchers(), own.interval)
        result = own.queries.instant(one.expression, now, cancellation)
        entries = [
            types.CurrentValue(name, one.unit, node, node, others, _number(value), rfc3339(now))
            for labels, value in zip(result.labels, result.values.tolist(), strict=True)
            for node, others in [_split(labels)]
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
    query = await _query(request)
    page = query.page()

    def work(own: Services, cancellation: Cancellation) -> types.Current:
        names = query.metrics()
        _known(own, names)
        data, following = _paged(_values(own, cancellation, query, names or list(BY_NAME)), page)
        return types.Current(rfc3339(own.now()), data, following)

    return await _respond(request, work)


async def query_by_name(request: Request) -> Response:
    """Return the newest values of one metric."""
    query = await _query(request)
    page, name = query.page(), query.required("metric", "cpu_usage_percent")

    def work(own: Services, cancellation: Cancellation) -> types.Current:
        _known(own, [name])
        data, following = _paged(_values(own, cancellation, query, [name]), page)
        return types.Current(rfc3339(own.now()), data, following)

    return await _respond(request, work)


def _category(category: str) -> Endpoint:
    """Return the endpoint for the measures of a category."""
    measures = [measure.name for measure in MEASURES if measure.category == category] or list(_PROCESS)

    async def endpoint(request: Request) -> Response:
        query = await _query(request)
        page = query.page()

        def work(own: Services, cancellation: Cancellation) -> types.Current:
            data, following = _paged(_values(own, cancellation, query, measures), page)
            return types.Current(rfc3339(own.now()), data, following)

        return await _respond(request, work)

    endpoint.__name__ = f"metrics_{category}"
    return endpoint


async def metrics_history(request: Request) -> Response:
    """Return the values of one metric over time."""
    query = await _query(request)
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
            ((*_split(one.labels), one.times, one.values) for one in result.series),
            key=lambda row: (row[0], sorted(row[1].items())),
        )
        data, following = _paged(rows, page)
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
                    [(rfc3339(at), _number(value)) for at, value in zip(times.tolist(), values.tolist(), strict=True)],
                )
                for node, labels, times, values in data
            ],
            next=following,
            warnings=list(result.warnings),
        )

    return await _respond(request, work)


def _by_node(own: Services, cancellation: Cancellation, expression: str) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield the node, the other labels and the value of each series of an expression that has a node."""
    result = own.queries.instant(expression, own.now(), cancellation)
    for labels, value in zip(result.labels, result.values.tolist(), strict=True):
        node, others = _split(labels)
        if node:
            yield node, others, value


async def nodes(request: Request) -> Response:
    """Return the nodes."""
    query = await _query(request)
    page = query.page()

    def work(own: Services, cancellation: Cancellation) -> types.Nodes:
        found = _nodes(own, functools.partial(_by_node, own, cancellation))
        data, following = _paged([found[name] for name in sorted(found)], page)
        return types.Nodes(data, following)

    return await _respond(request, work)


def _nodes(own: Services, read: Callable[[str], Iterator[tuple[str, dict[str, str], float]]]) -> dict[str, types.Node]:
    """Return the nodes by name; `read` returns the series of an expression."""
    found: dict[str, types.Node] = {}
    for node, labels, at in read(_LAST_SEEN):
        seen = rfc3339(int(at * 1000))
        if node not in found or found[node].last_seen < seen:
            pool, instance = labels.get("pool", ""), labels.get("instance", "")
            found[node] = types.Node(node, node, "unknown", seen, pool, instance)
    _describe(found, read)
    for target in own.targets().active:
        node = dict(target.labels).get("node", "")
        if node in found and target.health != "unknown":
            found[node].status = target.health
    return found


def _describe(found: dict[str, types.Node], read: Callable[[str], Iterator[tuple[str, dict[str, str], float]]]) -> None:
    """Add kernel, architecture, operating system and boot time to the nodes."""
    for node, labels, _ in read(_LAST_HOUR.format("node_uname_info")):
        if node in found:
            found[node].kernel = f"{labels.get('sysname', '')} {labels.get('release', '')}".strip()
            found[node].architecture = labels.get("machine", "")
    for node, labels, _ in read(_LAST_HOUR.format("node_os_info")):
        if node in found:
            found[node].operating_system = labels.get("pretty_name", "") or labels.get("name", "")
    for node, _, value in read(_LAST_HOUR.format("node_boot_time_seconds")):
        if node in found:
            found[node].boot_time = rfc3339(int(value * 1000))


async def collectors(request: Request) -> Response:
    """Return the collectors of the agents."""
    query = await _query(request)
    page = query.page()

    def work(own: Services, cancellation: Cancellation) -> types.Collectors:
        def read(name: str) -> Iterator[tuple[str, dict[str, str], float]]:
            return _by_node(own, cancellation, metric_names.metric(name, query.matchers(), own.interval).expression)

        durations = {
            (node, labels.get("collector", "")): value
            for node, labels, value in read("node_scrape_collector_duration_seconds")
        }
        found = [
            types.Collector(
                node=node,
                hostname=node,
                collector=labels.get("collector", ""),
                success=value == 1,
                duration_seconds=_number(durations.get((node, labels.get("collector", "")), math.nan)),
                timestamp=rfc3339(own.now()),
            )
            for node, labels, value in read("node_scrape_collector_success")
        ]
        data, following = _paged(sorted(found, key=lambda one: (one.node, one.collector)), page)
        return types.Collectors(data, following)

    return await _respond(request, work)


async def status(request: Request) -> Response:
    """Return the state of the hub."""

    def work(own: Services, _: Cancellation) -> types.Status:
        now = own.now()
        states = [target.health for target in own.targets().active]
        problems = list(own.problems())
        settings = own.settings
        return types.Status(
            status="degraded" if problems else "ok",
            problems=problems,
            server_id=settings.server_id if settings else "",
            version=__version__,
            timestamp=rfc3339(now),
            started=rfc3339(own.started),
            uptime_seconds=(now - own.started) / 1000,
            targets=types.TargetCounts(states.count("up"), states.count("down"), states.count("unknown")),
            series=len(own.store.series([[]], now - _HOUR, now)),
            retention={
                "raw": format_duration(settings.store.raw),
                "1m": format_duration(settings.store.minutes),
                "1h": format_duration(settings.store.hours),
            }
            if settings
            else {},
            collect_interval=format_duration(own.interval),
        )

    return await _respond(request, work)


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

    return await _respond(request, work)


_NODE = Parameter("node", "Name of a node; give it more than once for several nodes.", many=True)
_DEVICE = Parameter("device", "Name of a device, for example sda or eth0.")
_METRIC = Parameter(
    "metric", "A measure such as cpu_usage_percent, or a metric name such as node_load1.", required=True
)
_METRICS = Parameter("metric", "As in /query; more than once for several. Default: all measures.", many=True)
_LIMIT = Parameter(
    "limit", "Entries of a page.", {"type": "integer", "minimum": 1, "maximum": _LARGEST_PAGE, "default": _PAGE}
)
_CURSOR = Parameter("cursor", "The value of `next` of the page before.")
_PAGES = (_LIMIT, _CURSOR)
_ERRORS = (400, 422, 503)

OPERATIONS = (
    Operation(
        "/api/v1/metrics/current",
        metrics_current,
        "Newest values",
        "Metrics",
        parameters=(_METRICS, _NODE, _DEVICE, *_PAGES),
        result=types.Current,
        errors=(*_ERRORS, 404),
    ),
    Operation(
        "/api/v1/metrics/history",
        metrics_history,
        "Values over time",
        "Metrics",
        parameters=(
            _METRIC,
            _NODE,
            _DEVICE,
            Parameter("start", "Start. Default: one hour before the end.", TIME),
            Parameter("end", "End. Default: now.", TIME),
            Parameter("step", "Time between two points. Default: a three-hundredth of the range.", DURATION),
            Parameter(
                "aggregation",
                "How a point summarizes the samples of its step. Default: the newest value.",
                {"type": "string", "enum": list(metric_names.AGGREGATIONS)},
            ),
            *_PAGES,
        ),
        result=types.History,
        errors=(*_ERRORS, 404),
    ),
    Operation("/api/v1/metrics/measures", measures, "Measures", "Metrics", result=types.Measures, errors=(503,)),
    *(
        Operation(
            f"/api/metrics/{category}",
            _category(category),
            f"Newest values about {category}",
            "Metrics",
            parameters=(_NODE, _DEVICE, *_PAGES),
            result=types.Current,
            errors=_ERRORS,
        )
        for category in _CATEGORIES
    ),
    Operation(
        "/query",
        query_by_name,
        "Newest values of one metric",
        "Metrics",
        parameters=(_METRIC, _NODE, _DEVICE, *_PAGES),
        result=types.Current,
        errors=(*_ERRORS, 404),
    ),
    Operation("/api/status", status, "State of the hub", "Hub", result=types.Status, errors=(503,)),
    Operation(
        "/api/collectors",
        collectors,
        "Collectors of the agents",
        "Hub",
        parameters=(_NODE, *_PAGES),
        result=types.Collectors,
        errors=_ERRORS,
    ),
    Operation("/api/nodes", nodes, "Nodes", "Hub", parameters=_PAGES, result=types.Nodes, errors=_ERRORS),
)
