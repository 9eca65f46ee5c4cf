"""HTTP queries to one pod of a Prometheus; only parsed values leave this module.

A user who may write Prometheus objects determines the address that the operator queries. So the operator sends only
its own GET requests without credentials, and follows no redirect. It reads at most 1 MiB of a response, and keeps
short texts without control characters. It does not verify certificates: the CA is in a Secret, and the operator reads
no Secrets.
"""

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

from metricat_operator.conditions import Reason
from metricat_operator.facts.prometheus_query import (
    Job,
    LoadedRule,
    PrometheusPod,
    PrometheusQuery,
    QueryResult,
    RuleGroup,
    fingerprint,
)

MAX_BYTES = 1 << 20
"""Maximum size of a response, in bytes.

Typical sizes: 80 kB for the query results of 1,000 nodes, 64 kB for the shipped rules. 160 scrape targets reach the
limit.
"""

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_GROUPS_AT_ONCE = 16
_HEAD, _TAIL = 180, 120
"""Characters kept of the start and the end of a long text: the cause is at the end as often as at the start."""


class QueryError(Exception):
    """The query failed; `reason` is machine-readable, the message is for people."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def session() -> aiohttp.ClientSession:
    """Return a session for connections to Prometheus, without proxy and cookies."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    # The CA is in a Secret, which the operator cannot read. It sends no credentials. See docs/design/0010.
    unverified.verify_mode = ssl.CERT_NONE  # nosemgrep: tls-without-verification -- as above
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=unverified, limit=16),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,  # a response that is compressed without a request for it is invalid
        headers={"Accept-Encoding": "identity", "User-Agent": "metricat-operator"},
        timeout=_TIMEOUT,
    )


async def query_prometheus(
    connections: aiohttp.ClientSession, query: PrometheusQuery, server: PrometheusPod
) -> QueryResult:
    """Return the result of a query to this pod.

    Raises:
        QueryError: the pod does not return a valid response.
    """
    scheme = "https" if query.web.tls else "http"
    root = URL.build(scheme=scheme, host=server.address, port=server.port)
    api = _Api(connections, root, f"{query.web.prefix.rstrip('/')}/api/v1")
    try:
        return await _query(api, query)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise QueryError(
            Reason.INVALID_RESPONSE, f"{root}: the response is not a result of the Prometheus API: {text(repr(error))}"
        ) from error


async def _query(api: "_Api", query: PrometheusQuery) -> QueryResult:
    nodes: Mapping[str, bool] = {}
    errors: Mapping[str, str] = {}
    if query.job:
        nodes, errors = await _scraped(api, query.job, can_query=query.can_query)
    rules = await _rules(api, query.groups)
    configured = True
    unseen = query.job and not nodes
    if query.job and unseen:
        configured = query.job.pool in (await api.get("scrape_pools"))["scrapePools"]
    reloaded = bool((await api.get("status/runtimeinfo")).get("reloadConfigSuccess", True))  # Thanos does not report it
    return QueryResult(query.instance, None, nodes, errors, rules, configured, reloaded)


async def _scraped(api: "_Api", job: Job, *, can_query: bool) -> tuple[Mapping[str, bool], Mapping[str, str]]:
    """Return whether each node is up, and the last error of nodes that are down, as far as they fit."""
    pool = {"state": "active", "scrapePool": job.pool}
    if not can_query:  # a PrometheusAgent stores no samples
        targets = await api.get("targets", pool, elements="activeTargets")
        up = {_node(one) for one in targets if _up(one)}
        nodes = {node: node in up for node in map(_node, targets)}
        return nodes, _errors(targets, nodes)
    series = f'up{{namespace="{job.namespace}",service="{job.service}"}}'
    # `up` alone would still return series scraped five minutes ago, before Prometheus restarted.
    query = f"max by (node) ({series} and present_over_time({series}[{job.window_seconds}s]))"
    result = (await api.get("query", {"query": query}))["result"]
    nodes = {text(one["metric"].get("node", "")): float(one["value"][1]) == 1 for one in result}
    if all(nodes.values()):
        return nodes, {}
    return nodes, _errors(await api.get("targets", pool, elements="activeTargets", cut=True), nodes)


