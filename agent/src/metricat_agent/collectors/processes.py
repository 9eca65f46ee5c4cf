"""The few processes that use most CPU or memory, with pod and container, and the number of all.

Never a command line, never an environment.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.collectors.option import CollectorOption, switch
from metricat_agent.exposition.model import Family, Metrics, gauge, single
from metricat_agent.host.process_sampler import ProcessSampler
from metricat_agent.host.processes import ProcSource, PsutilSource

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from metricat_agent.host.process_sampler import ProcessTotals, TopProcess


def _process(name: str, text: str) -> Family:
    return gauge(f"metricat_process_{name}", text, "pid", "name", "pod_uid", "container_id")


CPU = _process("cpu_ratio", "CPUs that a process used, its mean over some 10 s; 1 is one whole CPU.")
MEMORY = _process("resident_memory_bytes", "Memory of a process that is not swapped out, in bytes.")
THREADS = _process("threads", "Threads of a process.")
PROCESSES = gauge("node_processes_pids", "Processes.")
STATES = gauge("node_processes_state", "Processes by state, a letter of man 5 proc_pid_stat.", "state")
ALL_THREADS = gauge("node_processes_threads", "Threads of all processes.")
THREAD_STATES = gauge("node_processes_threads_state", "Threads by state.", "thread_state")
LIMITS = {
    "threads-max": gauge("node_processes_max_threads", "Threads that the kernel lets be at most."),
    "pid_max": gauge("node_processes_max_processes", "Numbers of processes that the kernel has at most."),
}
"""By the file below ``/proc/sys/kernel``; the second shows the reader's PID namespace since Linux 6.14."""
_MOST = 100
_MASKS = ("none", "hash")


def mask_name(name: str, mask: str) -> str:
    """Return the name, or what tells it from others without saying it."""
    if mask != "hash":
        return name
    import hashlib  # noqa: PLC0415 -- OpenSSL comes with it, 3.7 MiB, for those who ask for it

    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def parse(processes: Iterable[TopProcess], mask: str) -> Metrics:
    """Give three series of each process."""
    labelled = [
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
        (CPU, [(labels, round(process.cpu_ratio, 6)) for labels, process in labelled]),
        (MEMORY, [(labels, process.stat.resident) for labels, process in labelled]),
        (THREADS, [(labels, process.stat.threads) for labels, process in labelled]),
    ]


def parse_totals(totals: ProcessTotals, limits: Mapping[str, str]) -> Metrics:
    """Give the number of all; nothing where the system tells no states."""
    if not totals.states:
        return []
    return [
        single(PROCESSES, totals.processes),
        (STATES, [((state,), number) for state, number in totals.states.items()]),
        single(ALL_THREADS, totals.threads),
        (THREAD_STATES, [((state,), number) for state, number in totals.thread_states.items()]),
        *(single(LIMITS[name], int(text)) for name, text in limits.items()),
    ]


def parse_top(text: str) -> int:
    """Return how many processes to expose."""
    if not text.isdigit() or not 1 <= int(text) <= _MOST:
        raise ValueError(f"not a number from 1 to {_MOST}; write one such as 10")
    return int(text)


def parse_mask(text: str) -> str:
    """Return how to expose the names of processes."""
    if text not in _MASKS:
        raise ValueError("not a mask; write none or hash")
    return text


TOP = CollectorOption(
    *("top", "10", f"processes by CPU, and as many by memory, {_MOST} at most", "NUMBER"), parse=parse_top
)
MASK = CollectorOption(
    *("mask", "none", "how names are shown: none (as they are) or hash", "none|hash"), parse=parse_mask
)
EACH_THREAD = switch("thread-states", "count threads by state too, for which the agent reads each thread")


class Processes(Collector):
    """Who uses the CPUs and the memory."""

    name = "processes"
    summary = "the processes that use most CPU or memory, and the number of all"
    families = (CPU, MEMORY, THREADS, PROCESSES, STATES, ALL_THREADS, THREAD_STATES, *LIMITS.values())
    options = (TOP, MASK, EACH_THREAD)

    def setup(self) -> None:
        """Begin to walk at the first scrape, not before."""
        source = ProcSource(self.host) if sys.platform == "linux" else PsutilSource()
        self._sampler = ProcessSampler(source, self.option(TOP), each_thread=self.option(EACH_THREAD))

    def background_seconds(self) -> float:
        """Return what the walk used."""
        return self._sampler.cpu_seconds

    def suspend(self) -> None:
        """End the walk."""
        self._sampler.stop()

    def collect(self) -> Metrics:
        """Look at what the walk found."""
        processes = self._sampler.top()
        limits = {}
        for name in LIMITS:
            with suppress(FileNotFoundError):
                limits[name] = self.host.proc(f"sys/kernel/{name}")
        return parse(processes, self.option(MASK)) + parse_totals(self._sampler.totals, limits)
