"""The machine of a run, and the resources that a process uses."""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Sequence


def describe() -> str:
    """Return the date, the CPUs, the memory and the load in one line."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    model = found[1] if found else platform.machine()
    memory = psutil.virtual_memory().total / 2**30
    load = os.getloadavg()[1]
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} CPUs ({model}), {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, load of the last 5 minutes {load:.1f}"
    )


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and its ended threads."""
    times = psutil.Process(process).cpu_times()
    return float(times.user + times.system)


def memory(process: int) -> tuple[float, float]:
    """Return the resident memory (RSS) and the proportional one (PSS) of a process in MiB."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    sizes = dict(re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE))
    return int(sizes["Rss"]) / 1024, int(sizes["Pss"]) / 1024


def memory_together(processes: Sequence[int]) -> float:
    """Return the resident memory of several processes in MiB, with the pages of each mapped file counted once.

    Each process maps the same libraries. For each file, the process with the most pages counts. Other processes of the
    machine do not change the result, as they change the PSS.
    """
    anonymous, files = 0, Counter[str]()
    for process in processes:
        resident = Counter[str]()
        for mapping in psutil.Process(process).memory_maps(grouped=False):
            private = mapping.anonymous
            anonymous += private
            resident[mapping.path] += mapping.rss - private
        files |= resident  # the larger of both counts
    return (anonymous + files.total()) / 2**20


def file_bytes(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
