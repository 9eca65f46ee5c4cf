"""100 concurrent clients of `metricat hub`: no errors, and bounded memory. It prints what the middleware costs."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support import hub_process, load
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from support.hub_process import HubProcess

pytestmark = pytest.mark.slow

NODES, COUNT, STEP = 20, 120, 15_000
OFF = ("--rate-limit.keys=0", "--cache.size=0")
ON = ("--rate-limit.keys=1000000000", "--log.mask=values")
MOST_GROWTH_MIB = 60


def fill(hub: HubProcess, end: int) -> None:
    series = [
        Sent(
            sorted({"__name__": name, "node": f"n{node}", "job": "nodes"}.items()),
            [(end - STEP * at, float(at * node)) for at in range(COUNT - 1, -1, -1)],
        )
        for node in range(NODES)
        for name in ("node_load1", "node_memory_MemTotal_bytes")
    ]
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    assert hub.post("/api/v1/write", snappy(request_1(series)), headers).status == 204


def resident_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def test_100_clients_get_no_errors_and_memory_is_bounded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    end = int(time.time()) // 15 * 15_000 - 120_000
    window = f"start={(end - 900_000) / 1000}&end={end / 1000}"
    kinds = {
        "measures": ["/api/v1/metrics/measures"],
        "current": ["/query?metric=node_load1"],
        "history": [
            f"/api/v1/metrics/history?metric=node_load1&node=n{node}&step=15s&{window}" for node in range(NODES)
        ],
        "PromQL": [f"/api/v1/query_range?query=sum(node_load1)&step=15&{window}", "/api/v1/query?query=node_load1"],
    }
    rows: list[tuple[str, load.Load, load.Load]] = []
    with (
        hub_process.running(tmp_path / "off", *OFF) as off,
        hub_process.running(tmp_path / "on", *ON, f"--log.access-file={tmp_path / 'access.log'}") as on,
    ):
        for hub in (off, on):
            fill(hub, end)
        for kind, paths in kinds.items():
            found: list[load.Load] = []
            for hub in (off, on):
                before = resident_mib(hub.process.pid)
                headers = [f"Authorization: Bearer {hub.key}", "Accept-Encoding: gzip"]
                result = load.run(int(hub.url.rpartition(":")[2]), paths, headers)
                growth = resident_mib(hub.process.pid) - before
                assert set(result.statuses) == {"200"}, (kind, result)
                assert growth < MOST_GROWTH_MIB, (kind, growth)
                found.append(result)
            rows.append((kind, found[0], found[1]))
        text = on.get("/metrics").body.decode()
        assert "metricat_hub_log_dropped_total" in text
        lines = (tmp_path / "access.log").read_text().count("\n")
        dropped = sum(
            float(one.split()[1]) for one in text.splitlines() if one.startswith("metricat_hub_log_dropped_total")
        )
        assert lines + dropped >= sum(sum(one.statuses.values()) for _, _, one in rows)
    with capsys.disabled():
        sys.stdout.write("\n100 clients; requests/s (p95 in ms): without limits, cache and log | with them\n")
        for kind, without, with_them in rows:
            sys.stdout.write(
                f"{kind:10} {without.per_second:8.0f} ({without.p95:6.1f}) | "
                f"{with_them.per_second:8.0f} ({with_them.p95:6.1f})\n"
            )
