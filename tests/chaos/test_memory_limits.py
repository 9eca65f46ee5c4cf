"""Memory limits by cgroup: the default limits are enough under load, and a killed process loses nothing.

The limits are those of the chart and of the MonitoringTarget.
"""

import http.client
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from metricat_operator.api.agent import LEAST_MEMORY, Resources
from metricat_tools.cluster import ControlPlane
from support import hub_process
from support.agent_http import fetch
from support.harness import RunningOperator, eventually, free_port
from support.hub_process import HubProcess
from support.memory_group import MIB, MemoryGroup, memory_group, peak_mib
from support.operator_cluster import Replica
from support.page_server import Page, page_server
from support.paths import ROOT
from support.reliability import record
from support.remote_write import Sent, request_1, snappy
from support.steady_pusher import Expected, SteadyPusher, check_stored

from .conftest import Rig, killed_at_end, runs

CHART = yaml.safe_load((ROOT / "charts/metricat/values.yaml").read_text())
CLIENTS = 1000
TARGETS = 20
CHANGES = 20
CONVERGED_SECONDS = 120.0
SCRAPED = 100
SERIES_OF_A_TARGET = 691
SCRAPE_SECONDS = 30.0
HISTORY_SERIES, HISTORY_SAMPLES, HISTORY_BATCH = 200, 6000, 500
QUERIES = 8
KILLS = 3
KILLED_TARGETS = 4
FAR_TOO_LOW = 32 * MIB
"""With this limit the operator cannot start."""
KILLED_SECONDS = 60.0
ROOM = 8 * MIB
"""Without room for the files that it maps, a process becomes too slow to need more memory."""
WRITE = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


def mib(quantity: str) -> int:
    """Return the bytes of a limit in Mi."""
    assert quantity.endswith("Mi")
    return int(quantity.removesuffix("Mi")) * MIB


def agent_limit() -> int:
    memory = Resources().limits.memory
    assert memory is not None
    return mib(str(memory))


def squeeze_until_killed(group: MemoryGroup, process: subprocess.Popen[Any], use: Callable[[], object]) -> None:
    """Lower the limit until the kernel kills the process. `use` makes the process need memory."""
    deadline = time.monotonic() + KILLED_SECONDS
    before, room = group.kills, ROOM
    while process.poll() is None:
        assert time.monotonic() < deadline, "the kernel did not kill the process"
        group.squeeze(room)
        room = max(0, room - MIB // 4)
        use()
        time.sleep(0.05)
    assert process.returncode == -signal.SIGKILL
    assert group.kills > before


@contextmanager
def agent(group: MemoryGroup, port: int) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "metricat_agent", f"--web.listen-address=127.0.0.1:{port}"]
    with subprocess.Popen([*group.prefix, *command], stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: serves(port), 60)
            yield process
        finally:
            process.kill()


def serves(port: int) -> bool:
    try:
        return fetch(port).status == 200
    except OSError as error:
        raise AssertionError(str(error)) from error


def test_agent_stays_below_its_memory_limit() -> None:
    with memory_group(agent_limit()) as group, ExitStack() as stack:
        port = free_port()
        process = stack.enter_context(agent(group, port))
        for number in range(2 * CLIENTS):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            client.sendall(b"GET /metrics HTTP/1.1\r\n" + (b"\r\n" if number % 2 else b"X-Slow: "))
        eventually(lambda: serves(port), 60)
        assert process.poll() is None
        assert group.kills == 0
        size = f"{CLIENTS} scrapes and {CLIENTS} slow clients at once"
        record("memory limit, agent: peak", f"{peak_mib(process.pid):.0f} MiB", f"≤ {agent_limit() // MIB} MiB", size)


def test_agent_works_with_the_lowest_accepted_limit() -> None:
    with memory_group(mib(LEAST_MEMORY)) as group:
        port = free_port()
        with agent(group, port) as process:
            for _ in range(100):
                assert serves(port)
            assert process.poll() is None
            assert group.kills == 0
    record("memory limit, agent: kills with the lowest accepted limit", "0", "0", f"{LEAST_MEMORY}, 100 scrapes")


