"""Long runs of operator, agent and hub under load: memory, descriptors, threads, sockets, tasks and watches."""

import re
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest
import yaml

from metricat_tools.cluster import ControlPlane
from support import hub_process
from support.growth import Soak
from support.harness import Cluster, RunningOperator, eventually, free_port
from support.operator_cluster import Replica
from support.page_server import Page, page_server
from support.paths import ROOT
from support.remote_write import Sent, request_1, snappy
from support.scaled_clock import scaled

from .conftest import Rig, killed_at_end, runs

if TYPE_CHECKING:
    from support.hub_process import HubProcess

TARGETS = 20
NODES = 30
STEP_SECONDS = 2.0
CONVERGED_SECONDS = 120.0
AGENT_STEP_SECONDS = 0.5
TEXTFILES = 20
SCRAPERS = 4
HUB_RATE = 30
"""The clock of the hub: 20 minutes of the test are ten hours, in which the hub compresses and packs samples."""
PAGES = 10
SERIES = 200
QUERIES = (
    "/api/v1/query?query=sum(pushed)",
    "/api/v1/query_range?query=sum by (node) (rate(scraped_total[10m]))&start={begin}&end={end}&step=60",
    '/api/v1/query?query=count({{__name__=~".%2B"}})',
    "/api/metrics/memory",
    "/api/v1/series?match[]=pushed&start={begin}&end={end}",
    "/api/v1/query?query=sum(",
    "/api/status",
)


@pytest.fixture(autouse=True)
def only_when_chosen(soak_minutes: float) -> None:
    if not soak_minutes:
        pytest.skip("only with --soak MINUTES")


def values(text: str, **names: str) -> dict[str, float]:
    """Return the sums of metrics in a response of `/metrics`, by the names of the keywords."""
    return {
        series: sum(float(one) for one in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))
        for series, name in names.items()
    }


def scraper_token(cluster: Cluster) -> str:
    """Return a token that may scrape the operator."""
    name = f"scraper-{secrets.token_hex(3)}"
    cluster.do("create", "serviceaccount", name, "-n", "monitoring")
    grant = (f"--serviceaccount=monitoring:{name}", "--clusterrole=metricat-metrics-reader")
    cluster.do("create", "clusterrolebinding", name, *grant)
    return cluster.do("create", "token", name, "-n", "monitoring", "--duration=24h").strip()


def operator_values(operator: RunningOperator, token: str) -> dict[str, float]:
    text = ""

    def scraped() -> bool:  # the API server of a busy machine may review the token too late
        nonlocal text
        status, text = operator.scrape(token)
        assert status == 200, text
        return True

    eventually(scraped)
    return values(text, tasks="metricat_asyncio_tasks", watches="metricat_watches")


def test_operator_does_not_grow(rig: Rig, replica: Replica, control_plane: ControlPlane, soak_minutes: float) -> None:
    operator = replica("metricat-a", METRICAT_LOG_LEVEL="INFO")
    token = scraper_token(rig.cluster)
    soak = Soak("operator", soak_minutes, lambda: operator_values(operator, token))
    with killed_at_end(operator):
        operator.start()
        assert operator.process is not None
        rig.create(TARGETS)
        nodes = control_plane.simulate_nodes(NODES)
        eventually(lambda: operator.scrape(token)[0] == 200)

        def step() -> None:
            rig.churn.change()
            name = rig.churn.random.choice(nodes)
            value = rig.churn.random.choice([*rig.churn.specs, "none"])
            body = {"metadata": {"labels": {"chaos": value}}}
            rig.cluster.api.call("PATCH", f"/api/v1/nodes/{name}", body, "application/merge-patch+json")
            assert runs(operator)

        soak.run(operator.process.pid, step, STEP_SECONDS)
        rig.watcher.settle(CONVERGED_SECONDS)
        assert operator.stop() == 0
        assert operator.errors() == []
    soak.check(f"{TARGETS} targets, {NODES} nodes, {rig.churn.changes} changes")
    rig.watcher.check()


@dataclass
class Clients:
    """Threads that each repeat a request until the context closes. They count responses with status 200."""

    count: int = 0
    errors: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def repeating(self, url: str, number: int, pause: float) -> Iterator[None]:
        threads = [threading.Thread(target=self._run, args=(url, pause)) for _ in range(number)]
        for one in threads:
            one.start()
        try:
            yield
        finally:
            self._stop.set()
            for one in threads:
                one.join()

    def _run(self, url: str, pause: float) -> None:
        while not self._stop.wait(pause):
            try:
                with urllib.request.urlopen(url, timeout=30) as response:
                    response.read()
            except OSError as error:
                self.errors.append(str(error))
            else:
                with self._lock:
                    self.count += 1


