"""The few processes that use most CPU or memory, with pod and container. Never a command line, never an environment."""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.families import Family, Metrics, gauge
from metricat_agent.options import Option
from metricat_agent.processes import ProcSource, PsutilSource
from metricat_agent.walker import Walker

if TYPE_CHECKING:
    from collections.abc import Iterable

    from metricat_agent.walker import Member


def _process(name: str, text: str) -> Family:
    return gauge(f"metricat_process_{name}", text, "pid", "name", "pod_uid", "container_id")


CPU = _process("cpu_ratio", "CPUs that a process used, its mean over some 10 s; 1 is one whole CPU.")
MEMORY = _process("resident_memory_bytes", "Memory of a process that is not swapped out, in bytes.")
THREADS = _process("threads", "Threads of a process.")
_MOST = 100
_MASKS = ("none", "hash")


def masked(name: str, mask: object) -> str:
    """Return the name, or what tells it from others without saying it."""
    if mask != "hash":
        return name
    return hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:12]


def parse(members: Iterable[Member], mask: object) -> Metrics:
    """Give three series of each process."""
    labelled = [
        (
            (
                str(member.reading.pid),
                masked(member.reading.name, mask),
                member.place.pod_uid,
                member.place.container_id,
            ),
            member,
        )
        for member in members
    ]
    return [
        (CPU, [(labels, round(member.cpu_ratio, 6)) for labels, member in labelled]),
        (MEMORY, [(labels, member.reading.resident) for labels, member in labelled]),
        (THREADS, [(labels, member.reading.threads) for labels, member in labelled]),
    ]


class Processes(Collector):
    """Who uses the CPUs and the memory."""

    name = "processes"
    summary = "the processes that use most CPU or memory"
    families = (CPU, MEMORY, THREADS)
    options = (
        Option("top", "10", f"processes by CPU, and as many by memory, {_MOST} at most", "NUMBER"),
        Option("mask", "none", "how names are shown: none (as they are) or hash", "none|hash"),
    )

    def start(self) -> None:
        """Begin to walk at the first scrape, not before."""
        top = self.settings["top"]
        assert isinstance(top, int)  # noqa: S101 -- `option` made it
        self._walker = Walker(ProcSource(self.host) if sys.platform == "linux" else PsutilSource(), top)

    @classmethod
    def option(cls, name: str, text: str) -> object:
        """Check the number and the word."""
        if name == "mask":
            if text not in _MASKS:
                raise ValueError("not a way to mask; write none or hash")
            return text
        if not text.isdigit() or not 1 <= int(text) <= _MOST:
            raise ValueError(f"not a number from 1 to {_MOST}; write one such as 10")
        return int(text)

    def background_seconds(self) -> float:
        """Return what the walk used."""
        return self._walker.cpu_seconds

    def pause(self) -> None:
        """End the walk."""
        self._walker.stop()

    def collect(self) -> Metrics:
        """Look at what the walk found."""
        return parse(self._walker.members(), self.settings["mask"])
