"""Queries to one pod: recorded responses of a real Prometheus are parsed, and any other response causes no crash."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from metricat_operator.cluster.prometheus_client import MAX_BYTES, QueryError, query_prometheus, session, text
from metricat_operator.cluster.prometheus_poller import PrometheusPoller
from metricat_operator.facts.prometheus_query import (
    Endpoint,
    Job,
    LoadedRule,
    PrometheusPod,
    PrometheusQuery,
    QueryResult,
    RuleGroup,
    fingerprint,
)
from support.paths import FIXTURES

RECORDED = FIXTURES / "prometheus"
GROUP = RuleGroup("uid2", "bad")
JOB = Job("monitoring", "metricat-nodes", "serviceMonitor/monitoring/metricat-nodes/0", 60)
QUESTION = PrometheusQuery("Prometheus monitoring/k8s", Endpoint(prefix="/prom/"), job=JOB, groups=(GROUP,))
FINE = fingerprint(0, {"x": "y"})
Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def recorded(**instead: str) -> Handle:
    """Return the recorded responses, or the given ones."""

    async def handle(request: web.Request) -> web.StreamResponse:
        name = request.path.removeprefix("/prom/api/v1/").rpartition("/")[2]
        requests.append(request.path_qs)
        body = instead.get(name) or (RECORDED / f"{name}.json").read_text()
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(body.encode())
        return response

    requests: list[str] = []
    handle.requests = requests  # type: ignore[attr-defined]  # the received requests
    return handle


def answered(handle: Handle, query: PrometheusQuery = QUESTION) -> QueryResult:
    async def run() -> QueryResult:
        application = web.Application()
        application.router.add_get("/{path:.*}", handle)
        async with TestServer(application) as server, session() as connections:
            return await query_prometheus(
                connections, query, PrometheusPod("0", "prometheus-k8s-0", "127.0.0.1", server.port or 0)
            )

    return asyncio.run(run())


def test_result_has_nodes_errors_and_rules() -> None:
    found = answered(recorded())
    assert found.nodes == {"n1": True, "n2": False}
    assert found.errors == {"n2": 'Get "http://127.0.0.1:1/metrics": dial tcp 127.0.0.1:1: connect: connection refused'}
    failing, fine = found.rules
    assert (failing.name, failing.health, fine) == ("bad:one", "err", LoadedRule(GROUP, "Fine", fingerprint=FINE))
    assert failing.error.startswith("found duplicate series for the match group {job=")
    assert failing.error.endswith("many-to-many matching not allowed: matching labels must be unique on one side")
    assert len(failing.error) == 300
    assert (found.configured, found.reloaded) == (True, True)


def test_result_reports_a_failed_reload() -> None:
    assert answered(recorded(runtimeinfo='{"data": {"reloadConfigSuccess": false}}')).reloaded is False


def test_query_sends_only_needed_requests_under_the_route_prefix() -> None:
    handle = recorded(query='{"data": {"result": [{"metric": {"node": "n1"}, "value": [1, "1"]}]}}')
    assert answered(handle).nodes == {"n1": True}
    query, rules, info = handle.requests  # type: ignore[attr-defined]
    assert info == "/prom/api/v1/status/runtimeinfo"
    assert query.startswith("/prom/api/v1/query?")
    assert parse_qs(rules.partition("?")[2]) == {"exclude_alerts": ["true"], "rule_group[]": ["bad"]}


def test_thanos_ruler_without_reload_status_counts_as_reloaded() -> None:
    found = answered(recorded(rules='{"data": {"groups": []}}', runtimeinfo='{"data": {"GOGC": ""}}'))
    assert (found.rules, found.reloaded) == ((), True)


def test_group_of_the_same_name_in_another_file_is_ignored() -> None:
    assert answered(recorded(), replace(QUESTION, groups=(RuleGroup("uid9", "bad"),))).rules == ()


def test_missing_targets_lead_to_a_query_of_scrape_pools() -> None:
    empty = '{"data": {"result": []}}'
    assert answered(recorded(query=empty)).configured is True
    other = replace(QUESTION, job=replace(JOB, pool="serviceMonitor/monitoring/other/0"))
    assert answered(recorded(query=empty), other).configured is False
    refused = '{"data": {"reloadConfigSuccess": false}}'
    assert answered(recorded(query=empty, runtimeinfo=refused)).reloaded is False


def test_prometheus_agent_is_queried_by_its_targets() -> None:
    found = answered(recorded(query="no"), replace(QUESTION, can_query=False, groups=()))
    assert found.nodes == {"n1": True, "n2": False}
    assert "connection refused" in found.errors["n2"]


def test_errors_of_many_targets_are_cut_to_what_fits() -> None:
    one = '{{"labels": {{"node": "n{0}"}}, "health": "down", "lastError": "e", "discoveredLabels": "{1}"}}'
    targets = ",".join(one.format(number, "x" * 3000) for number in range(1000))
    samples = ",".join(f'{{"metric": {{"node": "n{number}"}}, "value": [1, "0"]}}' for number in range(1000))
    handle = recorded(
        targets=f'{{"data": {{"activeTargets":[{targets}]}}}}', query=f'{{"data": {{"result": [{samples}]}}}}'
    )
    found = answered(handle)
    assert len(found.nodes) == 1000
    assert 300 < len(found.errors) < 350
    with pytest.raises(QueryError, match=str(MAX_BYTES)):
        answered(handle, replace(QUESTION, can_query=False))


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (302, {"Location": "http://169.254.169.254/secret"}, "Redirected"),
        (401, {}, "AuthenticationRequired"),
        (403, {}, "AuthenticationRequired"),
        (404, {}, "InvalidResponse"),
    ],
)
def test_failed_response_gives_its_reason(status: int, headers: Mapping[str, str], reason: str) -> None:
    on_request = []

    async def handle(request: web.Request) -> web.Response:
        on_request.append(request.headers)
        return web.Response(status=status, headers=headers)

    with pytest.raises(QueryError) as caught:
        answered(handle)
    assert caught.value.reason == reason
    assert len(on_request) == 1
    assert not {"Authorization", "Cookie"} & on_request[0].keys()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        '{"data": 1}',
        '{"data": {"result": [1]}}',
        '{"data": {"result": [{"metric": 7}]}}',
        "[" * 90_000,
    ],
)
def test_garbage_response_is_an_invalid_response(body: str) -> None:
    with pytest.raises(QueryError) as caught:
        answered(recorded(query=body or " "))
    assert caught.value.reason == "InvalidResponse"


def test_endless_response_is_not_read() -> None:
    sent = 0

    async def handle(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        while sent < 100 * MAX_BYTES:
            await response.write(b"x" * 65536)
            sent += 65536
        return response

    with pytest.raises(QueryError) as caught:
        answered(handle)
    assert caught.value.reason == "ResponseTooLarge"
    assert sent < 10 * MAX_BYTES


def test_closed_port_is_unreachable() -> None:
    async def run() -> None:
        async with session() as connections:
            await query_prometheus(connections, QUESTION, PrometheusPod("0", "prometheus-k8s-0", "127.0.0.1", 1))

    with pytest.raises(QueryError) as caught:
        asyncio.run(run())
    assert caught.value.reason == "Unreachable"


def test_change_is_reported_after_two_equal_results() -> None:
    up = '{"data": {"result": [{"metric": {"node": "n1"}, "value": [1, "1"]}]}}'
    query_results = {"query": up}
    key = ("monitoring", "nodes")
    due: list[tuple[str, str]] = []
    changed: list[tuple[str, str]] = []

    async def handle(request: web.Request) -> web.StreamResponse:
        return await recorded(**query_results)(request)

    async def run() -> None:
        application = web.Application()
        application.router.add_get("/{path:.*}", handle)
        async with TestServer(application) as server, session() as connections:
            poller = PrometheusPoller(connections, changed.append, due.append)
            pod = PrometheusPod("0", "prometheus-k8s-0", "127.0.0.1", server.port or 0)
            query = replace(QUESTION, shards=((replace(pod, address="", reason="is not ready"), pod),))
            assert poller.subscribe(key, (query,)) == ()
            assert due == [key]
            assert 16 <= (await poller.work(key) or 0) <= 24
            assert changed == [key]
            [first] = poller.subscribe(key, (query,))
            assert (first.nodes, first.problem) == ({"n1": True}, None)
            del query_results["query"]
            assert await poller.work(key) == 5
            assert poller.subscribe(key, (query,)) == (first,)
            query_results["query"] = up  # it was but a moment
            await poller.work(key)
            del query_results["query"]
            assert await poller.work(key) == 5
            await poller.work(key)
            [second] = poller.subscribe(key, (query,))
            assert second.nodes == {"n1": True, "n2": False}
            assert changed == [key, key]
            assert poller.subscribe(key, ()) == (second,)
            assert await poller.work(key) is None
            assert poller.subscribe(key, ()) == ()
            assert due == [key, key]

    asyncio.run(run())


def test_timeout_and_unreachable_come_with_a_remedy() -> None:
    async def run() -> QueryResult:
        async with session() as connections:
            poller = PrometheusPoller(connections, lambda _: None, lambda _: None)
            gone = PrometheusPod("0", "prometheus-k8s-0", "127.0.0.1", 1)
            poller.subscribe(("a", "b"), (replace(QUESTION, shards=((gone,),)),))
            await poller.work(("a", "b"))
            return poller.subscribe(("a", "b"), (replace(QUESTION, shards=((gone,),)),))[0]

    problem = asyncio.run(run()).problem
    assert problem is not None
    assert problem[0] == "Unreachable"


def test_foreign_text_becomes_one_short_line() -> None:
    assert text("a\x1b[2J\nb") == "a [2J b"
    assert len(text("x" * 1000)) == 300
    assert (
        text("read tcp 10.0.0.1:53422->10.0.0.2:9100: i/o timeout") == "read tcp 10.0.0.1->10.0.0.2:9100: i/o timeout"
    )
