"""An exporter under measurement: a process that is scraped over loopback, and its resource use."""

import http.client
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from metricat_tools.errors import ToolError

_HEADERS = {"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "gzip"}


@dataclass
class Exporter:
    """A running exporter, and the seconds that each scrape took."""

    name: str
    process: subprocess.Popen[bytes]
    port: int
    took: list[float] = field(default_factory=list)
    size: int = 0

    def __post_init__(self) -> None:
        """Open the connection that all scrapes use, as Prometheus does."""
        self._client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)

    def scrape(self) -> None:
        """Scrape as Prometheus does, and record time and size."""
        started = time.perf_counter()
        self._client.request("GET", "/metrics", headers=_HEADERS)
        response = self._client.getresponse()
        body = response.read()
        self.took.append(time.perf_counter() - started)
        self.size = len(body)
        if response.status != http.client.OK:
            raise ToolError(f"{self.name} returned {response.status}. Read its log")

    def page(self) -> str:
        """Scrape the exporter, and return the response as text."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        client.request("GET", "/metrics", headers={"Accept": "text/plain"})
        text = client.getresponse().read().decode()
        client.close()
        return text

    def cpu_seconds(self) -> float:
        """Return the CPU time of the exporter's threads in nanosecond resolution, or `ticks` without schedstat."""
        threads = Path(f"/proc/{self.process.pid}/task").iterdir()
        running = sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads if thread.exists())
        if running:
            return running / 1e9
        return self.ticks()

    def ticks(self) -> float:
        """Return the CPU time of the exporter's process, including ended threads, with clock-tick resolution."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident(self) -> int:
        """Return the exporter's resident memory, in bytes."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def running(name: str, command: Sequence[str | Path], env: dict[str, str] | None = None) -> Iterator[Exporter]:
    """Start an exporter on a free port, and stop it at the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [*map(str, command), f"--web.listen-address=127.0.0.1:{port}"],
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(env or {})},
    ) as process:
        try:
            exporter = Exporter(name, process, port)
            _await(exporter)
            yield exporter
        finally:
            process.kill()


def _await(exporter: Exporter) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            exporter.page()
        except OSError:
            if exporter.process.poll() is not None:
                break
            time.sleep(0.05)
        else:
            return
    raise ToolError(f"{exporter.name} does not start. Run it by hand to see the reason")
