"""The kernel's count of device events, which changes when a device or a module is added, removed or changed."""

from __future__ import annotations

import os

_MAX_BYTES = 64


class UeventCount:
    """Reads the count through a descriptor that stays open. Threads may share it."""

    def __init__(self, sysfs: str) -> None:
        """Open the file below the host's /sys, if the kernel has it."""
        self._descriptor: int | None = None
        try:
            self._descriptor = os.open(f"{sysfs}/kernel/uevent_seqnum", os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError:  # gVisor and systems other than Linux
            return

    def read(self) -> bytes | None:
        """Return the number of events of devices and modules since boot; None if it cannot be read."""
        if self._descriptor is None:
            return None
        try:
            return os.pread(self._descriptor, _MAX_BYTES, 0)
        except OSError:
            return None

    def __del__(self) -> None:
        """Close the descriptor."""
        if self._descriptor is not None:
            os.close(self._descriptor)
