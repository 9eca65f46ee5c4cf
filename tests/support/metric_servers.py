"""Real servers that store metrics: Prometheus, VictoriaMetrics and InfluxDB. Tests start, kill and restart them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from metricat_hub.model.labels import Labels, from_mapping
from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Kind = Literal["prometheus", "victoria-metrics", "influxd"]
Samples = dict[Labels, list[tuple[int, float]]]
_SECONDS = 60
_INFLUX = """
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
auth-enabled = {auth}
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
enabled = false
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        found: int = free.getsockname()[1]
        return found


@dataclass
class MetricServer:
    """A server with its data in a folder and a port that it keeps across restarts."""

    kind: Kind
    folder: Path
    arguments: tuple[str, ...] = ()
    auth: bool = False
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def write_url(self) -> str:
        return f"{self.url}/api/v1/write"

    def start(self) -> None:
        """Start, and wait until the server answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = self._command()
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self.folder, stderr=log, stdout=log)
        deadline = time.monotonic() + _SECONDS
        while not self._is_ready():
            assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-2000:]
            time.sleep(0.05)

    def kill(self) -> None:
        """Kill the server, as `kill -9` does."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            finally:
                self.process.kill()
                self.process.wait()

    def request(self, path: str, body: bytes | None = None, **parameters: str) -> tuple[int, bytes]:
        target = f"{self.url}{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(urllib.request.Request(target, body), timeout=_SECONDS) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def samples(self, selector: str, span: str = "2h", at: float | None = None) -> Samples:
        """Return the raw samples of a selector."""
        parameters = {"query": f"{selector}[{span}]"} | ({"time": f"{at:.3f}"} if at is not None else {})
        status, body = self.request("/api/v1/query", None, **parameters)
        assert status == 200, body
        return {
            from_mapping(one["metric"]): [(round(float(at) * 1000), float(value)) for at, value in one["values"]]
            for one in json.loads(body)["data"]["result"]
        }

    def influx(self, query: str, **parameters: str) -> Any:
        """Return the series of an InfluxQL query."""
        status, body = self.request("/query", b"", q=query, epoch="ms", **parameters)
        assert status == 200, body
        return json.loads(body)["results"][0].get("series", [])

    def _command(self) -> list[str]:
        program = str(ensure(self.kind)[self.kind])
        match self.kind:
            case "prometheus":
                config = self.folder / "prometheus.yml"
                if not config.exists():
                    config.write_text("storage: {tsdb: {out_of_order_time_window: 2h}}\n")
                return [
                    *(program, "--config.file=prometheus.yml", "--storage.tsdb.path=data", "--log.level=error"),
                    *(f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver"),
                    *self.arguments,
                ]
            case "victoria-metrics":
                return [
                    *(program, "-storageDataPath=data", f"-httpListenAddr=127.0.0.1:{self.port}"),
                    *("-dedup.minScrapeInterval=1ms", "-search.latencyOffset=0s", "-loggerLevel=ERROR"),
                    *("-inmemoryDataFlushInterval=1s", "-search.disableCache", "-retentionPeriod=100y"),
                    *self.arguments,
                ]
            case "influxd":
                config = self.folder / "influxdb.conf"
                config.write_text(
                    _INFLUX.format(rpc=free_port(), port=self.port, folder=self.folder, auth=str(self.auth).lower())
                )
                return [program, "-config", str(config), *self.arguments]

    def _is_ready(self) -> bool:
        path = {"prometheus": "/-/ready", "victoria-metrics": "/health", "influxd": "/ping"}[self.kind]
        try:
            return self.request(path)[0] in (200, 204)
        except OSError:
            return False


@contextmanager
def running(kind: Kind, folder: Path, *arguments: str, auth: bool = False) -> Iterator[MetricServer]:
    """Run a server until the end of the block."""
    server = MetricServer(kind, folder, arguments, auth)
    try:
        server.start()
        yield server
    finally:
        server.stop()
