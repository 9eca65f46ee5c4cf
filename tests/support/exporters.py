"""Programs that expose metrics at /metrics: the agent and node_exporter."""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def running(command: Sequence[str | Path]) -> Iterator[int]:
    """Run an exporter and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    with subprocess.Popen(
        [*map(str, command), f"--web.listen-address=127.0.0.1:{port}"], stderr=subprocess.DEVNULL
    ) as program:
        try:
            deadline = time.monotonic() + 20
            while time.monotonic() < deadline:
                try:
                    page(port)
                    break
                except OSError:
                    time.sleep(0.05)
            yield port
        finally:
            program.terminate()


def page(port: int) -> str:
    """Return the metrics of an exporter."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept": "text/plain"})
    with urllib.request.urlopen(request, timeout=10) as response:
        text: str = response.read().decode()
        return text
