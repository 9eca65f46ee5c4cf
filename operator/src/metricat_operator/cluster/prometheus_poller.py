"""Asking each Prometheus about each target that it serves, again and again, beside the reconciles.

A reconcile says what is to be asked and takes the answers that there are; a Prometheus that is slow or dead holds up
nothing but the answers about itself.
"""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import structlog

from metricat_operator.cluster.prometheus_client import QueryError, query_prometheus
from metricat_operator.facts.prometheus_query import LoadedRule, PrometheusQuery, QueryResult

log = structlog.get_logger(__name__)

Key = tuple[str, str]
"""Namespace and name of a target."""

_PERIOD_SECONDS = 20.0
_AGAIN_SECONDS = 5.0
_LOOKS = 2
"""How many looks in a row must differ from what is told: a restart, or a rule before its first evaluation, passes."""


class PrometheusPoller:
    """Holds the newest answers about each target.

    Its owner sets `due`, which puts a target on the queue whose worker is `work`; `changed` is called when a target's
    answers are others than before.
    """

    def __init__(self, connections: aiohttp.ClientSession, changed: Callable[[Key], None]) -> None:
        self.enqueue: Callable[[Key], None]
        self._connections = connections
        self._changed = changed
        self._wanted: dict[Key, tuple[PrometheusQuery, ...]] = {}
        self._told: dict[Key, tuple[QueryResult, ...]] = {}
        self._doubts: dict[Key, int] = {}

    def subscribe(self, key: Key, prometheus_queries: tuple[PrometheusQuery, ...]) -> tuple[QueryResult, ...]:
        """Have these questions asked from now on; returns the answers so far, to the earlier ones perhaps."""
        if self._wanted.get(key, ()) != prometheus_queries:
            self._wanted[key] = prometheus_queries
            self.enqueue(key)
        return self._told.get(key, ())

    def forget(self, key: Key) -> None:
        """The target is gone."""
        for known in (self._wanted, self._told, self._doubts):
            known.pop(key, None)

    async def work(self, key: Key) -> float | None:
        """Ask everything about one target; returns in how many seconds to ask again, None where nothing is asked."""
        prometheus_queries = self._wanted.get(key, ())
        before = {query_result.instance: query_result for query_result in self._told.get(key, ())}
        with structlog.contextvars.bound_contextvars(target="/".join(key)):
            found = await asyncio.gather(*(_answered(self._connections, query) for query in prometheus_queries))
        if self._wanted.get(key, ()) != prometheus_queries:
            return _AGAIN_SECONDS if key in self._wanted else None  # it is on the queue already
        query_results = tuple(_steady(query_result, before.get(query_result.instance)) for query_result in found)
        if query_results == self._told.get(key, ()):
            self._doubts.pop(key, None)
        else:
            self._doubts[key] = self._doubts.get(key, 0) + 1
            if (
                before.keys() == {query_result.instance for query_result in query_results}
                and self._doubts[key] < _LOOKS
            ):
                return _AGAIN_SECONDS
            self._doubts.pop(key, None)
            self._told[key] = query_results
            self._changed(key)
        if all(query.blocked_by for query in prometheus_queries):
            return None
        return _PERIOD_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 (jitter, not a secret)


async def _answered(connections: aiohttp.ClientSession, query: PrometheusQuery) -> QueryResult:
    """The answer of all shards, which know a part of the nodes each, and all of the rules."""
    if query.blocked_by:
        return QueryResult(query.instance, query.blocked_by)
    parts = await asyncio.gather(*(_shard(connections, query, number) for number in range(len(query.shards))))
    nodes: dict[str, bool] = {}
    errors: dict[str, str] = {}
    for part in parts:
        nodes |= {node: up or nodes.get(node, False) for node, up in part.nodes.items()}
        errors |= part.errors
    child_errors = [part.trouble for part in parts if part.trouble]
    return QueryResult(
        query.instance,
        child_errors[0] if child_errors else None,
        nodes,
        {node: error for node, error in errors.items() if not nodes[node]},
        min((part.rules for part in parts if not part.trouble), key=_worth, default=()),
        configured=any(part.configured for part in parts),
        reloaded=all(part.reloaded for part in parts),
    )


def _worth(rules: tuple[LoadedRule, ...]) -> tuple[int, int]:
    """The shard that has the fewest of the rules, or most of them failing, is the one to tell of."""
    return len(rules), -sum(rule.health == "err" for rule in rules)


async def _shard(connections: aiohttp.ClientSession, query: PrometheusQuery, number: int) -> QueryResult:
    """The answer of the first of the shard's pods that gives one."""
    trouble = None
    for server in query.shards[number]:
        if not server.address:
            trouble = trouble or ("NotReady", f"its pod {server.name} {server.reason}")
            continue
        try:
            return await query_prometheus(connections, query, server)
        except QueryError as error:
            log.debug("a Prometheus does not answer", pod=server.name, reason=error.reason, error=str(error))
            advice = f"; {query.after_timeout}" if error.reason == "Timeout" else ""
            trouble = (error.reason, f"{error}{advice}")
    return QueryResult(query.instance, trouble or ("NotReady", "it has no pod"))


def _steady(query_result: QueryResult, before: QueryResult | None) -> QueryResult:
    """The answer in the earlier one's words where both mean the same.

    The words of an error name a connection, or one of many pairs of series; each other pair would be a write.
    """
    if before is None:
        return query_result
    errors = {node: _same(error, before.errors.get(node, "")) for node, error in query_result.errors.items()}
    known = {(rule.group, rule.name): rule.error for rule in before.rules if rule.error}
    rules = tuple(
        replace(rule, error=_same(rule.error, known.get((rule.group, rule.name), ""))) if rule.error else rule
        for rule in query_result.rules
    )
    trouble = query_result.trouble
    if trouble and before.trouble and trouble[0] == before.trouble[0]:
        trouble = (trouble[0], _same(trouble[1], before.trouble[1]))
    return replace(query_result, trouble=trouble, errors=errors, rules=rules)


def _same(text: str, before: str) -> str:
    return before if _gist(text) == _gist(before) else text


def _gist(text: str) -> str:
    return re.sub(r"\d+|\{[^}]*\}?", "", text)
