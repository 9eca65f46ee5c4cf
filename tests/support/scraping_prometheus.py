"""A real Prometheus with a scrape configuration."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from metricat_tools.binaries import ensure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True)
class ScrapingPrometheus:
    """Its HTTP API."""

    port: int

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data of an answer; None while Prometheus does not answer."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return json.load(response)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:
                return None
            raise AssertionError(error.read().decode()) from None
        except OSError:
            return None

    def query(self, query: str, at: float | None = None) -> list[dict[str, Any]]:
        """Return the result of an instant query."""
        found = self.get("query", query=query, **({} if at is None else {"time": f"{at:.3f}"}))
        return list(found["result"]) if found else []


@contextmanager
def scraping_prometheus(folder: Path, config: str) -> Iterator[ScrapingPrometheus]:
    """Run a Prometheus with this configuration, in the file `prometheus.yml` of the folder."""
    (folder / "prometheus.yml").write_text(config)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    command = [
        *(str(ensure("prometheus")["prometheus"]), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log, subprocess.Popen(command, cwd=folder, stderr=log) as program:
        try:
            prometheus = ScrapingPrometheus(port)
            deadline = time.monotonic() + 30
            while prometheus.get("status/buildinfo") is None:
                assert program.poll() is None, (folder / "prometheus.log").read_text()
                assert time.monotonic() < deadline, "Prometheus does not start"
                time.sleep(0.05)
            yield prometheus
        finally:
            program.terminate()