def test_killed_agent_serves_again_after_its_restart() -> None:
    with memory_group(agent_limit()) as group:
        port = free_port()
        with agent(group, port) as process, ThreadPoolExecutor(4) as pool:
            squeeze_until_killed(group, process, lambda: pool.submit(fetch, port))
        group.limit(agent_limit())
        began = time.monotonic()
        with agent(group, port) as process:
            record("memory limit, agent: restart after a kill", f"{time.monotonic() - began:.1f} s", "-", "1 kill")
            assert process.poll() is None


def in_group(operator: RunningOperator, group: MemoryGroup) -> None:
    operator.prefix = tuple(group.prefix)


def test_operator_stays_below_its_memory_limit(rig: Rig, replica: Replica, control_plane: ControlPlane) -> None:
    limit = mib(CHART["operator"]["resources"]["limits"]["memory"])
    operator = replica("metricat-a", METRICAT_LOG_LEVEL="INFO")
    with memory_group(limit) as group, killed_at_end(operator):
        in_group(operator, group)
        control_plane.simulate_nodes(rig.form.nodes)
        operator.start()
        rig.create(TARGETS)
        for _ in range(CHANGES):
            rig.churn.change()
        rig.watcher.settle(CONVERGED_SECONDS)
        assert runs(operator)
        assert operator.process is not None
        peak = peak_mib(operator.process.pid)
        assert group.kills == 0
        assert operator.stop() == 0
    size = f"{rig.form.nodes:,} nodes, {TARGETS} targets, {CHANGES} changes"
    record("memory limit, operator: peak", f"{peak:.0f} MiB", f"≤ {limit // MIB} MiB", size)


def test_operator_converges_after_kills_by_its_memory_limit(rig: Rig, replica: Replica) -> None:
    limit = mib(CHART["operator"]["resources"]["limits"]["memory"])
    operator = replica("metricat-a", METRICAT_LOG_LEVEL="INFO")
    with memory_group(limit) as group, killed_at_end(operator):
        in_group(operator, group)
        operator.start()
        rig.create(KILLED_TARGETS)
        for _ in range(KILLS):
            assert operator.process is not None
            with rig.watcher.excused():
                squeeze_until_killed(group, operator.process, rig.churn.change)
                group.limit(FAR_TOO_LOW)
                operator.start()  # as a kubelet does
                eventually(lambda: not runs(operator), KILLED_SECONDS)
                group.limit(limit)
            operator.start()
            rig.watcher.settle(CONVERGED_SECONDS)
        kills = group.kills
        assert kills == 2 * KILLS
        assert runs(operator)
        assert operator.stop() == 0
    rig.watcher.check()
    record("memory limit, operator: duplicates and orphans after kills", "0", "0", f"{kills} kills")


def scrape_config(folder: Path, address: str) -> Path:
    group = [{"targets": [address], "labels": {"node": f"n{number}"}} for number in range(SCRAPED)]
    jobs = [
        {"job_name": f"n{number}", "metrics_path": f"/n{number}", "static_configs": [one]}
        for number, one in enumerate(group)
    ]
    file = folder / "hub.yaml"
    file.write_text(yaml.safe_dump({"global": {"scrape_interval": "10s"}, "scrape_configs": jobs}))
    return file


def push_history(hub: HubProcess) -> None:
    """Push samples that need more memory than the limit, if a query reads all of them."""
    begin = (round(time.time()) - 3600) * 1000
    for first in range(0, HISTORY_SAMPLES, HISTORY_BATCH):
        samples = [(begin + at * 500, float(at)) for at in range(first, first + HISTORY_BATCH)]
        series = [Sent([("__name__", "history"), ("n", str(number))], samples) for number in range(HISTORY_SERIES)]
        response = hub.post("/api/v1/write", snappy(request_1(series)), WRITE)
        assert response.status == 204, response.body


