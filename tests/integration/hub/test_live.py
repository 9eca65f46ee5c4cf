"""The WebSocket of live values, by an independent client against a real hub with rounds of one second."""

from __future__ import annotations

import contextlib
import itertools
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

from support import hub_process
from support.live_client import LABELS, SECOND, Client, live, milliseconds, push, refused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hub_process import HubProcess

NODES = ("n1", "n2", "n3")
MANY = [f"node-{number:04}" for number in range(2_000)]
"""Nodes whose values fill the buffers of a connection within some rounds."""
SETTINGS = (
    "--collect.interval=1s",
    "--live.max-connections=210",
    "--live.allowed-origins=https://grafana.example",
    "--rate-limit.keys=0",
    "--rate-limit.scrapes=0",
)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with hub_process.running(tmp_path_factory.mktemp("hub"), *SETTINGS) as running:
        push(running, NODES)
        push(running, MANY, seconds=2)
        yield running


def values(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Return the values of a round by metric and node; all series have the labels of the push."""
    for one in found["data"]:
        for value in one["values"]:
            assert {**one["labels"], **value.get("labels", {})} == {**LABELS, "instance": value["node"]}
    return {one["metric"]: {value["node"]: value["value"] for value in one["values"]} for one in found["data"]}


def queried(hub: HubProcess, at: int, nodes: str) -> dict[str, float]:
    """Return the values of a query at a time."""
    found = hub.get("/api/v1/query", query=f'node_load1{{node=~"{nodes}"}}', time=at / SECOND).json["data"]["result"]
    return {one["metric"]["node"]: float(one["value"][1]) for one in found}


def closed(client: Client) -> tuple[int, str, list[dict[str, Any]]]:
    """Read until the connection is closed; return the status, the reason, and the messages before."""
    messages = []
    while True:
        try:
            messages.append(client.receive())
        except ConnectionClosed as error:
            received = error.rcvd
            break
    assert received is not None
    return received.code, received.reason, messages


def counter(hub: HubProcess, name: str) -> float:
    page = hub.get("/metrics").body.decode()
    return float(next(line for line in page.splitlines() if line.startswith(f"metricat_hub_live_{name} ")).split()[1])


def test_each_round_has_the_values_of_a_query_at_its_time(hub: HubProcess) -> None:
    with live(hub) as client:
        assert client.subscribe("load_average_1m", "node_load1", nodes=NODES) == {
            "type": "subscribed",
            "metrics": [{"metric": "load_average_1m", "unit": "processes"}, {"metric": "node_load1", "unit": ""}],
            "nodes": list(NODES),
            "interval_seconds": 1.0,
        }
        times = []
        for _ in range(4):
            found = client.round()
            times.append(milliseconds(found["time"]))
            expected = queried(hub, times[-1], "n.")
            assert sorted(expected) == list(NODES)
            assert values(found) == {"load_average_1m": expected, "node_load1": expected}
        steps = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert all(step > 0 and step % SECOND == 0 for step in steps)


def test_subscription_limits_nodes_and_a_new_one_replaces_it(hub: HubProcess) -> None:
    with live(hub) as client:
        client.subscribe("node_load1", nodes=["n2"])
        assert list(values(client.round())["node_load1"]) == ["n2"]
        client.send({"type": "subscribe", "metrics": ["load_average_1m"], "nodes": ["n1", "n3", "unknown"]})
        while (found := client.receive())["type"] != "subscribed":
            assert list(values(found)) == ["node_load1"]
        assert list(values(client.round())["load_average_1m"]) == ["n1", "n3"]
        client.send({"type": "unsubscribe"})
        while (found := client.receive())["type"] != "unsubscribed":
            assert list(values(found)) == ["load_average_1m"]
        client.send({"type": "ping"})
        assert client.receive()["type"] == "pong"
        with pytest.raises(TimeoutError):
            client.receive(2.5)


def test_client_gets_missed_rounds_from_history_without_a_gap(hub: HubProcess) -> None:
    now = int(time.time()) * SECOND
    with live(hub) as client:
        client.subscribe("node_load1", nodes=["n1"], since=(now - 60 * SECOND) / SECOND)
        rounds = [client.round() for _ in range(70)]
    times = [milliseconds(one["time"]) for one in rounds]
    covered = [0, *(one["skipped"] for one in rounds)]
    for before, at, skipped in zip([now - 60 * SECOND, *times], times, covered[1:], strict=False):
        assert at - before == (skipped + 1) * SECOND
    replayed = [one for one in rounds if one.get("replayed")]
    assert len(replayed) >= 58
    for one in replayed[:60:7]:
        assert values(one)["node_load1"] == queried(hub, milliseconds(one["time"]), "n1")
    assert len({values(one)["node_load1"]["n1"] for one in replayed[:50]}) == 50  # not one value again and again
    assert "replayed" not in rounds[-1]


def test_longest_replayed_gap_is_limited_and_the_rest_is_counted(hub: HubProcess) -> None:
    with live(hub) as client:
        client.subscribe("node_load1", nodes=["n1"], since=time.time() - 1000)
        first = client.round()
        assert 600 < first["skipped"] < 680
        assert first["replayed"]
        assert client.round()["skipped"] == 0


def test_client_resumes_after_a_restart_of_the_hub(tmp_path: Path) -> None:
    with hub_process.running(tmp_path, *SETTINGS) as first:
        push(first, NODES)
        key = first.key
        with live(first) as client:
            client.subscribe("node_load1", nodes=["n1"])
            last = client.round()["time"]
            first.process.terminate()
            code, _, messages = closed(client)
        assert code == 1012
        last = messages[-1]["time"] if messages else last
    time.sleep(2)
    with hub_process.running(tmp_path, *SETTINGS) as second, live(second, key=key) as client:
        client.subscribe("node_load1", nodes=["n1"], since=last)
        expected = milliseconds(last)
        for number in range(8):
            found = client.round()
            expected += (found["skipped"] + 1) * SECOND
            assert milliseconds(found["time"]) == expected
            assert number > 1 or (found["replayed"], found["skipped"]) == (True, 0)


def test_slow_client_gets_the_newest_round_and_delays_no_other(hub: HubProcess) -> None:
    """The slow client does not read for some rounds, and its small receive buffer fills up."""
    small = socket.socket()
    small.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    small.connect(("127.0.0.1", urlsplit(hub.url).port))
    before = counter(hub, "skipped_rounds_total")
    with live(hub, sock=small, max_queue=1) as slow, live(hub) as fast:
        slow.subscribe("node_load1", "load_average_1m")
        fast.subscribe("node_load1", "load_average_1m")
        rounds = [fast.round() for _ in range(10)]
        assert len(values(rounds[0])["node_load1"]) == len(MANY) + len(NODES)
        newest = milliseconds(rounds[-1]["time"])
        late, skipped = list[int](), 0
        while not late or late[-1] <= newest:
            found = slow.round()
            late.append(milliseconds(found["time"]))
            skipped += found["skipped"]
    assert skipped > 3
    assert skipped > 2 * sum(one["skipped"] for one in rounds)  # a busy machine may evaluate fewer rounds
    assert late[-1] - late[0] == (len(late) - 1 + skipped) * SECOND
    assert len(late) <= 6  # few rounds wait in the buffers: most are skipped
    assert counter(hub, "skipped_rounds_total") - before >= skipped


def test_two_hundred_clients_share_one_evaluation(hub: HubProcess) -> None:
    with contextlib.ExitStack() as opened:
        clients = [opened.enter_context(live(hub)) for _ in range(200)]
        assert counter(hub, "connections") == 200
        for client in clients:
            client.send({"type": "subscribe", "metrics": ["node_load1"], "nodes": list(NODES)})
        for client in clients:
            assert client.receive()["type"] == "subscribed"
            client.round()
        first, began = counter(hub, "rounds_total"), time.monotonic()
        delivered = counter(hub, "delivered_rounds_total")
        for _ in range(3):
            for client in clients:
                assert len(values(client.round())["node_load1"]) == len(NODES)
        rounds = counter(hub, "rounds_total") - first
        assert rounds <= time.monotonic() - began + 2
        assert counter(hub, "delivered_rounds_total") - delivered >= 100 * rounds


def test_connections_above_the_limit_are_refused(hub: HubProcess) -> None:
    assert hub_process.eventually(lambda: counter(hub, "connections") == 0)
    with contextlib.ExitStack() as opened:
        for _ in range(210):
            opened.enter_context(live(hub))
        status, detail = refused(hub)
        assert (status, "--live.max-connections" in detail) == (503, True)
    assert hub_process.eventually(lambda: counter(hub, "connections") == 0)
    with live(hub) as client:
        assert client.subscribe("node_load1")["type"] == "subscribed"


def test_handshake_without_valid_credentials_is_refused(hub: HubProcess) -> None:
    assert refused(hub, key="")[0] == 401
    assert refused(hub, key="metricat_0123456789ab_" + "A" * 43)[0] == 401
    assert refused(hub, key="", subprotocols=["metricat.live.v1", "bearer.wrong"])[0] == 401
    assert refused(hub, key="", subprotocols=[f"bearer.{hub.key}"])[0] == 400
    assert refused(hub, "/api/v1/live?ticket=wrong")[0] == 401
    writer = hub_process.create_key(hub, "write")
    status, detail = refused(hub, key=writer)
    assert (status, "lacks the scope read" in detail) == (403, True)


def test_page_of_another_origin_is_refused(hub: HubProcess) -> None:
    host = urlsplit(hub.url).netloc
    for origin in ("https://evil.example", "null", f"http://{host}.evil.example"):
        status, detail = refused(hub, origin=origin)
        assert (status, "--live.allowed-origins" in detail) == (403, True)
    for origin in (f"http://{host}", "https://grafana.example"):
        with live(hub, origin=origin) as client:
            assert client.subscribe("node_load1")["type"] == "subscribed"


def test_browser_sends_its_key_as_subprotocol_or_a_ticket(hub: HubProcess) -> None:
    with live(hub, key="", subprotocols=["metricat.live.v1", f"bearer.{hub.key}"]) as client:
        assert client.connection.subprotocol == "metricat.live.v1"
        assert client.subscribe("node_load1")["type"] == "subscribed"
    assert hub_process.send(f"{hub.url}/api/v1/live/ticket", b"").status == 401
    ticket = hub.post("/api/v1/live/ticket", b"").json["ticket"]
    with live(hub, f"/api/v1/live?ticket={ticket}", key="") as client:
        client.subscribe("node_load1", nodes=["n1"])
        assert values(client.round())
    status, detail = refused(hub, f"/api/v1/live?ticket={ticket}")
    assert (status, "used" in detail) == (401, True)


@pytest.mark.parametrize("by_ticket", [False, True])
def test_revoked_key_ends_the_connection_at_the_next_round(hub: HubProcess, *, by_ticket: bool) -> None:
    key = hub_process.create_key(hub, "read")
    path = "/api/v1/live"
    if by_ticket:
        authorization = {"Authorization": f"Bearer {key}"}
        ticket = hub_process.send(f"{hub.url}{path}/ticket", b"", authorization).json["ticket"]
        path = f"{path}?ticket={ticket}"
    with live(hub, path, "" if by_ticket else key) as client:
        client.subscribe("node_load1", nodes=["n1"])
        client.round()
        hub_process.revoke_key(hub, key)
        revoked = time.time() * SECOND
        code, reason, messages = closed(client)
        assert (code, messages[-1]["status"]) == (4401, 401)
        assert reason
        # The hub reads the keys that another process revoked once a second.
        assert all(milliseconds(one["time"]) < revoked + 3 * SECOND for one in messages[:-1])


@pytest.mark.parametrize(
    ("message", "status", "detail"),
    [
        ("{", 400, "not valid"),
        ("[]", 400, "not valid"),
        ("[" * 50_000, 400, "not valid"),
        ('{"type": "query"}', 400, "Invalid value 'query'"),
        ('{"type": "subscribe"}', 400, "metrics"),
        ('{"type": "subscribe", "metrics": []}', 400, "invalid parameter metrics"),
        ('{"type": "subscribe", "metrics": ["node_load1"], "extra": 1}', 400, "extra"),
        ('{"type": "subscribe", "metrics": ["node_lod1"]}', 404, "did you mean node_load1"),
        ('{"type": "subscribe", "metrics": ["up{"]}', 400, "invalid metric name"),
        ('{"type": "subscribe", "metrics": ["node_load1"], "since": "soon"}', 400, "invalid parameter since"),
        ('{"type": "subscribe", "metrics": ["node_load1"], "since": 9999999999}', 400, "future"),
        ('{"type": "subscribe", "metrics": ["\\ud800"]}', 400, ""),
        (str({"type": "subscribe", "metrics": [f"m{n}" for n in range(101)]}).replace("'", '"'), 400, "1 to 100"),
    ],
)
def test_wrong_message_names_the_remedy_and_keeps_the_connection(
    message: str, status: int, detail: str, hub: HubProcess
) -> None:
    with live(hub) as client:
        client.send(message)
        found = client.receive()
        assert (found["type"], found["status"]) == ("error", status)
        assert detail in found["detail"]
        assert client.subscribe("node_load1", nodes=["n1"])["type"] == "subscribed"
        assert values(client.round())


def test_huge_binary_and_too_many_messages_end_the_connection(hub: HubProcess) -> None:
    with live(hub) as client:
        client.send(" " * 100_000)
        assert closed(client)[0] == 1009
    with live(hub) as client:
        client.send(b"{}")
        code, _, messages = closed(client)
        assert (code, messages[-1]["detail"]) == (1003, "the message is binary; send JSON as text")
    with live(hub) as client:
        for _ in range(130):  # the limit holds for each minute of the clock
            client.send('{"type": "ping"}')
        assert closed(client)[0] == 4429


def test_request_without_upgrade_gets_426(hub: HubProcess) -> None:
    found = hub.get("/api/v1/live")
    assert (found.status, found.headers["upgrade"]) == (426, "websocket")


def test_one_failing_metric_does_not_affect_the_others(tmp_path: Path) -> None:
    with hub_process.running(tmp_path, *SETTINGS, "--query.max-series=100") as hub:
        push(hub, NODES)
        push(hub, MANY[:200], seconds=2)
        hub.post(
            "/api/v1/metrics/collect",
            b'{"collector_id": "c", "hostname": "n1", "metrics": [{"name": "alone", "value": 1}]}',
        )
        with live(hub) as client:
            client.subscribe("node_load1", "alone")
            client.round()  # its time may be before the samples
            many, alone = client.round()["data"]
            assert ("100" in many["error"], many["values"]) == (True, [])
            assert ("error" in alone, [one["value"] for one in alone["values"]]) == (False, [1.0])
