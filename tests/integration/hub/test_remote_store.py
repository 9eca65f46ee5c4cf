"""The hub over a real Prometheus and a real VictoriaMetrics: queries, and what happens while the server is down."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from metricat_hub.store.prometheus.engine import seconds
from support.cut_proxy import proxy
from support.hub_process import running as hub_running
from support.hub_process import send
from support.metric_servers import running
from support.remote_write import Sent, request_1, snappy
from support.steady_pusher import SteadyPusher, check_stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.hub_process import HubProcess
    from support.metric_servers import MetricServer
    from support.steady_pusher import Expected


HEADERS = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


def until(condition: Callable[[], object], seconds_: float = 60) -> None:
    deadline = time.monotonic() + seconds_
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def by_node(server: MetricServer) -> Expected:
    """Return the stored samples of the pusher by node."""
    return {dict(labels)["node"]: points for labels, points in server.samples("pushed").items()}


def halt(server: MetricServer) -> None:
    """Kill the server; stop VictoriaMetrics, which would lose the samples that it acknowledged in its last seconds."""
    if server.kind == "prometheus":
        server.kill()
    else:
        server.stop()


def value(hub: HubProcess, query: str) -> tuple[str, list[str]]:
    """Return the value of the only series of a query, and the warnings."""
    found = hub.get("/api/v1/query", query=query)
    assert found.status == 200, found.body
    result = found.json["data"]["result"]
    return (result[0]["value"][1] if result else ""), found.json.get("warnings", [])


@pytest.mark.parametrize("kind", ["prometheus", "victoria-metrics"])
def test_no_sample_is_lost_or_doubled_while_the_network_is_cut(tmp_path: Path, kind: Any) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running(kind, tmp_path / "server"))
        network = stack.enter_context(proxy(server.port))
        arguments = (
            f"--store.url=prometheus+{network.url}",
            f"--store.write-url={network.url}/api/v1/write",
            "--store.timeout=2s",
        )
        address = ("", {"Authorization": ""})
        pusher = SteadyPusher(lambda: address, time.time_ns() // 1_000_000 - 30_000)
        with hub_running(tmp_path / "hub", *arguments) as hub:
            address = (hub.url, hub.authorization)
            key = hub.key
            pusher.start()
            until(lambda: pusher.rounds > 30)
            until(lambda: value(hub, "count(pushed)") == ("5", []))
            network.cut()
            until(lambda: hub.get("/api/status").json["buffer"]["waiting_samples"] > 50)
            status = hub.get("/api/status").json
            assert status["status"] == "degraded"
            assert status["series"] is None
            (notice,) = status["problems"]
            assert notice.startswith("the store is down since 20")
            assert "the hub writes them when the store is up again" in notice
            assert hub.get("/readyz").status == 200
            count, (warning,) = value(hub, "count(pushed)")
            assert count == "5"
            assert "the result covers only samples since" in warning
            old = hub.get("/api/v1/query", query="pushed", time=str(time.time() - 86_400))
            assert (old.status, old.json["errorType"]) == (503, "unavailable")
            assert "the hub has only samples since" in old.json["error"]
            os.kill(hub.process.pid, signal.SIGKILL)
            hub.process.wait()
        with hub_running(tmp_path / "hub", *arguments) as hub:
            hub.key = key
            address = (hub.url, hub.authorization)
            before = pusher.rounds
            until(lambda: pusher.rounds > before + 30)
            halt(server)
            network.restore()
            until(lambda: pusher.rounds > before + 60)
            server.start()
            pusher.stop()
            until(lambda: not hub.get("/api/status").json["buffer"]["waiting_samples"])
            expected = pusher.expected()
            check_stored(lambda: by_node(server), expected)
            until(lambda: hub.get("/api/status").json["status"] == "ok")
            assert hub.get("/api/status").json["series"] == 5
            buffer = hub.get("/api/status").json["buffer"]
            assert (buffer["dropped_samples"], buffer["rejected_samples"]) == (0, 0)
        assert not pusher.refusals


def test_read_only_hub_answers_as_its_server(tmp_path: Path) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(running("prometheus", tmp_path / "server"))
        hub = stack.enter_context(hub_running(tmp_path / "hub", f"--store.url=prometheus+{server.url}"))
        now = time.time_ns() // 1_000_000
        labels = [("__name__", "node_load1"), ("node", "a"), ("namespace", "x")]
        body = request_1([Sent(labels, [(now - 30_000 + at * 1000, at / 3) for at in range(30)])])
        status, _ = server.request("/api/v1/write", snappy(body))
        assert status == 415  # without its headers
        sent = send(
            server.write_url,
            snappy(body),
            HEADERS,
        )
        assert sent.status == 204
        bounds = {"start": seconds(now - 30_000), "end": seconds(now), "step": "1"}
        for path, parameters in (
            ("/api/v1/query", {"query": "node_load1", "time": seconds(now)}),
            ("/api/v1/query", {"query": "node_load1[1m]", "time": seconds(now)}),
            ("/api/v1/query", {"query": "1 / 3", "time": seconds(now)}),
            ("/api/v1/query", {"query": '"text"', "time": seconds(now)}),
            ("/api/v1/query", {"query": "rate(node_load1[30s])", "time": seconds(now)}),
            ("/api/v1/query", {"query": "sum(", "time": seconds(now)}),
            ("/api/v1/query", {"query": "sum by (node) (node_load1) * 2", "time": seconds(now)}),
            ("/api/v1/query", {"query": "node_load1 + on () vector(1)", "time": "x"}),
            ("/api/v1/query_range", {"query": "node_load1 * 1e30", **bounds}),
            ("/api/v1/query_range", {"query": "avg_over_time(node_load1[5s] offset 3s)", **bounds}),
            ("/api/v1/series", {"match[]": "node_load1", "start": bounds["start"], "end": bounds["end"]}),
            ("/api/v1/labels", {"start": bounds["start"], "end": bounds["end"]}),
            ("/api/v1/label/node/values", {"match[]": '{namespace="x"}'}),
        ):
            theirs = server.request(path, None, **parameters)
            ours = hub.get(path, **parameters)
            assert (ours.status, ours.body) == theirs or _same_error(ours, theirs), (ours.body, theirs)
        current = hub.get("/api/v1/metrics/current", metric="load_average_1m").json["data"]
        assert [(one["node"], one["value"]) for one in current] == [("a", 29 / 3)]
        written = hub.post("/api/v1/write", snappy(body), HEADERS)
        assert written.status == 403
        assert "the hub only reads from its store; set --store.write-url" in written.body.decode()
        assert hub.get("/api/status").json["series"] == 1
        server.kill()
        down = hub.get("/api/v1/query", query="up")
        assert (down.status, down.json["errorType"]) == (503, "unavailable")
        assert f"{server.url} does not respond: " in down.json["error"]
        status_down = hub.get("/api/status").json
        assert (status_down["status"], status_down["series"]) == ("degraded", None)
        assert hub.get("/api/v1/metrics/current").status == 503


def _same_error(ours: Any, theirs: tuple[int, bytes]) -> bool:
    """Return whether an error has the same status and type, and the message of the server."""
    import json  # noqa: PLC0415

    status, body = theirs
    error = json.loads(body)
    return bool(
        ours.status == status
        and status >= 400
        and ours.json["errorType"] == error["errorType"]
        and error["error"] in ours.json["error"]
    )
