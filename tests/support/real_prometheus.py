"""A real Prometheus that receives samples by remote write, for tests that compare queries with it."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metricat_tools.binaries import ensure
from support.prometheus_api import PrometheusApi

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SECONDS = 60


@contextmanager
def running(folder: Path, settings: str = "scrape_configs: []") -> Iterator[PrometheusApi]:
    """Run Prometheus with settings in a folder until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    (folder / "prometheus.yml").write_text(f"{settings}\n")
    command = [
        *(str(ensure("prometheus")["prometheus"]), "--config.file=prometheus.yml", "--storage.tsdb.path=data"),
        *(f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver", "--log.level=error"),
        "--enable-feature=promql-experimental-functions",
    ]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.DEVNULL) as program:
        try:
            _wait(port)
            yield PrometheusApi(f"http://127.0.0.1:{port}")
        finally:
            program.terminate()


def _wait(port: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/-/ready", timeout=5).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return
