"""The hub over PostgreSQL while that is down: samples wait, recent ones are answered, none is lost or doubled."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from support.hub_process import running
from support.postgresql_server import PostgresServer
from support.steady_pusher import Expected, SteadyPusher, check_stored

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.hub_process import HubProcess


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def by_node(hub: HubProcess) -> Expected:
    found = hub.get("/api/v1/query", query="pushed[5m]").json["data"]["result"]
    return {one["metric"]["node"]: [(round(at * 1000), float(value)) for at, value in one["values"]] for one in found}


def test_no_sample_is_lost_or_doubled_when_postgresql_is_killed(tmp_path: Path) -> None:
    server = PostgresServer(durable=True)
    try:
        with running(tmp_path, f"--store.url={server.new_database()}") as hub:
            pusher = SteadyPusher(lambda: (hub.url, hub.authorization), time.time_ns() // 1_000_000 - 30_000)
            pusher.start()
            until(lambda: pusher.rounds > 30)
            server.stop(signal.SIGKILL)
            until(lambda: hub.get("/api/status").json["buffer"]["waiting_samples"] > 50)
            assert "the store is down since" in str(hub.get("/api/status").json["problems"])
            assert hub.get("/readyz").status == 200
            answer = hub.get("/api/v1/query", query="count(pushed)").json
            assert answer["data"]["result"][0]["value"][1] == "5"
            assert "the result covers only samples since" in answer["warnings"][0]
            server.start()
            until(lambda: not hub.get("/api/status").json["buffer"]["waiting_samples"])
            pusher.stop()
            check_stored(lambda: by_node(hub), pusher.expected())
            assert not pusher.refusals
    finally:
        server.close()
