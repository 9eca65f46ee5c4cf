"""A real Prometheus in a folder, as a judge of what the hub stores."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Samples = dict[tuple[tuple[str, str], ...], dict[int, float]]


class Prometheus(NamedTuple):
    """A running Prometheus."""

    port: int

    def request(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def query(self, text: str) -> Any:
        """Return the result of an instant query."""
        status, body = self.request("GET", f"/api/v1/query?query={quote(text)}")
        assert status == 200, body
        return json.loads(body)["data"]["result"]

    def samples(self, selector: str) -> Samples:
        """Return the raw samples of a range selector."""
        return {
            tuple(sorted(series["metric"].items())): {
                round(time * 1000): float(value) for time, value in series["values"]
            }
            for series in self.query(selector)
        }


@contextmanager
def prometheus(folder: Path, config: str, *arguments: str) -> Iterator[Prometheus]:
    """Run Prometheus with a configuration until the end of the context."""
    (folder / "prometheus.yml").write_text(config)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(str(ensure("prometheus")["prometheus"]), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        *(f"--web.listen-address=127.0.0.1:{port}", *arguments),
    ]
    with (folder / "prometheus.log").open("wb") as log, subprocess.Popen(command, cwd=folder, stderr=log) as program:
        try:
            made = Prometheus(port)
            deadline = time.monotonic() + 60
            while not _is_ready(made):
                assert program.poll() is None, (folder / "prometheus.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield made
        finally:
            program.terminate()


def _is_ready(server: Prometheus) -> bool:
    try:
        return server.request("GET", "/-/ready")[0] in (200, 401)  # 401: it requires a password
    except OSError:
        return False
