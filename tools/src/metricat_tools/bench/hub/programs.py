"""The hub, Prometheus and VictoriaMetrics as processes on loopback, with their data in a folder."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metricat_tools.binaries import ensure
from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_START_SECONDS = 60


@dataclass(frozen=True)
class Server:
    """A running program: its name, its process ID, its URL, and the headers of every request."""

    name: str
    pid: int
    url: str
    headers: Mapping[str, str]

    def get(self, path: str) -> bytes:
        """Send a GET request, and return the body of the response."""
        request = urllib.request.Request(f"{self.url}{path}", headers=dict(self.headers))
        with urllib.request.urlopen(request, timeout=600) as found:
            return bytes(found.read())

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> bytes:
        """Send a POST request with this body, and return the body of the response."""
        request = urllib.request.Request(f"{self.url}{path}", body, {**self.headers, **(headers or {})})
        with urllib.request.urlopen(request, timeout=600) as found:
            return bytes(found.read())


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def prometheus(folder: Path, config: Mapping[str, Any], *arguments: str) -> Iterator[Server]:
    """Run Prometheus with this configuration until the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prometheus.yml").write_text(json.dumps(config))
    port = free_port()
    command = [
        str(ensure("prometheus")["prometheus"]),
        "--config.file=prometheus.yml",
        "--storage.tsdb.path=data",
        f"--web.listen-address=127.0.0.1:{port}",
        *arguments,
    ]
    with _running("Prometheus", command, folder, f"http://127.0.0.1:{port}", "/-/ready") as server:
        yield server


@contextmanager
def victoria_metrics(folder: Path, config: Mapping[str, Any], *arguments: str) -> Iterator[Server]:
    """Run VictoriaMetrics with this configuration of scrapes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scrape.yml").write_text(json.dumps({"scrape_configs": [], **config}))
    port = free_port()
    command = [
        str(ensure("victoria-metrics")["victoria-metrics"]),
        "-promscrape.config=scrape.yml",
        "-storageDataPath=data",
        "-retentionPeriod=10y",
        f"-httpListenAddr=127.0.0.1:{port}",
        *arguments,
    ]
    with _running("VictoriaMetrics", command, folder, f"http://127.0.0.1:{port}", "/health") as server:
        yield server


@contextmanager
def hub(folder: Path, config: Mapping[str, Any], *arguments: str) -> Iterator[Server]:
    """Run the hub with this configuration of scrapes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hub.yaml").write_text(json.dumps(config))
    command = [
        *(sys.executable, "-m", "metricat_cli", "hub", f"--data={folder / 'data'}", "--listen=127.0.0.1:0"),
        *("--config.file=hub.yaml", "--access.anonymous-loopback", "--rate-limit.writes=0", *arguments),
    ]
    with announced("hub", command, folder) as server:
        yield server


@contextmanager
def announced(name: str, command: Sequence[str], folder: Path) -> Iterator[Server]:
    """Run a program that prints its URL and perhaps a key when it is ready."""
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)
    try:
        text = _wait(name, process, folder, lambda: _complete(folder / "output"))
        url = re.search(r"http://[\w.:]+", text)
        assert url is not None
        key = re.search(r"metricat_[0-9a-f]{12}_\S+", text)
        headers = {"Authorization": f"Bearer {key[0]}"} if key else {}
        yield Server(name, process.pid, url[0], headers)
    finally:
        _stop(process)


def _complete(output: Path) -> str:
    text = output.read_text()
    return text if "http://" in text and text.endswith("\n") else ""


@contextmanager
def _running(name: str, command: Sequence[str], folder: Path, url: str, ready: str) -> Iterator[Server]:
    with (folder / "output").open("w") as output:
        process = subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT)

    def is_ready() -> str:
        try:
            urllib.request.urlopen(url + ready, timeout=5).close()
        except (OSError, urllib.error.HTTPError):
            return ""
        return url

    try:
        _wait(name, process, folder, is_ready)
        yield Server(name, process.pid, url, {})
    finally:
        _stop(process)


def _wait(name: str, process: subprocess.Popen[bytes], folder: Path, done: Callable[[], str]) -> str:
    deadline = time.monotonic() + _START_SECONDS
    while not (found := done()):
        if process.poll() is not None or time.monotonic() > deadline:
            tail = (folder / "output").read_text()[-500:]
            raise ToolError(f"{name} does not start. Its output ends with: {tail}")
        time.sleep(0.05)
    return found


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def pinned(process: int, cpu: int) -> None:
    """Pin all threads of a process to one CPU."""
    for thread in Path(f"/proc/{process}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {cpu})
