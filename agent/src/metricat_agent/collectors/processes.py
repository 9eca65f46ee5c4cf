"""The processes that use most CPU or memory, with pod and container, and the number of all processes.

The collector never exposes command lines or environments.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import CollectorOption, parse_whole, switch
from metricat_agent.collectors.parts import UNCOUNTED, parse_part, whole
from metricat_agent.exposition.model import Family, Metrics, gauge, single
from metricat_agent.host.process_sampler import ProcessSampler
from metricat_agent.host.processes import ProcSource, PsutilSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.process_sampler import ProcessTotals, TopProcess
    from metricat_agent.host.skips import Skips


def _process(name: str, text: str) -> Family:
    return gauge(f"metricat_process_{name}", text, "pid", "name", "pod_uid", "container_id")


CPU = _process("cpu_ratio", "CPU usage of a process, averaged over about 10 s; 1 is one whole CPU.")
MEMORY = _process("resident_memory_bytes", "Resident memory of a process, in bytes.")
THREADS = _process("threads", "Number of threads of a process.")
PROCESSES = gauge("node_processes_pids", "Number of processes.")
STATES = gauge(
    "node_processes_state", "Number of processes by state, which is a letter of man 5 proc_pid_stat.", "state"
)
ALL_THREADS = gauge("node_processes_threads", "Number of threads of all processes.")
THREAD_STATES = gauge(
    "node_processes_threads_state",
    "Threads of all processes by state, which is a letter of man 5 proc_pid_stat.",
    "thread_state",
)
LIMITS = {
    "threads-max": gauge("node_processes_max_threads", "Maximum number of threads in the kernel."),
    "pid_max": gauge("node_processes_max_processes", "Maximum number of process IDs in the kernel."),
}
"""By the file below ``/proc/sys/kernel``. Since Linux 6.14, ``pid_max`` is that of the reader's PID namespace."""
_MOST = 100
_MASKS = ("none", "hash")


def mask_name(name: str, mask: str) -> str:
    """Return the name, or its hash if ``mask`` is ``hash``."""
    if mask != "hash":
        return name
    import hashlib  # noqa: PLC0415 -- imports OpenSSL (3.7 MiB), only needed with this option

    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def parse(processes: Iterable[TopProcess], mask: str) -> Metrics:
    """Return CPU usage, memory and threads of each process."""
    labeled = [
        (
            (
                str(process.stat.pid),
                mask_name(process.stat.name, mask),
                process.pod.pod_uid,
                process.pod.container_id,
            ),
            process,
        )
        for process in processes
    ]
    return [
        (CPU, [(labels, round(process.cpu_ratio, 6)) for labels, process in labeled]),
        (MEMORY, [(labels, process.stat.resident) for labels, process in labeled]),
        (THREADS, [(labels, process.stat.threads) for labels, process in labeled]),
    ]


def parse_totals(totals: ProcessTotals, limits: Mapping[str, str | None], skips: Skips = UNCOUNTED) -> Metrics:
    """Return the processes and threads, in total and by state, and their limits; an empty list if `states` is empty."""
    if not totals.states:
        return []
    return [
        single(PROCESSES, totals.processes),
        (STATES, [((state,), number) for state, number in totals.states.items()]),
        single(ALL_THREADS, totals.threads),
        (THREAD_STATES, [((state,), number) for state, number in totals.thread_states.items()]),
        *(
            single(LIMITS[name], limit)
            for name, text in limits.items()
            if text is not None and (limit := parse_part(skips, f"sys/kernel/{name}", whole, text)) is not None
        ),
    ]


def parse_top(text: str) -> int:
    """Return the number of processes to expose. Raise ValueError if it is out of range."""
    return parse_whole(text, 1, _MOST, 10)


def parse_mask(text: str) -> str:
    """Return the mask of process names, none or hash. Raise ValueError for other texts."""
    if text not in _MASKS:
        raise ValueError("not a mask; write none or hash")
    return text


TOP = CollectorOption(
    *(
        "top",
        "10",
        f"number of processes to expose with the highest CPU usage, and with the highest memory usage; at most {_MOST}",
        "NUMBER",
    ),
    parse=parse_top,
)
MASK = CollectorOption(
    *("mask", "none", "process names in labels: unchanged (none) or hashed (hash)", "none|hash"), parse=parse_mask
)
EACH_THREAD = switch("thread-states", "also count threads by state; this reads every thread")


class Processes(Collector):
    """The processes that use most CPU or memory, and the number of all processes."""

    name = "processes"
    summary = "the processes that use most CPU or memory, and the number of all processes"
    families = (CPU, MEMORY, THREADS, PROCESSES, STATES, ALL_THREADS, THREAD_STATES, *LIMITS.values())
    options = (TOP, MASK, EACH_THREAD)

    def setup(self) -> None:
        """Create the sampler. Its thread starts at the first scrape."""
        source = ProcSource(self.host) if sys.platform == "linux" else PsutilSource()
        self._sampler = ProcessSampler(source, self.option(TOP), each_thread=self.option(EACH_THREAD))

    def background_seconds(self) -> float:
        """Return the CPU time that the sampling thread used so far, in seconds."""
        return self._sampler.cpu_seconds

    def suspend(self) -> None:
        """End the sampling thread. The next scrape starts it again."""
        self._sampler.stop()

    def collect(self) -> Metrics:
        """Return the top processes of the last pass, the totals of all processes, and the kernel's limits."""
        processes = self._sampler.top()
        self._count_hidden()
        limits = {name: self.host.optional_proc(f"sys/kernel/{name}") for name in LIMITS}
        return self.parse_parts_if_changed((processes, self._sampler.totals, limits), self._parse)

    def _count_hidden(self) -> None:
        """Count processes that the agent may not read: all of other users if /proc is mounted with ``hidepid``."""
        place = self.host.procfs
        if denied := self._sampler.totals.denied:
            self.host.skips.add("denied", f"{place}/PID/stat", f"{denied} processes; is {place} mounted with hidepid?")
        if sys.platform == "linux" and not os.access(f"{place}/1", os.F_OK):
            self.host.skips.add("denied", f"{place}/1", f"process 1 is hidden; is {place} mounted with hidepid?")

    def _parse(
        self, found: tuple[tuple[TopProcess, ...], ProcessTotals, Mapping[str, str | None]], skips: Skips
    ) -> Metrics:
        processes, totals, limits = found
        return parse(processes, self.option(MASK)) + parse_totals(totals, limits, skips)
