"""The part `queries`: many users query the hub at the same time."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from metricat_tools.bench.hub import data_set, query_server
from metricat_tools.bench.hub.machine import cpu_seconds, memory
from metricat_tools.bench.hub.programs import Server, announced
from metricat_tools.bench.hub.report import Figure

if TYPE_CHECKING:
    from collections.abc import Callable

NODES, SERIES, DAYS = 100, 691, 30
_DAY = 86_400
_TOP = 'topk(5, 100 * (1 - avg by (node) (rate(node_cpu_seconds_total{mode="idle"}[1h]))))'
_WARM_UP_SECONDS = 10.0
_ALIGNED = 288
"""The step of a graph of 24 hours."""


@dataclass(frozen=True)
class Query:
    """A query that the simulated users send."""

    name: str
    goal: int
    """The goal of its p95 in milliseconds."""
    path: Callable[[str, int], str]
    """Returns the path for a node and a time in seconds."""
    is_graph: bool = False
    """Whether the time is aligned to the step, as Grafana does it."""


QUERIES = (
    Query(
        "current CPU usage of a node",
        50,
        lambda node, _: f"/api/v1/metrics/current?metric=cpu_usage_percent&node={node}",
    ),
    Query(
        "24 h of a measure on a node",
        50,
        lambda node, now: (
            f"/api/v1/metrics/history?metric=memory_usage_percent&node={node}&start={now - _DAY}&end={now}"
        ),
        is_graph=True,
    ),
    Query("top 5 of 100 nodes over 1 h", 100, lambda _, now: f"/api/v1/query?query={quote(_TOP)}&time={now}"),
    Query(
        "CPU usage of all nodes over 24 h",
        500,
        lambda _, now: f"/api/v1/metrics/history?metric=cpu_usage_percent&start={now - _DAY}&end={now}",
        is_graph=True,
    ),
)


@dataclass
class _Taken:
    """The latencies of one query in seconds, and the failed requests."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0

    def quantile(self, q: float) -> float:
        """Return a quantile in milliseconds."""
        ordered = sorted(self.seconds)
        return 1000 * ordered[min(len(ordered) - 1, int(q * len(ordered)))] if ordered else float("nan")


def measure(users: int, pause: float, seconds: int) -> list[Figure]:
    """Return p50 and p95 of each query.

    Args:
        users: the number of connections, each of which sends one request at a time.
        pause: mean seconds between two requests of a user; each pause is random, from 0.5 to 1.5 times the mean.
        seconds: the duration of the measurement.
    """
    folder = data_set.ensure(NODES, SERIES, DAYS, lambda text: print(text, file=sys.stderr))
    command = [sys.executable, "-m", query_server.__name__, str(folder), str(NODES), str(SERIES)]
    with announced("hub", command, folder) as server:
        before = cpu_seconds(server.pid)
        taken = asyncio.run(_run(server, users, pause, seconds))
        spent = cpu_seconds(server.pid) - before
        resident, _ = memory(server.pid)
    total = sum(len(one.seconds) for one in taken.values())
    errors = sum(one.errors for one in taken.values())
    print(
        f"{total} requests, {total / seconds:.0f}/s, {spent / seconds:.2f} CPUs, RSS {resident:.0f} MiB",
        file=sys.stderr,
    )
    title = f"{users} users, one request in {pause:g} s each"
    figures = []
    for query in QUERIES:
        one = taken[query.name]
        p95 = one.quantile(0.95)
        value = f"p50 {one.quantile(0.5):.0f} ms, p95 {p95:.0f} ms ({len(one.seconds):,} requests)"
        figures.append(Figure(f"{query.name}, {title}", value, goal=f"p95 {query.goal} ms", met=p95 <= query.goal))
    return [*figures, Figure("failed requests", str(errors), goal="0", met=errors == 0)]


async def _run(server: Server, users: int, pause: float, seconds: int) -> dict[str, _Taken]:
    status = json.loads(server.get("/api/status"))
    ahead = datetime.fromisoformat(status["timestamp"]).timestamp() - time.time()
    taken = {query.name: _Taken() for query in QUERIES}
    begin = time.monotonic() + _WARM_UP_SECONDS

    async def user(number: int) -> None:
        own = random.Random(number)
        host = urlsplit(server.url)
        reader, writer = await asyncio.open_connection(host.hostname, host.port, limit=1 << 22)
        await asyncio.sleep(own.uniform(0, pause))
        while (now := time.monotonic()) < begin + seconds:
            query = own.choice(QUERIES)
            end = int(time.time() + ahead)
            path = query.path(f"node-{own.randrange(NODES):02}", end - end % _ALIGNED if query.is_graph else end)
            head = f"GET {path} HTTP/1.1\r\nHost: {host.netloc}\r\n"
            lines = "".join(f"{name}: {value}\r\n" for name, value in server.headers.items())
            writer.write(f"{head}{lines}\r\n".encode())
            status = await _response(reader)
            if now >= begin:
                taken[query.name].seconds.append(time.monotonic() - now)
                taken[query.name].errors += status != 200
            await asyncio.sleep(own.uniform(0.5, 1.5) * pause)
        writer.close()

    await asyncio.gather(*map(user, range(users)))
    return taken


async def _response(reader: asyncio.StreamReader) -> int:
    """Read a response, and return its status."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, length = head.partition(b"content-length: ")
    await reader.readexactly(int(length.partition(b"\r\n")[0]))
    return int(head[9:12])
