"""A log of JSON lines in a file or on stderr. A thread writes the lines, so that no request waits for a disk.

After a rotation, when the path names another file or none, the thread opens the path again. It needs no signal.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Self

import msgspec

from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_MOST_WAITING = 10_000
"""Entries that can wait for the thread.

The log drops and counts further entries, so a slow disk costs no memory.
"""
_CHECK_SECONDS = 1.0
"""Seconds between two checks whether the file was renamed or removed."""
_CLOSE_SECONDS = 5.0


class LogFileError(HubError):
    """The file of a log cannot be opened. The message says what to do."""


def utc(seconds: float) -> str:
    """Return a time as RFC 3339 with milliseconds."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{int(seconds * 1000) % 1000:03d}Z"


class LineLog:
    """One log. `write` may be called in any thread."""

    def __init__(self, name: str, path: str = "", now: Callable[[], float] = time.time) -> None:
        """Open the log.

        Args:
            name: the value of `log` in each entry.
            path: the file, which is created with mode 0600; empty: standard error.
            now: the clock, in seconds since 1970-01-01 UTC.

        Raises:
            LogFileError: the file cannot be opened.
        """
        self.dropped = 0
        """Number of lost entries. The hub loses entries when the disk is full or too slow."""
        self.name = name
        self._path = Path(path) if path else None
        self._now = now
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._ended = False
        self._error = ""
        try:
            self._file = self._open()
        except OSError as error:
            raise LogFileError(
                f"cannot open the {name} log {path}: {error.strerror}. Check the directory and its permissions."
            ) from None
        self._checked = 0.0
        self._thread = threading.Thread(target=self._run, name=f"{name}-log", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        """Return the log."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the log."""
        self.close()

    @property
    def problem(self) -> str:
        """Why the log loses entries now; empty: it loses none."""
        return self._error

    def write(self, entry: Mapping[str, object]) -> None:
        """Add an entry. It does not block, and does not raise errors."""
        if len(self._lines) >= _MOST_WAITING:
            self.dropped += 1
            return
        head = {"time": utc(self._now()), "log": self.name}
        self._lines.append(msgspec.json.encode({**head, **entry}))
        self._wake.set()

    def close(self) -> None:
        """Write the waiting entries, and close the file."""
        self._ended = True
        self._wake.set()
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        while not self._ended or self._lines:
            self._wake.wait()
            self._wake.clear()
            lines: list[bytes] = []
            while self._lines and len(lines) < _MOST_WAITING:
                lines.append(self._lines.popleft())
            if lines:
                self._flush(b"\n".join(lines) + b"\n", len(lines))
            if self._lines:
                self._wake.set()
        if self._path:
            os.close(self._file)

    def _flush(self, data: bytes, count: int) -> None:
        try:
            self._reopen()
            while data:
                data = data[os.write(self._file, data) :]
        except OSError as error:
            self.dropped += count
            self._error = (
                f"the {self.name} log loses entries: {self._path or 'standard error'}: {error.strerror}. "
                "Check the disk, and the permissions of the file."
            )
        else:
            self._error = ""

    def _reopen(self) -> None:
        """Open the file again if its name belongs to another one, or to none."""
        if self._path is None or time.monotonic() - self._checked < _CHECK_SECONDS:
            return
        self._checked = time.monotonic()
        own = os.fstat(self._file)
        try:
            named = self._path.stat()
        except FileNotFoundError:
            named = None
        if named is None or (named.st_dev, named.st_ino) != (own.st_dev, own.st_ino):
            before, self._file = self._file, self._open()
            os.close(before)

    def _open(self) -> int:
        if self._path is None:
            return sys.stderr.fileno()
        return os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
