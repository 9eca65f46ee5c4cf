"""Symbolic links below the host's mounted root, resolved to the same file as on the host, never outside of the root.

The kernel follows an absolute link from the root of the *reader*. Below a root that is mounted elsewhere, such a link
leads to the container's own file. openat2(2) has ``RESOLVE_IN_ROOT`` for this, which Python does not offer.
"""

from __future__ import annotations

import errno
import os

_MAX_LINKS = 40
"""As in the kernel (``man 7 path_resolution``)."""


def resolve_in_root(root: str, path: str) -> str:
    """Return the real path of ``path`` below ``root``, with symbolic links resolved as if ``root`` were ``/``.

    ``..`` never leads above ``root``. Raises OSError for a path that does not exist, and for a loop of links. If
    ``root`` is ``/``, returns ``path`` unchanged and unchecked.
    """
    base = root.rstrip("/")
    if not base:
        return path  # the kernel follows links from the same root
    left = path.split("/")[::-1]
    found = [base]
    links = 0
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del found[max(1, len(found) - 1) :]
            continue
        found.append(part)
        target = _link("/".join(found))
        if target is None:
            continue
        links += 1
        if links > _MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        del found[1 if target.startswith("/") else -1 :]
        left += target.split("/")[::-1]
    return "/".join(found)


def _link(path: str) -> str | None:
    """Return the target of a symbolic link, None for other files."""
    try:
        return os.readlink(path)  # noqa: PTH115 -- as in hostfs.py
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise
