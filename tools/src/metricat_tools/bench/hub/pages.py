"""Pages (scrape responses) of Metricat's agent on this machine, with values that change as on a busy machine.

`python -m metricat_tools.bench.hub.pages FOLDER SECONDS` serves the pages of a folder to any number of scrapers that
scrape at this interval. It counts the requests and the missed scrapes of each scraper, by its User-Agent.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from metricat_agent.exposition import parser
from metricat_tools.bench.exporter import running

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CONSTANT = re.compile(r"_(info|max|limit|size_bytes|MemTotal_bytes|boot_time_seconds)$")
_INTERVAL = 10


@dataclass(frozen=True)
class Line:
    """One series of a scrape response."""

    text: str
    """The text of the line before the value."""
    name: str
    labels: tuple[tuple[str, str], ...]
    value: float
    is_counter: bool

    @property
    def is_constant(self) -> bool:
        """Whether the value never changes, as that of an info metric or a limit."""
        return bool(_CONSTANT.search(self.name)) or (self.value == 0 and not self.name.startswith("node_cpu_seconds"))


@dataclass(frozen=True)
class Page:
    """A page: the text of one scrape response, and its series."""

    comments: str
    lines: tuple[Line, ...]

    def text(self, values: NDArray[np.float64]) -> bytes:
        """Return the text of the page with these values, one for each series."""
        lines = [
            f"{line.text} {int(value) if value == int(value) else repr(value)}"
            for line, value in zip(self.lines, values.tolist(), strict=True)
        ]
        return f"{self.comments}{chr(10).join(lines)}\n".encode()


def read() -> str:
    """Return the text of one scrape of an agent on this machine."""
    with running("metricat-agent", [sys.executable, "-m", "metricat_agent"]) as exporter:
        return exporter.page()


def parse(text: str, series: int) -> Page:
    """Return a page with `series` series: shortened, or extended by copies of series with one more label."""
    comments = [line for line in text.splitlines() if line.startswith("#")]
    counters = {line.split()[2] for line in comments if line.startswith("# TYPE") and line.endswith(" counter")}
    lines = [_line(line, counters) for line in text.splitlines() if line and not line.startswith("#")]
    copies = [
        Line(*_copied(line, at), line.value, line.is_counter)
        for at in range(1, -(-series // len(lines)))
        for line in lines
        if not line.name.startswith("node_cpu_seconds")
    ]
    return Page("".join(f"{line}\n" for line in comments), tuple((lines + copies)[:series]))


def _line(text: str, counters: set[str]) -> Line:
    head, _, value = text.rpartition(" ")
    name, _, inner = head.partition("{")
    labels = parser.labels(inner.removesuffix("}"))
    return Line(head, name, tuple(sorted(labels.items())), float(value), name in counters)


def _copied(line: Line, number: int) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return text, name and labels of a series with one more label, as a larger machine has more devices."""
    name, brace, rest = line.text.partition("{")
    text = f'{name}{{copy="{number}",{rest}' if brace else f'{name}{{copy="{number}"}}'
    return text, line.name, tuple(sorted((*line.labels, ("copy", str(number)))))


def values(line: Line, count: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return `count` values of a series, one every ten seconds.

    CPU time grows with the clock. Other counters grow by random whole numbers, or by hundredths if they are seconds.
    A gauge walks randomly with the decimals of its first value.
    """
    if line.is_constant:
        return np.full(count, line.value)
    if line.name == "node_cpu_seconds_total":
        share = {"idle": 0.7, "user": 0.15, "system": 0.1}.get(dict(line.labels).get("mode", ""), 0.01)
        wave = 1 + 0.3 * np.sin(np.arange(count) / 8640 * 2 * np.pi + random.uniform(0, 6))
        return np.round(line.value + np.cumsum(random.gamma(4, share * _INTERVAL / 4, count) * wave), 2)
    if line.is_counter:
        mean = random.choice([0.02, 0.5, 5, 200, 10_000])
        grown = np.cumsum(random.poisson(mean, count)).astype(np.float64)
        return np.round(line.value + grown / 100, 2) if "seconds" in line.name else np.rint(line.value) + grown
    decimals = 0 if line.value == int(line.value) else 2
    walk = np.cumsum(random.normal(0, max(abs(line.value), 1) * 0.001, count))
    changed = random.random(count) < random.choice([0.05, 0.5, 1])
    places = np.maximum.accumulate(np.where(changed, np.arange(count), 0))
    return np.abs(line.value + walk[places]).round(decimals)


def write(folder: Path, page: Page, count: int) -> int:
    """Write `count` successive pages of a node into a folder, and return the size of one page in bytes."""
    random = np.random.default_rng(1)
    columns = np.array([values(line, count, random) for line in page.lines])
    folder.mkdir(parents=True, exist_ok=True)
    size = 0
    for at in range(count):
        text = page.text(columns[:, at])
        (folder / f"{at:03}").write_bytes(text)
        size = len(text)
    return size


class Requests:
    """The requests of scrapers."""

    def __init__(self, interval: float) -> None:
        """`interval` is the time in seconds between two scrapes of a target."""
        self._interval = interval
        self._last: dict[tuple[str, bytes], float] = {}
        self.scrapes: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()

    def add(self, scraper: str, target: bytes, now: float) -> None:
        """Count a request at a time in seconds."""
        self.scrapes[scraper] += 1
        before = self._last.get((scraper, target), now)
        self._missed[scraper] += max(0, round((now - before) / self._interval) - 1)
        self._last[scraper, target] = now

    def missed(self, now: float) -> dict[str, int]:
        """Return the missed scrapes of each scraper: intervals without a request between two requests of a target.

        A scrape that is late by less than half an interval is not missed, at the end of a measurement either.
        """
        found = Counter({scraper: self._missed[scraper] for scraper in self.scrapes})
        for (scraper, _), last in self._last.items():
            found[scraper] += max(0, round((now - last) / self._interval) - 1)
        return dict(found)


class _Protocol(asyncio.Protocol):
    """One connection. Each target has a parameter `i`, and its pages follow each other."""

    pages: ClassVar[list[bytes]] = []
    requests: ClassVar[Requests]
    places: ClassVar[Counter[bytes]] = Counter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while b"\r\n\r\n" in self._data:
            head, _, self._data = self._data.partition(b"\r\n\r\n")
            if head.startswith(b"GET /count"):
                found = {"scrapes": self.requests.scrapes, "missed": self.requests.missed(time.monotonic())}
                self._send(json.dumps(found).encode(), b"application/json")
                continue
            agent = re.search(rb"user-agent: ([^/\r]*)", head, re.IGNORECASE)
            name = agent[1].decode().lower() if agent else ""
            path = head.split(b" ", 2)[1]
            self.requests.add(name, path, time.monotonic())
            target = name.encode() + path
            self.places[target] += 1
            self._send(self.pages[self.places[target] % len(self.pages)], b"text/plain; version=0.0.4")

    def _send(self, body: bytes, kind: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body))
        self._transport.write(head + body)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Protocol, "127.0.0.1", 0, backlog=2048)
    port = server.sockets[0].getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    _Protocol.pages += [path.read_bytes() for path in sorted(Path(sys.argv[1]).iterdir())]
    _Protocol.requests = Requests(float(sys.argv[2]))
    asyncio.run(_serve())
