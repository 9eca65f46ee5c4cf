"""Reads small files of /proc and /sys again and again, through descriptors that are kept open.

Most of what reading such a file costs is the way to it: a kept descriptor is read anew from its beginning, and the
kernel writes the file anew for that. Files elsewhere are never kept open: no mount could be undone then.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from metricat_agent.host.fd_limit import FdLimit, default_limit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_CHUNK = 65536
_PAGE = 4096
_FLAGS = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0)  # Windows has none
_GONE = (errno.ENODEV, errno.ESRCH, errno.ENOENT, errno.ESTALE)
_AT_LEAST = 16
"""Readings between two looks at what is kept."""
_SHORT = (errno.EMFILE, errno.ENFILE)


def read_text(path: str) -> str:
    """Return the whole of a file; bytes that are no UTF-8 survive as surrogates, so names can be used as paths."""
    descriptor = os.open(path, _FLAGS)
    try:
        return _decoded(_whole(descriptor))
    finally:
        os.close(descriptor)


def _whole(descriptor: int, likely: int = _CHUNK) -> bytes:
    """Read from the beginning to the end; the kernel hands out long tables in pieces.

    So many bytes are likely: room for much more than there is, a moment in each of many files, leaves memory in shreds.
    """
    data = chunk = os.pread(descriptor, likely + _PAGE, 0)
    while chunk:
        chunk = os.pread(descriptor, _PAGE if len(data) < _CHUNK else _CHUNK, len(data))
        data += chunk
    return data


def _decoded(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


Identity = tuple[int, int]
"""What a path led to: another directory under the same path has another one."""


def _identity(found: os.stat_result) -> Identity:
    return found.st_dev, found.st_ino


def _attribute(data: bytes) -> str:
    return _decoded(data.rstrip(b"\n"))


class _Text:
    """An open file, and what was in it the last time, unless that is large."""

    def __init__(self, descriptor: int) -> None:
        self.asked = True
        self.descriptor = descriptor
        self._data = b""
        self._text = ""

    def read(self) -> str:
        """Read it anew; return the very same text as before if nothing is different."""
        data = _whole(self.descriptor, len(self._data))
        if data == self._data:
            return self._text
        text = _decoded(data)
        if len(data) < _CHUNK:
            self._data, self._text = data, text
        return text


class _Directory:
    """The open attributes of a directory of sysfs, each a page at most, and what was in them the last time."""

    def __init__(self, identity: Identity) -> None:
        self.asked = True
        self.identity = identity
        self.constants: dict[str, str] = {}
        self.opened: list[tuple[str, int]] = []
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

    def close(self) -> None:
        """Give the descriptors back."""
        for _, descriptor in self.opened:
            os.close(descriptor)


class CachedFiles:
    """Files read by one thread at a time."""

    era = 0
    """Raised when descriptors are short: every `CachedFiles` gives its own back before it reads the next file."""
    allowance = FdLimit(default_limit())

    def __init__(self) -> None:
        self._era = CachedFiles.era
        self._texts: dict[str, _Text] = {}
        self._directories: dict[str, _Directory] = {}
        self._until_swept = _AT_LEAST

    def text(self, path: str) -> str:
        """Return the whole of a file; the same object as the last time, if it is the same."""
        self._tidy()
        known = self._texts.get(path)
        if known is not None:
            known.asked = True
            try:
                return known.read()
            except OSError:
                self._drop(path)
        opened = _Text(self._open(path))
        kept = False
        try:
            text = opened.read()
            kept = self.allowance.take(1)
        finally:
            if not kept:
                os.close(opened.descriptor)
        if kept:
            self._texts[path] = opened
        return text

    def attributes(self, directory: str, names: Iterable[str], fixed: Iterable[str] = ()) -> Mapping[str, str]:
        """Return those attributes of a directory of sysfs that can be read now; raise OSError if it is gone.

        Those that are `fixed` as long as the directory is there are read when it is opened, and not again. As long as
        all are what they were, and few enough to be kept open, the same object is returned.
        """
        self._tidy()
        known = self._directories.get(directory)
        if known is not None:
            known.asked = True
            try:
                if _identity(os.stat(directory)) == known.identity:  # noqa: PTH116 -- as in host.py
                    return known.read()
            except OSError:  # the directory went away; another may have come in its place
                pass
            self._forget(directory)  # or it was renamed, and the descriptors went with it
        found = self._opened(directory, names, fixed)
        kept = False
        try:
            texts = found.read()
            kept = self.allowance.take(len(found.opened))
        finally:
            if not kept:
                found.close()
        if kept:
            self._directories[directory] = found
        return texts

    def __del__(self) -> None:
        """Give every descriptor back when the last user is gone."""
        self.close()

    def close(self) -> None:
        """Give every descriptor back."""
        for path in list(self._texts):
            self._drop(path)
        for directory in list(self._directories):
            self._forget(directory)

    def _tidy(self) -> None:
        if self._era != CachedFiles.era:
            self._era = CachedFiles.era
            self.close()
        self._until_swept -= 1
        if not self._until_swept:
            self._sweep()

    def _sweep(self) -> None:
        """Give back what nobody asked for while all was asked for twice: devices that are gone."""
        for path in [path for path, one in self._texts.items() if not one.asked]:
            self._drop(path)
        for directory in [directory for directory, one in self._directories.items() if not one.asked]:
            self._forget(directory)
        kept: list[_Text | _Directory] = [*self._texts.values(), *self._directories.values()]
        for one in kept:
            one.asked = False
        self._until_swept = _AT_LEAST + 2 * len(kept)

    def _open(self, path: str, within: int | None = None, flags: int = _FLAGS) -> int:
        """Open a file; where no descriptor is left, make everybody give theirs back, and try once more."""
        try:
            return os.open(path, flags, dir_fd=within)
        except OSError as error:
            if error.errno not in _SHORT:
                raise
        CachedFiles.era += 1
        self._tidy()
        return os.open(path, flags, dir_fd=within)

    def _opened(self, directory: str, names: Iterable[str], fixed: Iterable[str]) -> _Directory:
        within = self._open(directory, flags=os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = _Directory(_identity(os.fstat(within)))
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
                    if error.errno in _SHORT:
                        raise
        except BaseException:
            found.close()
            raise
        finally:
            os.close(within)
        return found

    def _drop(self, path: str) -> None:
        os.close(self._texts.pop(path).descriptor)
        self.allowance.give(1)

    def _forget(self, directory: str) -> None:
        known = self._directories.pop(directory)
        known.close()
        self.allowance.give(len(known.opened))
