"""Parts of the host that a collector leaves out of a scrape: their number by reason, and their names.

A file that does not exist is not a skip: kernels and hardware differ in the files that they have.
"""

from __future__ import annotations

import errno
import os
import stat

REASONS = {
    "no_value": "The kernel reports that the existing file has no value now (ENODEV, EINVAL, ENETDOWN and others).",
    "root_only": "The kernel denies the read, and the file's mode does not allow every user to read it.",
    "denied": "The kernel denies the read of a file that every user may read by its mode, or of a directory.",
    "missing": "A file that must belong to a listed device does not exist.",
    "unknown": "The kernel uses a name that the agent does not list, so the agent cannot compute a value.",
    "other_namespace": "The kernel reports the value only in the host's network namespace, where the agent is not.",
    "io_error": "Reading fails with another error, such as EIO.",
    "duplicate": "The response has the series already, or another family of the response needs the name.",
    "unparsable": "The content is empty, truncated, or not in the format of the kernel.",
}
"""By the value of the label ``reason``: its meaning."""
EXPECTED = frozenset(("no_value", "root_only", "other_namespace"))
"""Reasons that a healthy node has too. No alert fires because of them."""
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ESRCH, errno.ESTALE)
_ENOTSUPP = 524
"""An error of the kernel (include/linux/errno.h) that drivers return although programs should not see it."""
_NO_VALUE = (
    *(errno.ENODEV, errno.EINVAL, errno.ENODATA, errno.EOPNOTSUPP, errno.ENXIO, errno.EAGAIN, errno.ENOSYS),
    *(errno.ENETDOWN, _ENOTSUPP),  # the sensor of a wireless adapter that is switched off returns the first
)
_DENIED = (errno.EACCES, errno.EPERM)


def reason_of(error: OSError, path: str) -> str:
    """Return the reason for an error at a path, empty if the path does not exist."""
    if error.errno in _ABSENT:
        return ""
    if error.errno in _NO_VALUE:
        return "no_value"
    if error.errno not in _DENIED:
        return "io_error"
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116 -- as in hostfs.py
    except OSError:
        return "denied"  # a directory above the file
    return "denied" if mode & stat.S_IROTH else "root_only"


class Skips:
    """The parts that one collector left out since the last call of `take`. For one thread at a time."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], str] = {}

    def add(self, reason: str, part: str, detail: object = "") -> None:
        """Count a part, such as a path, and the reason why it is left out. A part counts once for each reason."""
        self._found[reason, part] = str(detail)

    def add_error(self, error: OSError, path: str) -> None:
        """Count a path that cannot be read, unless it does not exist."""
        if reason := reason_of(error, path):
            self.add(reason, path, error.strerror or "")

    def update(self, other: Skips) -> None:
        """Count what ``other`` has counted."""
        self._found.update(other._found)

    def take(self) -> dict[tuple[str, str], str]:
        """Return the details by reason and part, and start again without any."""
        found = self._found
        if found:
            self._found = {}
        return found
