"""The part `startup`: `metricat up` in an empty directory: time to the first sample, and memory of hub and agent."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import psutil

from metricat_tools.bench.hub.machine import memory, memory_together
from metricat_tools.bench.hub.programs import announced, free_port
from metricat_tools.bench.hub.report import Figure

if TYPE_CHECKING:
    from pathlib import Path

_QUERY = f"/api/v1/query?query={quote('node_load1')}"


def measure(folder: Path, seconds: int) -> list[Figure]:
    """Return the time to the first sample, and the memory after `seconds` seconds of scrapes."""
    command = [
        *(sys.executable, "-m", "metricat_cli", "up", f"--data={folder / 'data'}"),
        *(f"--listen=127.0.0.1:{free_port()}", "--access.anonymous-loopback"),
    ]
    begin = time.monotonic()
    with announced("metricat up", command, folder) as server:
        while not json.loads(server.get(_QUERY))["data"]["result"]:
            time.sleep(0.05)
        first = time.monotonic() - begin
        time.sleep(seconds)
        processes = [server.pid, *(child.pid for child in psutil.Process(server.pid).children(recursive=True))]
        together = memory_together(processes)
        resident = [memory(process)[0] for process in processes]
    text = f"{together:.1f} MiB, RSS {' + '.join(f'{one:.1f}' for one in resident)} MiB"
    return [
        Figure("`metricat up`: first sample", f"{first:.1f} s", goal="15 s", met=first <= 15),
        Figure(f"hub and agent after {seconds} s: memory", text, goal="90 MiB", met=together <= 90),
    ]
