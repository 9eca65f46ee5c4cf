"""Reads small files of /proc and /sys again and again, through descriptors that are kept open.

Most of what reading such a file costs is the way to it: a kept descriptor is read anew from its beginning, and the
kernel writes the file anew for that. Files elsewhere are never kept open: no mount could be undone then.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CHUNK = 65536
_PAGE = 4096
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)  # Windows has none
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.ESTALE)
_KEPT = 256
"""Descriptors that one user of this class keeps at most."""


def read_text(path: str) -> str:
    """Return the whole of a file; bytes that are no UTF-8 survive as surrogates, so names can be used as paths."""
    descriptor = os.open(path, _FLAGS)
    try:
        return _whole(descriptor)
    finally:
        os.close(descriptor)


def _whole(descriptor: int) -> str:
    """Read from the beginning to the end; the kernel hands out long tables in pieces."""
    data = chunk = os.pread(descriptor, _CHUNK, 0)
    while chunk:
        chunk = os.pread(descriptor, _CHUNK, len(data))
        data += chunk
    return data.decode("utf-8", "surrogateescape")


def _attribute(data: bytes) -> str:
    return data.rstrip(b"\n").decode("utf-8", "surrogateescape")


class _Directory:
    """The open attributes of a directory of sysfs, each a page at most, and what was in them the last time."""

    def __init__(self, constants: dict[str, str], opened: list[tuple[str, int]]) -> None:
        self.constants = constants
        self.opened = opened
        self._data: list[bytes | None] = []
        self._texts: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        """Read every file; return the very same texts as before if nothing is different."""
        data: list[bytes | None] = []
        for _, descriptor in self.opened:
            try:
                data.append(os.pread(descriptor, _PAGE, 0))
            except OSError as error:
                if error.errno in _GONE:
                    raise
                data.append(None)
        if data != self._data or not self._texts:
            self._data = data
            found = {name: _attribute(one) for (name, _), one in zip(self.opened, data, strict=True) if one is not None}
            self._texts = {**self.constants, **found}
        return self._texts


class Files:
    """Files read by one thread at a time."""

    era = 0
    """Raised when descriptors are short: every `Files` gives its own back before it reads the next file."""

    def __init__(self) -> None:
        self._era = Files.era
        self._texts: dict[str, int] = {}
        self._directories: dict[str, _Directory] = {}
        self._kept = 0

    def text(self, path: str) -> str:
        """Return the whole of a file."""
        self._tidy()
        descriptor = self._texts.get(path)
        if descriptor is not None:
            try:
                return _whole(descriptor)
            except OSError:
                self._close(self._texts.pop(path))
        descriptor = os.open(path, _FLAGS)
        try:
            text = _whole(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._texts[path] = descriptor
        self._kept += 1
        return text

    def attributes(self, directory: str, names: Iterable[str], fixed: Iterable[str] = ()) -> Mapping[str, str]:
        """Return those attributes of a directory of sysfs that can be read now; raise OSError if it is gone.

        Those that are `fixed` as long as the directory is there are read when it is opened, and not again. As long as
        all are what they were, the same object is returned.
        """
        self._tidy()
        known = self._directories.get(directory)
        if known is not None:
            try:
                return known.read()
            except OSError:  # the directory went away; another may have come in its place
                self._forget(directory)
        known = self._directories[directory] = self._opened(directory, names, fixed)
        try:
            return known.read()
        except OSError:
            self._forget(directory)
            raise

    def close(self) -> None:
        """Give every descriptor back."""
        for descriptor in self._texts.values():
            self._close(descriptor)
        self._texts = {}
        for directory in list(self._directories):
            self._forget(directory)
        self._kept = 0

    def _tidy(self) -> None:
        if self._kept > _KEPT or self._era != Files.era:
            self._era = Files.era
            self.close()

    def _opened(self, directory: str, names: Iterable[str], fixed: Iterable[str]) -> _Directory:
        within = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found: list[tuple[str, int]] = []
        constants: dict[str, str] = {}
        try:
            for name in fixed:
                with suppress(OSError):
                    descriptor = os.open(name, _FLAGS, dir_fd=within)
                    try:
                        constants[name] = _attribute(os.pread(descriptor, _PAGE, 0))
                    finally:
                        os.close(descriptor)
            for name in names:
                try:
                    found.append((name, os.open(name, _FLAGS, dir_fd=within)))
                    self._kept += 1
                except OSError as error:
                    if error.errno in (errno.EMFILE, errno.ENFILE):
                        raise
        except BaseException:
            for _, descriptor in found:
                self._close(descriptor)
            raise
        finally:
            os.close(within)
        return _Directory(constants, found)

    def _forget(self, directory: str) -> None:
        for _, descriptor in self._directories.pop(directory).opened:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        os.close(descriptor)
        self._kept -= 1
