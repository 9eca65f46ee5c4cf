"""Periodic queries to each Prometheus about each target, independent of the reconciles.

A reconcile subscribes its queries and uses the latest results. A slow or dead Prometheus delays only its own results.
See docs/design/0010.
"""

import asyncio
import random
import re
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import structlog

from metricat_operator.cluster.prometheus_client import QueryError, query_prometheus
from metricat_operator.conditions import Reason
from metricat_operator.facts.prometheus_query import LoadedRule, PrometheusQuery, QueryResult

log = structlog.get_logger(__name__)

Key = tuple[str, str]
"""Namespace and name of a target."""

_PERIOD_SECONDS = 20.0
_RETRY_SECONDS = 5.0
_CONFIRMATIONS = 2
"""Number of consecutive results that must differ before they replace the reported one: a restart of Prometheus, or a
rule before its first evaluation, changes results only briefly."""


class PrometheusPoller:
    """Holds the latest results about each target.

    `changed` is called when the results of a target change. `enqueue` puts a target on the queue whose workers call
    `work`.
    """

    def __init__(
        self, connections: aiohttp.ClientSession, changed: Callable[[Key], None], enqueue: Callable[[Key], None]
    ) -> None:
        self._enqueue = enqueue
        self._connections = connections
        self._changed = changed
        self._queries: dict[Key, tuple[PrometheusQuery, ...]] = {}
        self._results: dict[Key, tuple[QueryResult, ...]] = {}
        self._differing: dict[Key, int] = {}

    def subscribe(self, key: Key, prometheus_queries: tuple[PrometheusQuery, ...]) -> tuple[QueryResult, ...]:
        """Run these queries from now on; return the latest results, which may be those of earlier queries."""
        if self._queries.get(key, ()) != prometheus_queries:
            self._queries[key] = prometheus_queries
            self._enqueue(key)
        return self._results.get(key, ())

    def forget(self, key: Key) -> None:
        """Drop the queries and results of a deleted target."""
        for known in (self._queries, self._results, self._differing):
            known.pop(key, None)

    async def work(self, key: Key) -> float | None:
        """Run all queries of one target; return the seconds until the next run, None without queries."""
        prometheus_queries = self._queries.get(key, ())
        before = {query_result.instance: query_result for query_result in self._results.get(key, ())}
        with structlog.contextvars.bound_contextvars(target="/".join(key)):
            found = await asyncio.gather(*(_query_shards(self._connections, query) for query in prometheus_queries))
        if self._queries.get(key, ()) != prometheus_queries:
            return _RETRY_SECONDS if key in self._queries else None  # the key is on the queue already
        query_results = tuple(_stable(query_result, before.get(query_result.instance)) for query_result in found)
        if query_results == self._results.get(key, ()):
            self._differing.pop(key, None)
        else:
            self._differing[key] = self._differing.get(key, 0) + 1
            if (
                before.keys() == {query_result.instance for query_result in query_results}
                and self._differing[key] < _CONFIRMATIONS
            ):
                return _RETRY_SECONDS
            self._differing.pop(key, None)
            self._results[key] = query_results
            self._changed(key)
        if all(query.blocked_by for query in prometheus_queries):
            return None
        return _PERIOD_SECONDS * random.uniform(0.8, 1.2)  # noqa: S311 (jitter, not a secret)


async def _query_shards(connections: aiohttp.ClientSession, query: PrometheusQuery) -> QueryResult:
    """Return the combined result of all shards: each scrapes a part of the nodes and has all rules."""
    if query.blocked_by:
        return QueryResult(query.instance, query.blocked_by)
    parts = await asyncio.gather(*(_query_shard(connections, query, number) for number in range(len(query.shards))))
    nodes: dict[str, bool] = {}
    errors: dict[str, str] = {}
    for part in parts:
        nodes |= {node: up or nodes.get(node, False) for node, up in part.nodes.items()}
        errors |= part.errors
    problems = [part.problem for part in parts if part.problem]
    return QueryResult(
        query.instance,
        problems[0] if problems else None,
        nodes,
        {node: error for node, error in errors.items() if not nodes[node]},
        min((part.rules for part in parts if not part.problem), key=_rank, default=()),
        configured=any(part.configured for part in parts),
        reloaded=all(part.reloaded for part in parts),
    )


def _rank(rules: tuple[LoadedRule, ...]) -> tuple[int, int]:
    """Rank shards: the one with the fewest rules, or the most failing rules, is reported."""
    return len(rules), -sum(rule.health == "err" for rule in rules)


async def _query_shard(connections: aiohttp.ClientSession, query: PrometheusQuery, number: int) -> QueryResult:
    """Return the result of the shard's first pod that responds."""
    problem = None
    for server in query.shards[number]:
        if not server.address:
            problem = problem or (Reason.NOT_READY, f"pod {server.name} {server.reason}")
            continue
        try:
            return await query_prometheus(connections, query, server)
        except QueryError as error:
            log.debug("the query of a pod failed", pod=server.name, reason=error.reason, error=str(error))
            advice = f". {query.after_timeout}" if error.reason == Reason.TIMEOUT else ""
            problem = (error.reason, f"{error}{advice}")
    return QueryResult(query.instance, problem or (Reason.NOT_READY, "no pod exists"))


def _stable(query_result: QueryResult, before: QueryResult | None) -> QueryResult:
    """Return the result, with the earlier error text where the new text differs only in details.

    An error names a connection, or one of several series. Both change from query to query, and each new text would
    cause a status write.
    """
    if before is None:
        return query_result
    errors = {node: _same(error, before.errors.get(node, "")) for node, error in query_result.errors.items()}
    known = {(rule.group, rule.name): rule.error for rule in before.rules if rule.error}
    rules = tuple(
        replace(rule, error=_same(rule.error, known.get((rule.group, rule.name), ""))) if rule.error else rule
        for rule in query_result.rules
    )
    problem = query_result.problem
    if problem and before.problem and problem[0] == before.problem[0]:
        problem = (problem[0], _same(problem[1], before.problem[1]))
    return replace(query_result, problem=problem, errors=errors, rules=rules)


def _same(text: str, before: str) -> str:
    return before if _normalised(text) == _normalised(before) else text


def _normalised(text: str) -> str:
    return re.sub(r"\d+|\{[^}]*\}?", "", text)
