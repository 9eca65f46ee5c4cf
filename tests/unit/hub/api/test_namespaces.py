"""A client that may see some namespaces gets nothing of the others, from any operation."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

import pytest

from metricat_hub.access.authenticators import Access
from metricat_hub.access.principal import Principal
from metricat_hub.api.application import OPERATIONS, application
from metricat_hub.api.services import Services
from metricat_hub.model.alerts import fingerprint
from metricat_hub.model.metadata import Metadata
from metricat_hub.store.alert_history import SqlHistory, open_sqlite
from metricat_hub.use_cases.restriction import namespace_matchers
from metricat_hub.use_cases.targets import DroppedTarget, Targets, TargetState
from support.alert_history_contract import RETENTION, alert, whole
from support.hub_store import BEGIN, MINUTE, Clock, labels, open_store, write

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from metricat_hub.access.credentials import Credentials
    from metricat_hub.api.operations import Operation
    from metricat_hub.store.embedded import EmbeddedStore

NOW = BEGIN + 10 * MINUTE
HIDDEN = "hidden"
"""Part of each name and value that the client must not see."""
VALUES = {
    "query": ['{__name__=~".+"}', "count by (__name__, namespace, node) ({__name__!=''})", f"{HIDDEN}_metric"],
    "match[]": ['{__name__=~".+"}', f'{{namespace="{HIDDEN}-ns"}}'],
    "name": ["__name__", "namespace", "node"],
    "metric": ["cpu_usage_percent", "node_load1", f"{HIDDEN}_metric"],
    "node": [f"{HIDDEN}-node", ""],
    "start": [str(BEGIN / 1000)],
    "end": [str(NOW / 1000)],
    "step": ["60"],
    "state": ["any", "resolved", "resolved"],
    "fingerprint": [fingerprint(alert(f"{HIDDEN}-alert", node=f"{HIDDEN}-node", namespace=f"{HIDDEN}-ns"))],
}


class Fixed:
    """Every client is this one."""

    def __init__(self, principal: Principal) -> None:
        self._principal = principal

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        del credentials
        return self._principal


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EmbeddedStore]:
    store = open_store(tmp_path, Clock(NOW))
    points = [(NOW - MINUTE * at, float(at)) for at in range(5)]
    names = ("up", "node_load1", "node_memory_MemTotal_bytes", "node_memory_MemAvailable_bytes")
    seen = {"namespace": "team-a", "node": "seen-node", "service": "metricat-nodes", "pool": "default"}
    hidden = {**seen, "namespace": f"{HIDDEN}-ns", "node": f"{HIDDEN}-node"}
    without = {"node": f"{HIDDEN}-node-without-namespace"}
    series = {labels(name, **more): points for name in names for more in (seen, hidden, without)}
    series |= {labels(f"{HIDDEN}_metric", **hidden): points}
    assert write(store, series).accepted == len(series) * len(points)
    store.set_metadata({f"{HIDDEN}_metric": Metadata("gauge", f"{HIDDEN} help"), "up": Metadata("gauge", "seen help")})
    yield store
    store.close()


@pytest.fixture
def history(tmp_path: Path) -> Iterator[SqlHistory]:
    history = open_sqlite(tmp_path, RETENTION)
    seen = {"node": "seen-node", "namespace": "team-a"}
    hidden = {"node": f"{HIDDEN}-node", "namespace": f"{HIDDEN}-ns"}
    for own in (seen, hidden, {**hidden, "namespace": ""}):
        name = "Seen" if own is seen else f"{HIDDEN}-alert"
        history.record(whole(NOW - 3 * MINUTE, MINUTE, alert(name, **own)))
    yield history
    history.close()


def services(store: EmbeddedStore, namespaces: frozenset[str] | None, history: SqlHistory | None = None) -> Services:
    principal = Principal("dev", frozenset(("read",)), kind="kubernetes", namespaces=namespaces)
    state = TargetState(
        pool=f"{HIDDEN}-job",
        url=f"http://{HIDDEN}",
        labels=labels("x", node=f"{HIDDEN}-node"),
        discovered=labels("x"),
        interval=1000,
        timeout=1000,
        health="down",
        error=HIDDEN,
        last_scrape=NOW,
        duration=0.1,
    )
    targets = Targets([state], [DroppedTarget(f"{HIDDEN}-job", labels("x"))])
    return Services(
        store=store,
        access=Access([Fixed(principal)]),
        now=lambda: NOW,
        targets=lambda: targets,
        alert_history=history,
        problems=lambda: [f"rule {HIDDEN} fails"],
        degradations=lambda: [f"receiver {HIDDEN} fails"],
    )


def get(found: Services, path: str, query: str = "") -> tuple[int, str]:
    """Return status and body of a GET request."""
    scope = dict[str, Any](
        type="http",
        asgi={"version": "3.0"},
        http_version="1.1",
        method="GET",
        scheme="http",
        path=path,
        raw_path=path.encode(),
        query_string=query.encode(),
        root_path="",
        headers=[(b"host", b"hub")],
        client=("192.0.2.1", 1),
        server=("hub", 80),
    )
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0 if not received else 60)
        received.append(True)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    received: list[bool] = []
    asyncio.run(cast("Any", application(found))(scope, receive, send))
    body = b"".join(one.get("body", b"") for one in sent if one["type"] == "http.response.body")
    return next(one["status"] for one in sent if one["type"] == "http.response.start"), body.decode()


def requests(operation: Operation) -> Iterator[tuple[str, str]]:
    """Yield paths and queries that show as much as possible."""
    for number in range(3):
        given = {name: values[number % len(values)] for name, values in VALUES.items()}
        path = "/".join(
            given.get(re.sub(r"[{}]|:\w+", "", part), "cpu") if "{" in part else part
            for part in operation.path.split("/")
        )
        names = [one.name for one in operation.parameters if one.where == "query" and given.get(one.name)]
        yield path, urlencode({name: given[name] for name in names})


WITHOUT_SAMPLES = ("/api/v1/format_query", "/api/v1/parse_query")
"""Operations that return the query of the request in another form, and read no samples."""
READ = [one for one in OPERATIONS if one.scope == "read" and "GET" in one.methods and one.path not in WITHOUT_SAMPLES]


@pytest.mark.parametrize("operation", READ, ids=[one.path for one in READ])
@pytest.mark.parametrize("namespaces", [frozenset({"team-a"}), frozenset({"team-b"}), frozenset[str]()], ids=str)
def test_no_operation_shows_another_namespace(
    store: EmbeddedStore, history: SqlHistory, operation: Operation, namespaces: frozenset[str]
) -> None:
    for path, query in requests(operation):
        status, body = get(services(store, namespaces, history), path, query)
        echoed = [one for one in urlencode({"q": HIDDEN}).split("=") if one in query]
        assert status < 500, body
        shown = body if not echoed or status == 200 else re.sub(rf"{HIDDEN}[-_\w]*", "", body, count=1)
        assert HIDDEN not in shown, (path, query, body)
        if "team-a" not in namespaces:
            assert "seen-node" not in body, (path, query, body)


def test_visible_namespace_is_shown_and_everything_without_a_restriction(
    store: EmbeddedStore, history: SqlHistory
) -> None:
    query = urlencode({"query": "count by (namespace) (node_load1)", "time": NOW / 1000})
    assert '"team-a"' in get(services(store, frozenset({"team-a"})), "/api/v1/query", query)[1]
    everything = get(services(store, None), "/api/v1/query", query)[1]
    assert '"team-a"' in everything
    assert HIDDEN in everything
    assert HIDDEN in get(services(store, None), "/api/v1/targets")[1]
    for path in ("/api/v1/alerts/history", "/api/v1/alerts/statistics"):
        assert "Seen" in get(services(store, frozenset({"team-a"}), history), path)[1]
        assert HIDDEN in get(services(store, None, history), path)[1]
    nodes = get(services(store, frozenset({"team-a"})), "/api/nodes")[1]
    assert "seen-node" in nodes


def test_names_that_are_not_namespaces_match_nothing() -> None:
    assert namespace_matchers(["team-a", ".*", "x|y", "", "A"]) == namespace_matchers(["team-a"])
    assert namespace_matchers([".*"]) == namespace_matchers([])
