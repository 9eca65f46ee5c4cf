"""Metrics of the agent's own process. The only collector that reads this process instead of the host."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING

from metricat_agent import __version__
from metricat_agent.collectors import Collector
from metricat_agent.collectors.parts import UNCOUNTED, parse_part, whole
from metricat_agent.exposition.model import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host
    from metricat_agent.host.skips import Skips

BUILD_INFO = gauge(
    "metricat_agent_build_info", "1, labeled with the versions of the agent and its Python.", "version", "python"
)
EXPORTER = gauge(
    "node_exporter_build_info",
    "1, labeled with the agent's version. Dashboards of node_exporter query this metric.",
    *("branch", "goarch", "goos", "goversion", "revision", "tags", "version"),
)
CPU_SECONDS = counter("metricat_agent_cpu_seconds_total", "CPU time that the agent used, in seconds.")
RESIDENT_MEMORY = gauge("metricat_agent_resident_memory_bytes", "Resident memory of the agent, in bytes.")


def read(host: Host) -> tuple[str | None, int, float]:
    """Return the agent's statm (``man 5 proc_pid_statm``), the page size in bytes, and the CPU time in seconds."""
    path = f"{host.self_proc}/statm"
    try:
        statm = host.files.text(path)
    except OSError as error:
        host.skips.add_error(error, path)
        statm = None
    return statm, os.sysconf("SC_PAGE_SIZE"), time.process_time()


def versions() -> Metrics:
    """Return the versions of the agent and its Python, which do not change."""
    python = ".".join(map(str, sys.version_info[:3]))
    return [
        (BUILD_INFO, [((__version__, python), 1)]),
        (EXPORTER, [(("", os.uname().machine, sys.platform, "", "", "metricat", __version__), 1)]),
    ]


def resident_pages(statm: str) -> int:
    """Return the resident pages, the second number of statm."""
    return whole(statm.split()[1])


def parse(statm: str | None, page: int, cpu_seconds: float, skips: Skips = UNCOUNTED) -> Metrics:
    """Return CPU time and resident memory."""
    found = [single(CPU_SECONDS, cpu_seconds)]
    pages = None if statm is None else parse_part(skips, "statm", resident_pages, statm)
    if pages is not None:
        found.append(single(RESIDENT_MEMORY, pages * page))
    return found


class Agent(Collector):
    """Version, CPU time and memory of the agent."""

    name = "agent"
    summary = "the agent's own version, CPU time and memory"
    essential = True
    families = (BUILD_INFO, EXPORTER, CPU_SECONDS, RESIDENT_MEMORY)

    def setup(self) -> None:
        """Look up the versions once."""
        self._versions = versions()

    def collect(self) -> Metrics:
        """Return the version, CPU time and resident memory of this process."""
        return self._versions + parse(*read(self.host), self.host.skips)
