"""One pod of a Prometheus is asked over HTTP; only what is parsed here leaves this module.

Who may write a Prometheus object chooses whom the operator talks to. So it sends GET requests of its own making without
credentials, follows no redirect, reads at most 1 MiB of an answer, and keeps short texts without control characters.
Certificates are not verified: whom to trust is in secrets, which the operator does not read.
"""

import json
import re
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from yarl import URL

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
"""Of one answer. 1,000 nodes make 80 kB of query result, Metricat's own rules 64 kB; but 160 targets fill it."""

_TIMEOUT = aiohttp.ClientTimeout(total=5)
_GROUPS_AT_ONCE = 16
_HEAD, _TAIL = 180, 120
"""Characters that are kept of a longer text: what went wrong stands at its end as often as at its start."""


class QueryError(Exception):
    """There is no answer; `reason` is for programs, the message for people."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def session() -> aiohttp.ClientSession:
    """Connections to Prometheus, and to nobody else: no proxy and no cookie of anybody's."""
    unverified = ssl.create_default_context()
    unverified.check_hostname = False
    unverified.verify_mode = ssl.CERT_NONE
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=unverified, limit=16),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"Accept-Encoding": "identity", "User-Agent": "metricat-operator"},
        timeout=_TIMEOUT,
    )


async def query_prometheus(
    connections: aiohttp.ClientSession, query: PrometheusQuery, server: PrometheusPod
) -> QueryResult:
    """What this pod knows of what the question is about.

    Raises:
        AskError: it does not say.
    """
    scheme = "https" if query.web.tls else "http"
    root = URL.build(scheme=scheme, host=server.address, port=server.port)
    api = _Api(connections, root, f"{query.web.prefix.rstrip('/')}/api/v1")
    try:
        return await _answer(api, query)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise QueryError("NotUnderstood", f"{root} gives no answer of a Prometheus: {text(repr(error))}") from error


async def _answer(api: "_Api", query: PrometheusQuery) -> QueryResult:
    nodes: Mapping[str, bool] = {}
    errors: Mapping[str, str] = {}
    if query.job:
        nodes, errors = await _scraped(api, query.job, can_query=query.can_query)
    rules = await _rules(api, query.groups)
    configured = True
    unseen = query.job and not nodes
    if query.job and unseen:
        configured = query.job.pool in (await api.get("scrape_pools"))["scrapePools"]
    reloaded = bool((await api.get("status/runtimeinfo")).get("reloadConfigSuccess", True))  # Thanos says nothing
    return QueryResult(query.instance, None, nodes, errors, rules, configured, reloaded)


async def _scraped(api: "_Api", job: Job, *, can_query: bool) -> tuple[Mapping[str, bool], Mapping[str, str]]:
    """Whether each node is up, and the last error of those that are not, as far as they fit."""
    pool = {"state": "active", "scrapePool": job.pool}
    if not can_query:  # an agent keeps no samples
        targets = await api.get("targets", pool, elements="activeTargets")
        up = {_node(one) for one in targets if _up(one)}
        nodes = {node: node in up for node in map(_node, targets)}
        return nodes, _errors(targets, nodes)
    series = f'up{{namespace="{job.namespace}",service="{job.service}"}}'
    # `up` alone would still tell of what was scraped five minutes ago, before Prometheus was started anew.
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
    """The rules of these groups, without their alerts, of which there may be any number."""
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
    """Somebody's words, fit to be shown: bounded, in one line; without the ports that differ at each connection."""
    line = re.sub(r":\d+->", "->", "".join(letter if letter.isprintable() else " " for letter in value))
    return line if len(line) <= _HEAD + _TAIL else f"{line[: _HEAD - 5]} ... {line[-_TAIL:]}"


@dataclass(frozen=True)
class _Api:
    """The HTTP API of one pod."""

    connections: aiohttp.ClientSession
    root: URL
    prefix: str

    async def get(self, path: str, query: Any = None, *, elements: str = "", cut: bool = False) -> Any:
        """The `data` of an answer; or the elements of a list in it, where it may be `cut` as many as fit."""
        url = self.root.with_path(f"{self.prefix}/{path}")
        try:
            async with self.connections.get(url, params=query, allow_redirects=False) as response:
                body, whole = await _read(response)
                _check(response, body)
            if not whole and not cut:
                raise QueryError("TooLarge", f"{url} answers with more than {MAX_BYTES} bytes")
            if elements and not whole:
                return list(_first_elements(body.decode(errors="replace"), elements))
            data = json.loads(body)["data"]
            return data[elements] if elements else data
        except TimeoutError as error:
            raise QueryError("Timeout", f"{url} does not answer within {_TIMEOUT.total:.0f} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise QueryError("Unreachable", f"{url}: {text(str(error) or type(error).__name__)}") from error


async def _read(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    """The body as far as it may be read, and whether that is all of it."""
    body = b""
    async for chunk in response.content.iter_chunked(1 << 16):
        body += chunk
        if len(body) > MAX_BYTES:
            return body[:MAX_BYTES], False
    return body, True


def _check(response: aiohttp.ClientResponse, body: bytes) -> None:
    """Raise what an answer that is none means."""
    if response.status == 200:
        return
    if response.status in {401, 403}:
        raise QueryError("CredentialsWanted", f"{response.url.path} answers {response.status}, and Metricat sends none")
    if 300 <= response.status < 400:
        raise QueryError("Redirected", f"{response.url.path} redirects, which is not followed: is routePrefix right?")
    try:
        said = text(str(json.loads(body)["error"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        said = "is routePrefix right?"
    raise QueryError("NotUnderstood", f"{response.url.path} answers {response.status}: {said}")


def _first_elements(body: str, name: str) -> Iterator[Any]:
    """The elements of the list of this name that are whole in a JSON text that was cut off."""
    decoder = json.JSONDecoder()
    start = body.index(f'"{name}":[') + len(name) + 4
    while True:
        try:
            element, end = decoder.raw_decode(body, start)
        except ValueError:
            return
        yield element
        start = end + 1  # the comma
