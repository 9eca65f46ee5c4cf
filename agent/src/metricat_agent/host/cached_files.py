"""Small files of /proc and /sys, read repeatedly through descriptors that stay open.

Opening such a file costs more than reading it. A read from the beginning of an open descriptor makes the kernel
generate the content again. Files elsewhere are never kept open: an open file prevents unmounting. See
docs/design/0015-what-a-scrape-costs.md.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from metricat_agent.host.fd_limit import FdLimit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CHUNK = 65536
_PAGE = 4096
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)  # Windows has none
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.ESTALE)
_MIN_READS = 16
"""Lower bound of reads between two evictions."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)


def read_text(path: str) -> str:
    """Return the content of a file; bytes that are not UTF-8 become surrogates, so that names still work as paths."""
    descriptor = os.open(path, _FLAGS)
    try:
        return _decoded(_read_all(descriptor))
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, expected: int = _CHUNK) -> bytes:
    """Read from the beginning to the end; the kernel returns long tables in pieces.

    ``expected`` is the size of the last read, in bytes. Buffers much larger than each of many files fragment the heap.
    """
    data = chunk = os.pread(descriptor, expected + _PAGE, 0)
    while chunk:
        chunk = os.pread(descriptor, _PAGE if len(data) < _CHUNK else _CHUNK, len(data))
        data += chunk
    return data


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


Identity = tuple[int, int]
"""Device and inode that a path led to: they change when another directory takes the path."""


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _attribute(data: bytes) -> str:
    return _decoded(data.rstrip(b"\n"))


class _CachedText:
    """An open file, and its last content unless that was large."""

    def __init__(self, descriptor: int) -> None:
        self.used = True
        self.descriptor = descriptor
        self._data = b""
        self._text = ""

    def read(self) -> str:
        """Read the file; return the same object as the last time if the content is equal."""
        data = _read_all(self.descriptor, len(self._data))
        if data == self._data:
            return self._text
        text = _decoded(data)
        if len(data) < _CHUNK:
            self._data, self._text = data, text
        return text


class _CachedDirectory:
    """The open attributes of a directory of sysfs, each of one page at most, and their last content."""

    def __init__(self, identity: Identity) -> None:
        self.used = True
        self.identity = identity
        self.constants: dict[str, str] = {}
        self.opened: list[tuple[str, int]] = []
        self._data: list[bytes | None] = []
        self._texts: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        """Read every file; return the same object as the last time if all contents are equal."""
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

    def close(self) -> None:
        """Close the descriptors."""
        for _, descriptor in self.opened:
            os.close(descriptor)


class CachedFiles:
    """Files that one thread at a time reads."""

    def __init__(self, fd_limit: FdLimit | None = None) -> None:
        """Keep descriptors within ``fd_limit``, which other `CachedFiles` may share."""
        self.fd_limit = fd_limit or FdLimit()
        self._generation = self.fd_limit.generation
        self._texts: dict[str, _CachedText] = {}
        self._directories: dict[str, _CachedDirectory] = {}
        self._reads_left = _MIN_READS

    def text(self, path: str) -> str:
        """Return the content of a file: the same object as the last time if it is equal."""
        self._maintain()
        known = self._texts.get(path)
        if known is not None:
            known.used = True
            try:
                return known.read()
            except OSError:
                self._close_text(path)
        opened = _CachedText(self._open(path))
        kept = False
        try:
            text = opened.read()
            kept = self.fd_limit.acquire(1)
        finally:
            if not kept:
                os.close(opened.descriptor)
        if kept:
            self._texts[path] = opened
        return text

    def attributes(self, directory: str, names: Iterable[str], fixed: Iterable[str] = ()) -> Mapping[str, str]:
        """Return the attributes of a directory of sysfs that can be read now; raise OSError if it does not exist.

        Attributes in ``fixed`` never change while the directory exists: they are read when it is opened, and not again.
        The result is the same object as the last time if all attributes are equal and their descriptors stayed open.
        """
        self._maintain()
        known = self._directories.get(directory)
        if known is not None:
            known.used = True
            try:
                if _identity(os.stat(directory)) == known.identity:  # noqa: PTH116 -- as in hostfs.py
                    return known.read()
            except OSError:  # the directory was removed; another may have taken its path
                pass
            self._close_directory(directory)  # or it was renamed: the descriptors follow the old directory
        found = self._open_directory(directory, names, fixed)
        kept = False
        try:
            texts = found.read()
            kept = self.fd_limit.acquire(len(found.opened))
        finally:
            if not kept:
                found.close()
        if kept:
            self._directories[directory] = found
        return texts

    def __del__(self) -> None:
        """Close every descriptor when the last reference goes."""
        self.close()

    def close(self) -> None:
        """Close every descriptor."""
        for path in list(self._texts):
            self._close_text(path)
        for directory in list(self._directories):
            self._close_directory(directory)

    def _maintain(self) -> None:
        if self._generation != self.fd_limit.generation:
            self._generation = self.fd_limit.generation
            self.close()
        self._reads_left -= 1
        if not self._reads_left:
            self._evict_unused()

    def _evict_unused(self) -> None:
        """Close what was not read while the rest was read twice: files of removed devices."""
        for path in [path for path, one in self._texts.items() if not one.used]:
            self._close_text(path)
        for directory in [directory for directory, one in self._directories.items() if not one.used]:
            self._close_directory(directory)
        kept: list[_CachedText | _CachedDirectory] = [*self._texts.values(), *self._directories.values()]
        for one in kept:
            one.used = False
        self._reads_left = _MIN_READS + 2 * len(kept)

    def _open(self, path: str, within: int | None = None, flags: int = _FLAGS) -> int:
        """Open a file; if no descriptor is free, make every `CachedFiles` close its own, and retry once."""
        try:
            return os.open(path, flags, dir_fd=within)
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
        self.fd_limit.reclaim()
        self._maintain()
        return os.open(path, flags, dir_fd=within)

    def _open_directory(self, directory: str, names: Iterable[str], fixed: Iterable[str]) -> _CachedDirectory:
        within = self._open(directory, flags=os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = _CachedDirectory(_identity(os.fstat(within)))
        try:
            for name in fixed:
                with suppress(OSError):
                    descriptor = self._open(name, within)
                    try:
                        found.constants[name] = _attribute(os.pread(descriptor, _PAGE, 0))
                    finally:
                        os.close(descriptor)
            for name in names:
                try:
                    found.opened.append((name, self._open(name, within)))
                except OSError as error:
                    if error.errno in _EXHAUSTED:
                        raise
        except BaseException:
            found.close()
            raise
        finally:
            os.close(within)
        return found

    def _close_text(self, path: str) -> None:
        os.close(self._texts.pop(path).descriptor)
        self.fd_limit.release(1)

    def _close_directory(self, directory: str) -> None:
        known = self._directories.pop(directory)
        known.close()
        self.fd_limit.release(len(known.opened))
