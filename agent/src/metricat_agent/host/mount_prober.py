"""Looks at mounts that may hang (NFS, FUSE), from a child, and never waits for one that does.

A process stuck in statfs(2) on a dead mount ignores SIGKILL, and a thread stuck there keeps its process from ending. So
a child does it: spawned anew (no lock, no socket of ours comes along), reused as long as it answers. One that does not
answer in time is left to its mount, which is not asked again before it does; there is at most one child per mount.
"""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from metricat_agent.host import mount_probe_child

_CHILDREN = 8
"""Stuck children at most: each weighs some MiB."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the path leads to: its device (st_dev) and what statvfs says."""

    device: int
    block: int
    blocks: int
    free: int
    available: int
    files: int
    files_free: int


class HungError(OSError):
    """The mount does not answer."""


class Child:
    """One child and its two pipes."""

    def __init__(self) -> None:
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-E", mount_probe_child.__file__],
                {},
                file_actions=[(os.POSIX_SPAWN_DUP2, theirs_in, 0), (os.POSIX_SPAWN_DUP2, theirs_out, 1)],
            )
        except OSError:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            os.close(theirs_in)
            os.close(theirs_out)

    def ask(self, path: str) -> None:
        """Send a path."""
        os.write(self._to, os.fsencode(path).hex().encode() + b"\n")

    def answer(self, seconds: float) -> Answer | None:
        """Return the answer; None if there is none in time; raise OSError if that is the answer."""
        poll = select.poll()
        poll.register(self._from, select.POLLIN)
        if not poll.poll(seconds * 1000):
            return None
        line = os.read(self._from, 4096)
        if not line:
            raise BrokenPipeError
        numbers = [int(word) for word in line.split()]
        if len(numbers) == 1:
            raise OSError(-numbers[0], os.strerror(-numbers[0]))
        return Answer(*numbers)

    def leave(self) -> None:
        """Let it end as soon as it can; take what is left of it if it has."""
        with suppress(OSError):
            os.close(self._to)
        with suppress(OSError):
            os.close(self._from)

    def is_gone(self) -> bool:
        """Tell whether it has ended, without waiting."""
        try:
            return os.waitpid(self._pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


class Prober:
    """Asks children. For one thread."""

    def __init__(self, patience: float = 0.25, budget: float = 0.75) -> None:
        """Wait so many seconds for one mount, and in one round for all that hang."""
        self._patience = patience
        self._budget = budget
        self._left = budget
        self._child: Child | None = None
        self._stuck: dict[str, Child] = {}
        self._leaving: list[Child] = []

    @property
    def stuck(self) -> frozenset[str]:
        """The paths that hang."""
        return frozenset(self._stuck)

    def begin(self) -> None:
        """Begin a round: see which children have come back, and take away those that ended."""
        self._left = self._budget
        for path, child in list(self._stuck.items()):
            try:
                came_back = child.answer(0) is not None
            except OSError:
                came_back = True
            if came_back:
                del self._stuck[path]
                self._let_go(child)
        self._leaving = [child for child in self._leaving if not child.is_gone()]

    def ask(self, path: str) -> Answer:
        """Return what there is at a path; raises OSError, `HungError` if it does not answer."""
        if path in self._stuck:
            raise HungError(f"{path} still hangs")
        if self._left <= 0 or len(self._stuck) >= _CHILDREN:
            raise HungError(f"no time left for {path}: other mounts hang")
        child = self._child = self._child or Child()
        started = time.monotonic()
        try:
            child.ask(path)
            answer = child.answer(min(self._patience, self._left))
        except BrokenPipeError as error:
            self._let_go(child)
            self._child = None
            raise BrokenPipeError(f"the child that looked at {path} has ended") from error
        if answer is None:
            self._left -= time.monotonic() - started
            self._stuck[path] = child
            self._child = None
            raise HungError(f"{path} does not answer")
        return answer

    def _let_go(self, child: Child) -> None:
        child.leave()
        self._leaving.append(child)
