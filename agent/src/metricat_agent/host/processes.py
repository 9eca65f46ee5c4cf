"""Reading of single processes: from ``/proc/PID/stat`` on Linux, through psutil on other systems.

psutil reads three files for data that one file contains. Its cost per process is six times as high. With thousands of
processes that would use the agent's whole CPU limit.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from metricat_agent.host.ascii_text import is_digits
from metricat_agent.host.hostfs import USER_HZ

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_READ = 1024
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})")
_CONTAINER = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """Identity and resource usage of a process at one moment."""

    pid: int
    name: str
    started: float
    """Seconds since boot (through psutil: since 1970): distinguishes a later process with the same PID."""
    cpu_seconds: float
    resident: int
    threads: int
    state: str = ""
    """One letter (``man 5 proc_pid_stat``); empty on systems without such letters."""


@dataclass(frozen=True, slots=True)
class PodRef:
    """The pod and container of a process, empty outside of pods."""

    pod_uid: str = ""
    container_id: str = ""


class ProcessSource(Protocol):
    """The interface to the processes of a system."""

    def pids(self) -> list[int]:
        """Return all PIDs."""

    def read(self, pid: int) -> ProcessStat | None:
        """Return one process; None if it has exited. Raise PermissionError if the agent may not read it."""

    def thread_states(self, pid: int) -> list[str]:
        """Return the state of each thread of a process."""

    def pod(self, pid: int) -> PodRef:
        """Return the pod and container of a process."""

    def now(self) -> float:
        """Return the time on the clock of `ProcessStat.started`."""


def parse_stat(pid: int, data: bytes, page: int) -> ProcessStat:
    """Parse ``/proc/PID/stat`` (``man 5 proc_pid_stat``); the name, in parentheses, may contain parentheses itself."""
    left, right = data.index(b"("), data.rindex(b")")
    fields = data[right + 2 :].split()
    return ProcessStat(
        pid=pid,
        name=data[left + 1 : right].decode("utf-8", "surrogateescape"),
        started=int(fields[19]) / USER_HZ,
        cpu_seconds=(int(fields[11]) + int(fields[12])) / USER_HZ,
        resident=int(fields[21]) * page,
        threads=int(fields[17]),
        state=fields[0].decode("ascii", "replace"),
    )


def parse_cgroup(text: str) -> PodRef:
    """Find pod and container in the paths of ``/proc/PID/cgroup``, for cgroup v1 and v2 and both drivers."""
    pod, container = _POD.search(text), _CONTAINER.findall(text)
    uid = pod[1].replace("_", "-") if pod else ""
    return PodRef(uid, container[-1] if container else "")


class ProcSource:
    """The host's processes, read from its /proc."""

    def __init__(self, host: Host) -> None:
        self._root = host.procfs
        self._page = os.sysconf("SC_PAGE_SIZE")

    def pids(self) -> list[int]:
        """Return the PIDs in /proc."""
        return [int(name) for name in os.listdir(self._root) if is_digits(name)]  # noqa: PTH208 -- paths are strings

    def read(self, pid: int) -> ProcessStat | None:
        """Read ``stat``, which every user may read unless /proc is mounted with ``hidepid``."""
        data = self._data(pid, "stat", _READ, raises_denied=True)
        try:
            return parse_stat(pid, data, self._page) if data else None
        except (ValueError, IndexError):
            return None

    def thread_states(self, pid: int) -> list[str]:
        """Return the state of each thread; empty if the process has exited."""
        try:
            numbers = os.listdir(f"{self._root}/{pid}/task")  # noqa: PTH208 -- paths are strings
        except OSError:
            return []
        texts = (self._data(pid, f"task/{number}/stat", _READ) for number in numbers)
        return [data[data.rindex(b")") + 2 :][:1].decode("ascii", "replace") for data in texts if b")" in data]

    def pod(self, pid: int) -> PodRef:
        """Return the pod and container of the process, from its control groups."""
        return parse_cgroup(self._data(pid, "cgroup", 4 * _READ).decode("utf-8", "replace"))

    def now(self) -> float:
        """Return the seconds since boot, which are the same in every container; 0 if they cannot be read."""
        data = self._data("", "uptime", _READ)
        return float(data.split()[0]) if data else 0.0

    def _data(self, pid: int | str, name: str, most: int, *, raises_denied: bool = False) -> bytes:
        """Return the beginning of a file; empty if it cannot be read, mostly because the process has exited."""
        try:
            descriptor = os.open(f"{self._root}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.read(descriptor, most)
            finally:
                os.close(descriptor)
        except PermissionError:
            if raises_denied:
                raise
            return b""
        except OSError:
            return b""


class PsutilSource:
    """The processes of this system, read through psutil on any platform."""

    def __init__(self) -> None:
        import psutil  # noqa: PLC0415 -- not needed on Linux

        self._psutil = psutil

    def pids(self) -> list[int]:
        """Return all PIDs."""
        return self._psutil.pids()

    def read(self, pid: int) -> ProcessStat | None:
        """Read all fields together; None if the process has exited or the agent may not read it."""
        try:
            process = self._psutil.Process(pid)
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
                return ProcessStat(
                    pid=pid,
                    name=process.name(),
                    started=process.create_time(),
                    cpu_seconds=times.user + times.system,
                    resident=memory.rss,
                    threads=process.num_threads(),
                )
        except self._psutil.Error:
            return None

    def thread_states(self, pid: int) -> list[str]:
        """Return an empty list: other systems have other states."""
        del pid
        return []

    def pod(self, pid: int) -> PodRef:
        """Return an empty reference: other systems have no pods."""
        del pid
        return PodRef()

    def now(self) -> float:
        """Return the seconds since 1970."""
        return time.time()
