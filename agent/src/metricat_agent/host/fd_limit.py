"""The limit of descriptors that the agent keeps open, for all collectors together."""

from __future__ import annotations

import os
import sys
import threading


class FdLimit:
    """The number of descriptors that all instances of `CachedFiles` together may keep open. Threads share it.

    A file above the limit is opened and closed at every read.
    """

    def __init__(self, limit: int | None = None) -> None:
        """Allow ``limit`` descriptors, by default as many as `default_limit` returns."""
        self.left = default_limit() if limit is None else limit
        self.generation = 0
        """Incremented by `reclaim`: each user compares it with the value that it last saw."""
        self._lock = threading.Lock()

    def acquire(self, count: int) -> bool:
        """Reserve ``count`` descriptors, or none; return whether they were reserved."""
        with self._lock:
            granted = count <= self.left
            self.left -= count if granted else 0
            return granted

    def release(self, count: int) -> None:
        """Give back ``count`` reserved descriptors."""
        with self._lock:
            self.left += count

    def reclaim(self) -> None:
        """Make every user close its descriptors before its next read, because the process has no free ones."""
        with self._lock:
            self.generation += 1


def default_limit() -> int:
    """Return half of the process's limit of open files, at most 1024; 0 on Windows.

    The other half is for clients. Each open descriptor costs the kernel up to a page.
    """
    return 0 if sys.platform == "win32" else min(os.sysconf("SC_OPEN_MAX") // 2, 1024)
