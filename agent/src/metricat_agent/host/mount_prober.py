"""Prober of mounts that may hang (NFS, FUSE): it works in a subprocess, so the agent never waits for a hung mount.

A process stuck in statfs(2) on a dead mount ignores SIGKILL. A thread stuck there prevents its process from exiting.
So a subprocess makes the call. It is spawned, not forked: it inherits none of the agent's locks and sockets. It is
reused as long as it responds. A subprocess that does not respond in time stays with its mount. That mount is not probed
again until the subprocess responds. There is at most one stuck subprocess per mount.
"""

from __future__ import annotations

import os
import select
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

from metricat_agent.host import mount_probe_child

_MAX_PROCESSES = 8
"""Upper bound of stuck subprocesses: each takes some MiB."""


@dataclass(frozen=True, slots=True)
class MountAnswer:
    """The device that a path leads to (st_dev) and the result of statvfs(3): `block` in bytes, the others as counts."""

    device: int
    block: int
    blocks: int
    free: int
    available: int
    files: int
    files_free: int


class HungError(OSError):
    """A mount does not respond, or was not probed because other mounts do not respond."""


class ProbeProcess:
    """A probe subprocess and its two pipes."""

    def __init__(self) -> None:
        child_in, self._to = os.pipe()
        self._from, child_out = os.pipe()
        try:
            self._pid = os.posix_spawn(
                sys.executable,
                [sys.executable, "-I", "-S", "-E", mount_probe_child.__file__],
                {},
                file_actions=[(os.POSIX_SPAWN_DUP2, child_in, 0), (os.POSIX_SPAWN_DUP2, child_out, 1)],
            )
        except OSError:
            os.close(self._to)
            os.close(self._from)
            raise
        finally:
            os.close(child_in)
            os.close(child_out)

    def send(self, path: str) -> None:
        """Send a path to the subprocess, which probes it."""
        os.write(self._to, os.fsencode(path).hex().encode() + b"\n")

    def receive(self, seconds: float) -> MountAnswer | None:
        """Return the response, or None after the timeout; raise the OSError that the subprocess reports.

        Raises BrokenPipeError if the subprocess has exited.
        """
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
        return MountAnswer(*numbers)

    def close(self) -> None:
        """Close the pipes: the subprocess exits as soon as it can."""
        with suppress(OSError):
            os.close(self._to)
        with suppress(OSError):
            os.close(self._from)

    def has_exited(self) -> bool:
        """Return whether the subprocess has exited, without waiting; reap it if so."""
        try:
            return os.waitpid(self._pid, os.WNOHANG)[0] != 0
        except ChildProcessError:
            return True


class Prober:
    """Probes mounts through subprocesses. Not thread-safe."""

    def __init__(self, timeout: float = 0.25, round_timeout: float = 0.75) -> None:
        """Wait up to ``timeout`` seconds per mount, and ``round_timeout`` seconds for all hung mounts of one scrape."""
        self._timeout = timeout
        self._round_timeout = round_timeout
        self._left = round_timeout
        self._process: ProbeProcess | None = None
        self._stuck: dict[str, ProbeProcess] = {}
        self._exiting: list[ProbeProcess] = []

    @property
    def stuck(self) -> frozenset[str]:
        """The paths that hang now."""
        return frozenset(self._stuck)

    def begin_round(self) -> None:
        """Begin the probes of one scrape: release subprocesses whose mounts respond again; reap those that exited."""
        self._left = self._round_timeout
        for path, process in list(self._stuck.items()):
            try:
                responded = process.receive(0) is not None
            except OSError:
                responded = True
            if responded:
                del self._stuck[path]
                self._close(process)
        self._exiting = [process for process in self._exiting if not process.has_exited()]

    def probe(self, path: str) -> MountAnswer:
        """Return the usage at a path; raise OSError if it cannot be read, `HungError` if the mount does not respond."""
        if path in self._stuck:
            raise HungError(f"{path} still hangs")
        if self._left <= 0 or len(self._stuck) >= _MAX_PROCESSES:
            raise HungError(f"{path} was not probed: other mounts hang and used up the time or the subprocesses")
        process = self._process = self._process or ProbeProcess()
        started = time.monotonic()
        try:
            process.send(path)
            answer = process.receive(min(self._timeout, self._left))
        except BrokenPipeError as error:
            self._close(process)
            self._process = None
            raise BrokenPipeError(f"the subprocess that probed {path} has exited") from error
        if answer is None:
            self._left -= time.monotonic() - started
            self._stuck[path] = process
            self._process = None
            raise HungError(f"{path} does not respond")
        return answer

    def _close(self, process: ProbeProcess) -> None:
        process.close()
        self._exiting.append(process)
