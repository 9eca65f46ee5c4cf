"""Many concurrent clients of an HTTP server, in a process of their own, with kept connections."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Load:
    """What the clients saw."""

    per_second: float
    statuses: dict[str, int]
    """The responses by status; `error`: the connection failed."""
    p50: float
    p95: float
    """Milliseconds."""


def run(port: int, paths: Sequence[str], headers: Sequence[str], *, clients: int = 100, seconds: float = 8) -> Load:
    """Send requests for these paths in turn, from all clients at once."""
    given = json.dumps([port, list(paths), list(headers), clients, seconds])
    done = subprocess.run([sys.executable, __file__, given], check=True, capture_output=True, text=True, timeout=300)
    return Load(**json.loads(done.stdout))


class _Clients:
    def __init__(self, port: int, paths: Sequence[str], headers: Sequence[str], seconds: float) -> None:
        head = "".join(f"{one}\r\n" for one in ("Host: localhost", *headers))
        self.port = port
        self.requests = [f"GET {path} HTTP/1.1\r\n{head}\r\n".encode() for path in paths]
        self.deadline = time.monotonic() + seconds
        self.statuses: Counter[str] = Counter()
        self.times: list[float] = []

    async def client(self, number: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)
        try:
            while time.monotonic() < self.deadline:
                begin = time.perf_counter()
                writer.write(self.requests[number % len(self.requests)])
                status = await self.response(reader)
                self.times.append(time.perf_counter() - begin)
                self.statuses[status] += 1
                number += 1
        except (OSError, asyncio.IncompleteReadError):
            self.statuses["error"] += 1
        finally:
            writer.close()

    async def response(self, reader: asyncio.StreamReader) -> str:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = head.partition("content-length: ")[2].partition("\r\n")[0]
        if length:
            await reader.readexactly(int(length))
        return head.split(" ", 2)[1]


async def _main(port: int, paths: Sequence[str], headers: Sequence[str], clients: int, seconds: float) -> None:
    load = _Clients(port, paths, headers, seconds)
    begin = time.monotonic()
    await asyncio.gather(*(load.client(number) for number in range(clients)))
    passed = time.monotonic() - begin
    times = sorted(load.times)
    found = {
        "per_second": len(times) / passed,
        "statuses": dict(load.statuses),
        "p50": times[len(times) // 2] * 1000,
        "p95": times[len(times) * 95 // 100] * 1000,
    }
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(_main(*json.loads(sys.argv[1])))