def _errors(targets: Any, nodes: Mapping[str, bool]) -> Mapping[str, str]:
    return {_node(one): text(one["lastError"]) for one in targets if not nodes.get(_node(one), True) and not _up(one)}


def _node(target: Mapping[str, Any]) -> str:
    return text(target["labels"].get("node", ""))


def _up(target: Mapping[str, Any]) -> bool:
    return bool(target["health"] == "up")


async def _rules(api: "_Api", groups: tuple[RuleGroup, ...]) -> tuple[LoadedRule, ...]:
    """Return the rules of these groups without their active alerts, whose number is unlimited."""
    found = []
    for start in range(0, len(groups), _GROUPS_AT_ONCE):
        part = {(group.name, group.file): group for group in groups[start : start + _GROUPS_AT_ONCE]}
        names = [("rule_group[]", name) for name in sorted({name for name, _ in part})]
        for one in (await api.get("rules", [("exclude_alerts", "true"), *names]))["groups"]:
            group = next((part[key] for key in part if key[0] == one["name"] and key[1] in one["file"]), None)
            if group:
                found += [_rule(group, rule) for rule in one["rules"]]
    return tuple(found)


def _rule(group: RuleGroup, rule: Mapping[str, Any]) -> LoadedRule:
    words = fingerprint(rule.get("duration") or 0, rule.get("annotations") or {})
    return LoadedRule(group, text(rule["name"]), text(rule["health"]), text(rule.get("lastError") or ""), words)


def text(value: str) -> str:
    """Return a text from Prometheus for a message: shortened, on one line, without the ports of single connections."""
    line = re.sub(r":\d+->", "->", "".join(letter if letter.isprintable() else " " for letter in value))
    return line if len(line) <= _HEAD + _TAIL else f"{line[: _HEAD - 5]} ... {line[-_TAIL:]}"


@dataclass(frozen=True)
class _Api:
    """The HTTP API of one Prometheus pod."""

    connections: aiohttp.ClientSession
    root: URL
    prefix: str

    async def get(self, path: str, query: Any = None, *, elements: str = "", cut: bool = False) -> Any:
        """Return the `data` of a response, or the elements of a list in it; with `cut`, as many as fit."""
        url = self.root.with_path(f"{self.prefix}/{path}")
        try:
            async with self.connections.get(url, params=query, allow_redirects=False) as response:
                body, whole = await _read(response)
                _raise_for_status(response, body)
            if not whole and not cut:
                raise QueryError(Reason.RESPONSE_TOO_LARGE, f"{url} responds with more than {MAX_BYTES} bytes")
            if elements and not whole:
                return list(_first_elements(body.decode(errors="replace"), elements))
            data = json.loads(body)["data"]
            return data[elements] if elements else data
        except TimeoutError as error:
            raise QueryError(Reason.TIMEOUT, f"{url} does not respond within {_TIMEOUT.total:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise QueryError(Reason.UNREACHABLE, f"{url}: {text(str(error) or type(error).__name__)}") from error


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """Return the body up to the size limit, and whether it is complete."""
    body = b""
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MAX_BYTES:
            return body[:MAX_BYTES], False
    return body, True


def _raise_for_status(response: aiohttp.ClientResponse, body: bytes) -> None:
    """Raise a QueryError for a response without a result."""
    if response.status == 200:
        return
    if response.status in {401, 403}:
        raise QueryError(
            Reason.AUTHENTICATION_REQUIRED,
            f"{response.url.path} responds with {response.status}, and Metricat sends no credentials",
        )
    if 300 <= response.status < 400:
        raise QueryError(
            Reason.REDIRECTED, f"{response.url.path} redirects, which Metricat does not follow. Check spec.routePrefix"
        )
    try:
        said = text(str(json.loads(body)["error"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        said = "check spec.routePrefix"
    raise QueryError(Reason.INVALID_RESPONSE, f"{response.url.path} responds with {response.status}: {said}")


def _first_elements(body: str, name: str) -> Iterator[Any]:
    """Yield the complete elements of a list in a truncated JSON text."""
    decoder = json.JSONDecoder()
    start = body.index(f'"{name}":[') + len(name) + 4
    while True:
        try:
            element, end = decoder.raw_decode(body, start)
        except ValueError:
            return
        yield element
        start = end + 1  # the comma
