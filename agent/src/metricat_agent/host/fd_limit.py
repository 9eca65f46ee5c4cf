"""How many descriptors the agent keeps open, all its collectors together."""

from __future__ import annotations

import os
import sys
import threading


class FdLimit:
    """How many descriptors all users together may keep; what is above is opened, read and closed at every scrape."""

    def __init__(self, most: int) -> None:
        self.left = most
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Take so many, or none."""
        with self._lock:
            granted = count <= self.left
            self.left -= count if granted else 0
            return granted

    def give(self, count: int) -> None:
        """Give so many back."""
        with self._lock:
            self.left += count


def default_limit() -> int:
    """Return half of what the process may open, for clients need some too; each costs the kernel up to a page."""
    return 0 if sys.platform == "win32" else min(os.sysconf("SC_OPEN_MAX") // 2, 1024)
