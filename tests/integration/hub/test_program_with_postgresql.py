"""The program with PostgreSQL as its store: pushes, queries, and its state while the database is down."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from support import hub_process
from support.postgresql_server import PASSWORD, PostgresServer

if TYPE_CHECKING:
    from pathlib import Path

    from support.hub_process import HubProcess, Response


def push(hub: HubProcess, at: int, value: float) -> Response:
    batch = {
        "collector_id": "c1",
        "hostname": "web-1",
        "timestamp": at,
        "metrics": [{"name": "temperature", "value": value}],
    }
    return hub.post("/api/v1/metrics/collect", json.dumps(batch).encode(), {"Content-Type": "application/json"})


def values(hub: HubProcess) -> list[str]:
    """Return the stored values; none while the database is down."""
    response = hub.get("/api/v1/query", query="temperature[1h]")
    if response.status == 503:
        return []
    assert response.status == 200, response.body
    return [value for one in response.json["data"]["result"] for _, value in one["values"]]


def test_samples_reach_postgresql_also_after_an_outage_which_the_status_reports(tmp_path: Path) -> None:
    server = PostgresServer()
    try:
        environment = {"DB_CONNECTION": server.new_database()}
        now = int(time.time() * 1000)
        with hub_process.running(tmp_path, environment=environment) as hub:
            assert push(hub, now - 3000, 1.5).status == 200
            assert values(hub) == ["1.5"]
            assert "metricat_hub_store_up 1.0" in hub.get("/metrics").body.decode()
            server.stop()
            # The sample waits on disk.
            assert push(hub, now - 2000, 2.5).status == 200
            status = hub.get("/api/status").json
            assert status["status"] == "degraded"
            assert any("PostgreSQL at 127.0.0.1" in problem for problem in status["problems"])
            server.start()
            end = time.monotonic() + 60
            while values(hub) != ["1.5", "2.5"] or hub.get("/api/status").json["status"] != "ok":
                assert time.monotonic() < end
                time.sleep(0.2)
        log = (tmp_path / "hub.log").read_text()
        assert PASSWORD not in log
        assert "secret" not in log
    finally:
        server.close()


def test_store_commands_read_and_write_the_database(tmp_path: Path) -> None:
    server = PostgresServer()
    try:
        first, second = server.new_database(), server.new_database()
        environment = {"DB_CONNECTION": first}
        now = int(time.time() * 1000)
        out = tmp_path / "out.jsonl"
        data = f"--data={tmp_path / 'data'}"

        def store(*arguments: str, database: str = first) -> tuple[int, str, str]:
            return hub_process.finished("store", *arguments, data, environment={"DB_CONNECTION": database})

        assert "the database has no samples of a hub" in store("export")[2]
        with hub_process.running(tmp_path / "data", environment=environment) as hub:
            for at in range(3):
                assert push(hub, now - 3000 + at * 1000, at + 0.5).status == 200
            # The hub runs: these commands only read.
            assert store("export", "-o", str(out), "--match", "temperature") == (0, f"Wrote 1 lines to {out}.\n", "")
            status, output, error = store("check")
            assert (status, "3 samples of the tier raw" in output) == (0, True), error
            status, output, _ = store("backup", str(tmp_path / "copy"))
            assert "Copy them with: pg_dump --schema=metricat" in output
            assert (tmp_path / "copy" / "accounts.sqlite").exists()
            status, _, error = store("import", str(out))
            assert (status, "has the store open. Stop that hub" in error) == (1, True)
        exported = out.read_text()
        status, _, error = store("compact")
        assert (status, "VACUUM FULL" in error) == (2, True)
        message = "Imported 3 samples. 0 already existed, and 0 were rejected.\n"
        assert store("import", str(out), database=second) == (0, message, "")
        assert store("export", "-o", str(out), "--match", "temperature", database=second)[0] == 0
        assert out.read_text() == exported
        assert PASSWORD not in error
    finally:
        server.close()
