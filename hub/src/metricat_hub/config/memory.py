"""The defaults of query.max-samples and query.max-memory, from the memory of the machine or of the container."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

BYTES_PER_SAMPLE: Final = 100
"""Bytes of memory that a query needs for each sample. Measured: 34 for a selection, 100 for `sum_over_time`."""
SHARE: Final = 4
"""All queries together may use the memory divided by this number."""
_LEAST, _MOST = 1_000_000, 50_000_000
_UNKNOWN = 4 << 30


def default_samples(root: Path = Path("/")) -> int:
    """Return the default limit of samples that a query reads, from 1 to 50 million."""
    return min(max(_memory(root) // SHARE // BYTES_PER_SAMPLE, _LEAST), _MOST)


def default_memory(root: Path = Path("/")) -> int:
    """Return the default limit of memory for all queries in bytes, from 100 MB to 5 GB."""
    return default_samples(root) * BYTES_PER_SAMPLE


def _memory(root: Path) -> int:
    """Return the bytes that this process may use: the smallest limit of its cgroups, or the memory of the machine."""
    try:
        found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        found = _UNKNOWN
    return min([found, *_limits(root)])


def _limits(root: Path) -> list[int]:
    """Return the memory limits of the process's cgroup and of those above it."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        base = root / ("sys/fs/cgroup/memory" if controllers else "sys/fs/cgroup")
        file = "memory.limit_in_bytes" if controllers else "memory.max"
        parts = path.strip("/").split("/") if path.strip("/") else []
        for depth in range(len(parts), -1, -1):
            try:
                found.append(int(base.joinpath(*parts[:depth], file).read_text()))
            except (OSError, ValueError):  # no such file in this view, or `max`
                continue
    return found
