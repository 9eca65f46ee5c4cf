"""Small files of /proc and /sys, read repeatedly through descriptors that stay open.

Opening such a file costs more than reading it. A read from the beginning of an open descriptor makes the kernel
generate the content again. Files elsewhere are never kept open: an open file prevents unmounting. See
docs/design/0015-what-a-scrape-costs.md.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from metricat_agent.host.fd_limit import FdLimit
from metricat_agent.host.skips import Skips, reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CHUNK = 65536
_PAGE = 4096
_MOST_SHORT = 128
"""Size of the buffer for an attribute of sysfs, which mostly has one word. Python allocates a page more slowly."""
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)  # Windows has none
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.ESTALE)
_MIN_READS = 16
"""Lower bound of reads between two evictions."""
_EXHAUSTED = (errno.EMFILE, errno.ENFILE)
_SETTLED = 100_000_000
"""Nanoseconds after which a change of a directory on disk gives it another modification time: more than a tick."""
_ATTEMPTS = 3
"""Upper bound of attempts to read a directory whose attributes are added and removed during the read."""


def read_text(path: str) -> str:
    """Return the content of a file; bytes that are not UTF-8 become surrogates, so that names still work as paths."""
    descriptor = os.open(path, _FLAGS)
    try:
        return _decoded(_read_all(descriptor))
    finally:
        os.close(descriptor)


def _read_all(descriptor: int, expected: int = _CHUNK, longest_line: int = 0) -> bytes:
    """Read from the beginning to the end; the kernel returns long tables in pieces.

    ``expected`` is the size of the last read, in bytes. Buffers much larger than each of many files fragment the heap.
    A piece of a table has as many lines as fit in a page. So a piece that leaves room for ``longest_line`` bytes is the
    last.
    """
    data = chunk = os.pread(descriptor, expected + _PAGE, 0)
    if longest_line and len(data) < _PAGE - longest_line:
        return data
    while chunk:
        chunk = os.pread(descriptor, _PAGE if len(data) < _CHUNK else _CHUNK, len(data))
        data += chunk
    return data


def _is_generated(descriptor: int) -> bool:
    """Return whether a file is an attribute of sysfs: it has the size of a page, and occupies no block."""
    found = os.fstat(descriptor)
    return found.st_blocks == 0 and found.st_size >= _PAGE


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


Identity = tuple[int, int, int]
"""Device, inode and modification time of the file at a path. On disk, they change when a directory's entries are added
or removed. In sysfs, a directory keeps them when its attributes are added or removed."""


def _identity(path: str) -> Identity | None:
    """Return the identity of a path, None if it does not exist."""
    try:
        found = os.stat(path)  # noqa: PTH116 -- as in hostfs.py
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


def _attribute(data: bytes) -> str:
    return _decoded(data.rstrip(b"\n"))


class _CachedText:
    """An open file, and its last content unless that was large."""

    def __init__(self, descriptor: int) -> None:
        self.used = True
        self.descriptor = descriptor
        found = os.fstat(descriptor)
        self._inode = found.st_dev, found.st_ino
        self._stored = found.st_size > 0
        """Whether the path may lead to another file later. Files of /proc have the size 0: a read of a removed file
        of /proc fails."""
        self._data = b""
        self._text = ""

    def is_at(self, path: str) -> bool:
        """Return whether the path still leads to the open file."""
        if not self._stored:
            return True
        found = os.stat(path)  # noqa: PTH116 -- as in hostfs.py
        return (found.st_dev, found.st_ino) == self._inode

    def read(self, longest_line: int = 0) -> str:
        """Read the file; return the same object as the last time if the content is equal and was kept."""
        data = _read_all(self.descriptor, len(self._data), longest_line)
        self._stored = self._stored or not data  # an empty file may be on a disk
        if data == self._data:
            return self._text
        text = _decoded(data)
        if len(data) < _CHUNK:
            self._data, self._text = data, text
        return text


class _CachedDirectory:
    """The open attributes of a directory of sysfs, each of one page at most, and their last content.

    Its attributes may be added, removed and replaced while the directory stays. So every read checks:

    - the identity of the directory, and on disk also that of the directories below it;
    - that a missing attribute is still missing, because sysfs does not change the directory's modification time;
    - that an attribute that could not be opened is still not readable;
    - that an attribute whose read fails with ENODEV still exists: a read of a removed attribute fails so too.
    """

    def __init__(self, path: str, names: tuple[str, ...], fixed: tuple[str, ...], descriptor: int) -> None:
        self.used = True
        self.path = path
        self.names = names
        self.fixed = fixed
        self.descriptor = descriptor
        """Descriptor of the directory itself, opened with O_PATH."""
        self.identity = _identity(path)
        self.below: dict[str, Identity | None] = {}
        """Identities of the directories below, by path; empty for sysfs."""
        self.constants: dict[str, str] = {}
        self.opened: list[tuple[str, int]] = []
        self.missing: set[str] = set()
        """Names that do not exist: of attributes, or of the directories above them."""
        self.failed: dict[str, tuple[str, str]] = {}
        """Attributes that exist and cannot be opened: the reason, and the error."""
        self.is_settled = True
        """False if a directory on disk changed just before: another change may leave the modification time equal."""
        self._data: list[bytes | None] = []
        self._texts: dict[str, str] = {}

    @property
    def count(self) -> int:
        """Number of open descriptors."""
        return len(self.opened) + 1

    def is_current(self, names: tuple[str, ...], fixed: tuple[str, ...]) -> bool:
        """Return whether the directory was opened for these names, and has the same attributes as then."""
        if not self.is_settled or self.names != names or self.fixed != fixed or _identity(self.path) != self.identity:
            return False
        descriptor = self.descriptor
        for name in self.missing:
            if os.access(name, os.F_OK, dir_fd=descriptor):
                return False
        for name in self.failed:
            if os.access(name, os.R_OK, dir_fd=descriptor):
                return False
        return all(_identity(path) == identity for path, identity in self.below.items())

    def read(self, skips: Skips) -> dict[str, str] | None:
        """Read every file; return the same object as the last time if all contents are equal.

        Return None if an attribute was removed or replaced. Count the attributes that cannot be read.
        """
        data: list[bytes | None] = []
        for name, descriptor in self.opened:
            try:
                one = os.pread(descriptor, _MOST_SHORT, 0)
                data.append(one if len(one) < _MOST_SHORT else os.pread(descriptor, _PAGE, 0))
            except OSError as error:
                if error.errno in _GONE and not self._still_fails(name):
                    return None
                skips.add_error(error, f"{self.path}/{name}")
                data.append(None)
        for name, (reason, detail) in self.failed.items():
            skips.add(reason, f"{self.path}/{name}", detail)
        if data != self._data or not self._texts:
            self._data = data
            found = {name: _attribute(one) for (name, _), one in zip(self.opened, data, strict=True) if one is not None}
            self._texts = {**self.constants, **found}
        return self._texts

    def _still_fails(self, name: str) -> bool:
        """Return whether an attribute exists and cannot be read, through another descriptor too."""
        try:
            descriptor = os.open(name, _FLAGS, dir_fd=self.descriptor)
        except OSError:
            return False
        try:
            os.pread(descriptor, _PAGE, 0)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def close(self) -> None:
        """Close the descriptors."""
        os.close(self.descriptor)
        for _, descriptor in self.opened:
            os.close(descriptor)


class CachedFiles:
    """Files that stay open between reads. One thread at a time may use an instance."""

    def __init__(self, fd_limit: FdLimit | None = None) -> None:
        """Keep descriptors within ``fd_limit``, which other `CachedFiles` may share."""
        self.fd_limit = fd_limit or FdLimit()
        self._generation = self.fd_limit.generation
        self._texts: dict[str, _CachedText] = {}
        self._directories: dict[str, _CachedDirectory] = {}
        self._reads_left = _MIN_READS
        self.skips = Skips()

    def text(self, path: str, longest_line: int = 0) -> str:
        """Return the content of a file: the same object as the last time if it is equal, except for large files.

        ``longest_line`` is the maximum size of a line of a table in /proc, in bytes, if known. It saves the second read
        of a short table, for which the kernel searches all its entries again.
        """
        self._maintain()
        known = self._texts.get(path)
        if known is not None:
            known.used = True
            try:
                if known.is_at(path):
                    return known.read(longest_line)
            except OSError:  # the file was removed; another may have taken its path
                pass
            self._close_text(path)
        opened = _CachedText(self._open(path))
        kept = False
        try:
            text = opened.read(longest_line)
            kept = self.fd_limit.acquire(1)
        finally:
            if not kept:
                os.close(opened.descriptor)
        if kept:
            self._texts[path] = opened
        return text

    def attributes(self, directory: str, names: Iterable[str], fixed: Iterable[str] = ()) -> Mapping[str, str]:
        """Return the attributes of a directory of sysfs that can be read now; raise OSError if it cannot be opened.

        Attributes in ``fixed`` never change while they exist: they are read when the directory is opened. The result is
        the same object as the last time if all attributes are equal and their descriptors stayed open. Attributes that
        exist and cannot be read are counted in `skips`.
        """
        self._maintain()
        names, fixed = tuple(names), tuple(fixed)
        known = self._directories.get(directory)
        if known is not None:
            known.used = True
            texts = known.read(self.skips) if known.is_current(names, fixed) else None
            if texts is not None:
                return texts
            self._close_directory(directory)
        for _ in range(_ATTEMPTS):
            found = self._open_directory(directory, names, fixed)
            kept = False
            try:
                texts = found.read(self.skips)
                kept = texts is not None and self.fd_limit.acquire(found.count)
            finally:
                if not kept:
                    found.close()
            if kept:
                self._directories[directory] = found
            if texts is not None:
                return texts
        raise FileNotFoundError(errno.ENOENT, "attributes were removed and added during the read", directory)

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
        """Close files that were not read while the others were read twice, such as those of removed devices."""
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
        except ValueError as error:  # a null byte in a name that came from a damaged file
            raise FileNotFoundError(errno.ENOENT, str(error), path) from None
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
        self.fd_limit.reclaim()
        self._maintain()
        return os.open(path, flags, dir_fd=within)

    def _open_directory(self, directory: str, names: tuple[str, ...], fixed: tuple[str, ...]) -> _CachedDirectory:
        within = self._open(directory, flags=os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = _CachedDirectory(directory, names, fixed, within)
        try:
            for name in fixed:
                self._read_constant(found, name)
            generated = False
            for name in names:
                try:
                    descriptor = self._open(name, within)
                except OSError as error:
                    self._note_failure(found, name, error)
                else:
                    found.opened.append((name, descriptor))
                    generated = generated or _is_generated(descriptor)
            if not generated:
                above = {name.rpartition("/")[0] for name in (*names, *fixed)} - {""}
                found.below = {path: _identity(path) for path in [f"{directory}/{name}" for name in above]}
                newest = max(seen[2] for seen in (found.identity, *found.below.values()) if seen is not None)
                found.is_settled = time.time_ns() - newest > _SETTLED
        except BaseException:
            found.close()
            raise
        return found

    def _read_constant(self, found: _CachedDirectory, name: str) -> None:
        try:
            descriptor = self._open(name, found.descriptor)
        except OSError as error:
            self._note_failure(found, name, error)
            return
        try:
            found.constants[name] = _attribute(os.pread(descriptor, _PAGE, 0))
        except OSError:
            found.opened.append((name, descriptor))  # it may get a value later, so it is not constant yet
        else:
            os.close(descriptor)

    def _note_failure(self, found: _CachedDirectory, name: str, error: OSError) -> None:
        """Note why an attribute cannot be opened; raise the error if the process has no free descriptor."""
        if error.errno in _EXHAUSTED:
            raise error
        if reason := reason_of(error, f"{found.path}/{name}"):
            found.failed[name] = reason, error.strerror or ""
            return
        above = name.rpartition("/")[0]
        is_there = not above or os.access(above, os.F_OK, dir_fd=found.descriptor)
        found.missing.add(name if is_there else above)

    def _close_text(self, path: str) -> None:
        os.close(self._texts.pop(path).descriptor)
        self.fd_limit.release(1)

    def _close_directory(self, directory: str) -> None:
        known = self._directories.pop(directory)
        known.close()
        self.fd_limit.release(known.count)
