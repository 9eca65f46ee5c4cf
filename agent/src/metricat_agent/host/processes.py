"""One process at a time: from ``/proc/PID/stat`` on Linux, from psutil elsewhere.

psutil asks three files for what one holds, which costs six times as much per process; on thousands of them that is the
agent's whole budget. Where there is no such file, psutil knows the way.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from metricat_agent.host.hostfs import USER_HZ

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

_READ = 1024
_POD = re.compile(r"pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})")
_CONTAINER = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")


@dataclass(frozen=True, slots=True)
class ProcessStat:
    """What a process was found to be and to have used."""

    pid: int
    name: str
    started: float
    """In seconds since boot (or since 1970 where boot is unknown): tells it from a later one with the same number."""
    cpu_seconds: float
    resident: int
    threads: int
    state: str = ""
    """One letter (``man 5 proc_pid_stat``); empty where the system has no such letters."""


@dataclass(frozen=True, slots=True)
class PodRef:
    """Where a process belongs, empty outside of pods."""

    pod_uid: str = ""
    container_id: str = ""


class ProcessSource(Protocol):
    """Where processes are read."""

    def pids(self) -> list[int]:
        """Return the numbers of all processes."""

    def read(self, pid: int) -> ProcessStat | None:
        """Return one process; None if it is gone, or not ours to see."""

    def thread_states(self, pid: int) -> list[str]:
        """Return the state of each of its threads."""

    def pod(self, pid: int) -> PodRef:
        """Return where it belongs."""

    def now(self) -> float:
        """Return the time on the clock of `ProcessStat.started`."""


def parse_stat(pid: int, data: bytes, page: int) -> ProcessStat:
    """Parse ``/proc/PID/stat`` (``man 5 proc_pid_stat``); the name stands in parentheses and may hold some itself."""
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
    """Find pod and container in the paths of ``/proc/PID/cgroup``, of either version and driver."""
    pod, container = _POD.search(text), _CONTAINER.findall(text)
    uid = pod[1].replace("_", "-") if pod else ""
    return PodRef(uid, container[-1] if container else "")


class ProcSource:
    """The host's processes, wherever its /proc is mounted."""

    def __init__(self, host: Host) -> None:
        self._root = host.procfs
        self._page = os.sysconf("SC_PAGE_SIZE")

    def pids(self) -> list[int]:
        """Return the numbers in /proc."""
        return [int(name) for name in os.listdir(self._root) if name.isdigit()]  # noqa: PTH208 -- texts

    def read(self, pid: int) -> ProcessStat | None:
        """Read one file, which anybody may."""
        data = self._data(pid, "stat", _READ)
        try:
            return parse_stat(pid, data, self._page) if data else None
        except (ValueError, IndexError):
            return None

    def thread_states(self, pid: int) -> list[str]:
        """Read a file of each thread; none once the process is gone."""
        try:
            numbers = os.listdir(f"{self._root}/{pid}/task")  # noqa: PTH208 -- texts
        except OSError:
            return []
        texts = (self._data(pid, f"task/{number}/stat", _READ) for number in numbers)
        return [data[data.rindex(b")") + 2 :][:1].decode("ascii", "replace") for data in texts if b")" in data]

    def pod(self, pid: int) -> PodRef:
        """Read its control groups."""
        return parse_cgroup(self._data(pid, "cgroup", 4 * _READ).decode("utf-8", "replace"))

    def now(self) -> float:
        """Return the seconds since boot, which are the same for every container."""
        data = self._data("", "uptime", _READ)
        return float(data.split()[0]) if data else 0.0

    def _data(self, pid: int | str, name: str, most: int) -> bytes:
        try:
            descriptor = os.open(f"{self._root}/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return b""
        try:
            return os.read(descriptor, most)
        except OSError:  # it ended between the two calls
            return b""
        finally:
            os.close(descriptor)


class PsutilSource:
    """The processes of this system, whichever it is."""

    def __init__(self) -> None:
        import psutil  # noqa: PLC0415 -- Linux does without

        self._psutil = psutil

    def pids(self) -> list[int]:
        """Return the numbers of all processes."""
        return self._psutil.pids()

    def read(self, pid: int) -> ProcessStat | None:
        """Ask for all at once; None for those that others may not see."""
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
        """Return nothing: other systems have other states."""
        del pid
        return []

    def pod(self, pid: int) -> PodRef:
        """Return nothing: there are no pods elsewhere."""
        del pid
        return PodRef()

    def now(self) -> float:
        """Return the seconds since 1970."""
        return time.time()
