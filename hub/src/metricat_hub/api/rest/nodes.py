"""Endpoints for nodes and their collectors."""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, TypeAlias

from metricat_hub.api.rest import types
from metricat_hub.api.rest.parameters import read_query
from metricat_hub.api.rest.responses import by_node, number, paged, respond
from metricat_hub.model.labels import NAME
from metricat_hub.model.measures import quote
from metricat_hub.model.ports import Matcher
from metricat_hub.model.times import rfc3339
from metricat_hub.use_cases import metric_names
from metricat_hub.use_cases.rule_coverage import nodes_without_alerts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

_HOUR = 3_600_000
"""Milliseconds for which a node is listed after its newest sample."""
_FRESH = 300_000
"""A node without scrapes is `up` for these milliseconds after its newest sample, the same as PromQL's lookback."""
_MOST_NAMED = 200
"""The most nodes that a query selects by name. Above it, a query reads all nodes: a long regex costs more."""

Read: TypeAlias = "Callable[[str], Iterator[tuple[str, dict[str, str], float]]]"
"""A function that evaluates an expression, and yields node, other labels and value of each series."""


async def nodes(request: Request) -> Response:
    """Return the nodes with samples in the last hour."""
    query = await read_query(request)
    page = query.page()

    def work(own: Services, cancellation: Cancellation) -> types.Nodes:
        found = _nodes(own, functools.partial(by_node, own, cancellation))
        data, following = paged([found[name] for name in sorted(found)], page)
        return types.Nodes(data, following)

    return await respond(request, work, query.window())


def _nodes(own: Services, read: Read) -> dict[str, types.Node]:
    """Return the nodes by name.

    The newest sample of each series is in memory, so most nodes cost little. Only nodes without a sample in PromQL's
    lookback need queries over the last hour, which read all samples.
    """
    found = _seen(own, read, "timestamp(node_load1)")
    _describe(found, read, "%s")
    now = own.now()
    known = own.store.label_values("node", [[Matcher(NAME, "=", "node_load1")]], now - _HOUR, now)
    if silent := {name for name in known if name} - found.keys():
        named = metric_names.matchers(silent if len(silent) <= _MOST_NAMED else ())
        selector = "".join(f"{{{one.name}{one.operator}{quote(one.value)}}}" for one in named)
        earlier = _seen(own, read, f"max_over_time(timestamp(node_load1{selector})[1h:1m])")
        _describe(earlier, read, f"last_over_time(%s{selector}[1h])")
        found = {**earlier, **found}
    for target in own.targets().active:
        node = dict(target.labels).get("node", "")
        if node in found and target.health != "unknown":
            found[node].status = target.health
    if own.alert_rules and own.alert_rules.is_shipped:
        for name in found.keys() & set(nodes_without_alerts(own.store, now)):
            found[name].has_alerts = False
    return found


def _seen(own: Services, read: Read, expression: str) -> dict[str, types.Node]:
    """Return nodes by name; the expression returns when a series had its newest sample."""
    found: dict[str, types.Node] = {}
    for node, labels, at in read(expression):
        seen = rfc3339(int(at * 1000))
        if node not in found or found[node].last_seen < seen:
            pool, instance = labels.get("pool", ""), labels.get("instance", "")
            status = "up" if own.now() - at * 1000 <= _FRESH else "down"
            found[node] = types.Node(node, node, status, seen, pool, instance)
    return found


def _describe(found: dict[str, types.Node], read: Read, form: str) -> None:
    """Add kernel, architecture, operating system and boot time to the nodes; the form is an expression of a metric."""
    for node, labels, _ in read(form.replace("%s", "node_uname_info", 1)):
        if node in found:
            found[node].kernel = f"{labels.get('sysname', '')} {labels.get('release', '')}".strip()
            found[node].architecture = labels.get("machine", "")
    for node, labels, _ in read(form.replace("%s", "node_os_info", 1)):
        if node in found:
            found[node].operating_system = labels.get("pretty_name", "") or labels.get("name", "")
    for node, _, value in read(form.replace("%s", "node_boot_time_seconds", 1)):
        if node in found:
            found[node].boot_time = rfc3339(int(value * 1000))


async def collectors(request: Request) -> Response:
    """Return the state of the collectors of the agents."""
    query = await read_query(request)
    page = query.page()

    def work(own: Services, cancellation: Cancellation) -> types.Collectors:
        def read(name: str) -> Iterator[tuple[str, dict[str, str], float]]:
            return by_node(own, cancellation, metric_names.metric(name, query.matchers(), own.interval).expression)

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
                duration_seconds=number(durations.get((node, labels.get("collector", "")), math.nan)),
                timestamp=rfc3339(own.now()),
            )
            for node, labels, value in read("node_scrape_collector_success")
        ]
        data, following = paged(sorted(found, key=lambda one: (one.node, one.collector)), page)
        return types.Collectors(data, following)

    return await respond(request, work, query.window())