def test_hub_stays_below_its_memory_limit(tmp_path: Path) -> None:
    limit = mib(CHART["hub"]["resources"]["limits"]["memory"])
    text = "".join(f'scraped{{n="{number}"}} {number}\n' for number in range(SERIES_OF_A_TARGET))
    pages = {f"/n{number}": [Page(text.encode())] for number in range(SCRAPED)}
    with (
        memory_group(limit) as group,
        page_server(pages) as server,
        hub_process.running(
            tmp_path / "hub", f"--config.file={scrape_config(tmp_path, server.address)}", prefix=group.prefix
        ) as hub,
    ):
        push_history(hub)
        end, statuses = time.monotonic() + SCRAPE_SECONDS, set()
        with ThreadPoolExecutor(QUERIES) as pool:
            while time.monotonic() < end:
                queries = [f"history[{60 + number}m]" for number in range(QUERIES)]
                found = pool.map(lambda query: hub.get("/api/v1/query", query=query), queries)
                statuses |= {(one.status, tuple(re.findall(r"query\.max-\w+", one.body.decode()))) for one in found}
        count = hub.get("/api/v1/query", query="count(scraped)").json["data"]["result"][0]["value"][1]
        assert int(count) == SCRAPED * SERIES_OF_A_TARGET
        assert hub.process.poll() is None
        assert group.kills == 0
        peak = peak_mib(hub.process.pid)
    assert {status for status, _ in statuses} <= {200, 422, 503}, statuses
    size = f"{SCRAPED} targets x {SERIES_OF_A_TARGET} series, {QUERIES} large queries at once"
    record("memory limit, hub: peak", f"{peak:.0f} MiB", f"≤ {limit // MIB} MiB", size)


def stored(hub: HubProcess) -> Expected:
    found = hub.get("/api/v1/query", query="pushed[1h]").json["data"]["result"]
    return {one["metric"]["node"]: [(round(at * 1000), float(value)) for at, value in one["values"]] for one in found}


def has_pushed(pusher: SteadyPusher, rounds: int) -> bool:
    return pusher.rounds > rounds


def push_new_series(hub: HubProcess) -> None:
    """Push a sample of each of 2,000 new series, for which the hub needs memory."""
    name, now = f"new_{secrets.token_hex(4)}", round(time.time() * 1000)
    series = [Sent([("__name__", name), ("n", str(number))], [(now, 1.0)]) for number in range(2000)]
    with suppress(OSError, http.client.HTTPException):  # the kernel kills the hub
        hub.post("/api/v1/write", snappy(request_1(series)), WRITE)


def test_hub_killed_by_its_memory_limit_loses_no_sample(tmp_path: Path) -> None:
    limit = mib(CHART["hub"]["resources"]["limits"]["memory"])
    port = free_port()
    key = ""

    def address() -> tuple[str, dict[str, str]]:
        return f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key}"}

    pusher = SteadyPusher(address, time.time_ns() // 1_000_000 - 120_000)
    with memory_group(limit) as group:
        for number in range(KILLS + 1):
            group.limit(limit)
            with (
                ThreadPoolExecutor(2) as pool,
                hub_process.running(tmp_path / "hub", listen=f"127.0.0.1:{port}", prefix=group.prefix) as hub,
            ):
                if not key:
                    key = hub.key
                    pusher.start()
                running = replace(hub, key=key)
                rounds = pusher.rounds
                eventually(partial(has_pushed, pusher, rounds + 50), 60)
                if number < KILLS:
                    squeeze_until_killed(group, hub.process, partial(pool.submit, push_new_series, running))
                    continue
                pusher.stop()
                check_stored(partial(stored, running), pusher.expected())
        kills = group.kills
    record("memory limit, hub: lost or doubled samples after kills", "0", "0", f"{kills} kills, {pusher.rounds} pushes")