@dataclass
class Textfiles:
    """Textfiles that other programs write, replace, damage and delete."""

    folder: Path
    random: Random
    changes: int = 0

    def change(self) -> None:
        self.changes += 1
        file = self.folder / f"job{self.random.randrange(TEXTFILES)}.prom"
        action = self.random.choice(("write", "write", "damage", "delete"))
        if action == "delete":
            file.unlink(missing_ok=True)
            return
        label = secrets.token_hex(4)
        lines = [f'{file.stem}_rows{{run="{label}",n="{number}"}} {number}\n' for number in range(50)]
        new = file.with_suffix(".new")
        new.write_text("".join(lines) if action == "write" else "".join(lines)[:-7])
        new.rename(file)


def misbehave(port: int, held: list[socket.socket]) -> None:
    """Send a request and close without reading, and keep ten connections with half a request open."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as gone:
        gone.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
    half = socket.create_connection(("127.0.0.1", port), timeout=10)
    half.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
    held.append(half)
    if len(held) > 10:
        held.pop(0).close()


def test_agent_does_not_grow(tmp_path: Path, rng: Random, soak_minutes: float) -> None:
    folder = tmp_path / "textfiles"
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "metricat_agent", f"--web.listen-address=127.0.0.1:{port}"]
    soak, clients, files = Soak("agent", soak_minutes), Clients(), Textfiles(folder, rng)
    held: list[socket.socket] = []
    log = tmp_path / "log"
    with (
        log.open("wb") as errors,
        subprocess.Popen([*command, f"--collector.textfile.directory={folder}"], stderr=errors) as agent,
    ):
        try:
            assert hub_process.eventually(lambda: b"listens on" in log.read_bytes())

            def step() -> None:
                files.change()
                misbehave(port, held)
                assert agent.poll() is None

            with clients.repeating(f"http://127.0.0.1:{port}/metrics", SCRAPERS, 1.0):
                soak.run(agent.pid, step, AGENT_STEP_SECONDS)
        finally:
            for one in held:
                one.close()
            agent.terminate()
            try:
                assert agent.wait(30) == 0
            finally:
                agent.kill()
                sys.stderr.write(log.read_text()[-10_000:])
    assert clients.errors == []
    soak.check(f"{clients.count} scrapes by {SCRAPERS} clients, {files.changes} changes of textfiles")


def pushed(at: float, run: int) -> bytes:
    """Return a request with samples of 20 series that stay, and of 20 that end after a few minutes of the hub."""
    time_ms = round(at * 1000)
    names = [("pushed", str(number)) for number in range(20)]
    names += [("pushed", f"{run // 10}-{number}") for number in range(20)]
    series = [Sent([("__name__", name), ("pod", pod)], [(time_ms, float(run))]) for name, pod in names]
    return snappy(request_1(series))


def hub_values(hub: "HubProcess") -> dict[str, float]:
    return values(hub.get("/metrics").body.decode(), tasks="metricat_hub_asyncio_tasks")


def test_hub_does_not_grow(tmp_path: Path, rng: Random, soak_minutes: float) -> None:
    text = "# TYPE scraped_total counter\n" + "".join(f'scraped_total{{n="{n}"}} {n}\n' for n in range(SERIES))
    pages = {f"/node{number}": [Page(text.encode())] for number in range(PAGES)}
    origin, runs_of_push, answered = time.time(), 0, 0
    launcher = ("-m", "support.scaled_clock", str(HUB_RATE), str(origin))
    headers = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}
    with ExitStack() as stack:
        server = stack.enter_context(page_server(pages))
        jobs = [
            {
                "job_name": f"node{number}",
                "metrics_path": f"/node{number}",
                "static_configs": [{"targets": [server.address]}],
            }
            for number in range(PAGES)
        ]
        config = tmp_path / "hub.yaml"
        config.write_text(yaml.safe_dump({"global": {"scrape_interval": "2s"}, "scrape_configs": jobs}))
        hub = stack.enter_context(
            hub_process.running(
                tmp_path / "hub",
                f"--config.file={config}",
                launcher=launcher,
                environment={"PYTHONPATH": str(ROOT / "tests")},
            )
        )

        def step() -> None:
            nonlocal runs_of_push, answered
            now = scaled(HUB_RATE, origin, time.time())
            runs_of_push += 1
            response = hub.post("/api/v1/write", pushed(now, runs_of_push), headers)
            assert response.status == 204, response.body
            path = rng.choice(QUERIES).format(begin=round(now - 7200), end=round(now)).replace(" ", "%20")
            found = hub.get(path)
            assert found.status == (400 if path.endswith("sum(") else 200), (path, found.body[:300])
            answered += 1
            server.requests.clear()

        soak = Soak("hub", soak_minutes, lambda: hub_values(hub))
        soak.run(hub.process.pid, step, 1.0)
        count = hub.get("/api/v1/query?query=count(scraped_total)").json["data"]["result"]
        assert count[0]["value"][1] == str(PAGES * SERIES)
    shutil.rmtree(tmp_path / "hub")
    soak.check(f"{PAGES * SERIES} scraped series, {runs_of_push} pushes with new series, {answered} queries")
