"""Checks of this machine before the demo builds its own cluster."""

import os
import shutil
import sys
from pathlib import Path

from metricat_tools.binaries import cache, golang
from metricat_tools.errors import ToolError

_ELSEWHERE = "or run `make demo CLUSTER=current` for your own cluster"
_GIB = 1 << 30
# Go's build cache and sources take most of the cold figure, images unpacked on two nodes most of the warm one.
_DISK_COLD, _DISK_WARM, _MEMORY = 12 * _GIB, 4 * _GIB, 2 * _GIB


def check() -> None:
    """Raise a `ToolError` with the remedy for the first failed check."""
    if not sys.platform.startswith("linux"):
        raise ToolError(f"the demo's own cluster needs Linux. Use a Linux machine, {_ELSEWHERE}")
    if os.geteuid() != 0:
        raise ToolError(f"the demo's own cluster needs root. Run `sudo make demo`, {_ELSEWHERE}")
    if not overlay(Path("/proc/filesystems").read_text(), Path("/lib/modules") / os.uname().release):
        raise ToolError(f"this kernel has no overlay filesystem, which containers need. Load it, {_ELSEWHERE}")
    golang.go()
    if (free := available(Path("/proc/meminfo").read_text())) < _MEMORY:
        raise ToolError(f"only {free / _GIB:.1f} GiB of memory are available, but the demo needs 2. End other programs")
    needed = _DISK_WARM if (cache.root() / "images").is_dir() else _DISK_COLD
    if (space := shutil.disk_usage(existing(cache.root())).free) < needed:
        raise ToolError(
            f"{cache.root()} has {space / _GIB:.1f} GiB of free disk space, but the demo needs {needed // _GIB}. "
            "Free some space, or set METRICAT_CACHE to a folder on another disk"
        )


def overlay(filesystems: str, modules: Path) -> bool:
    """Return whether the kernel has overlay, or can load it."""
    return "overlay" in filesystems.split() or any(modules.glob("kernel/fs/overlayfs/overlay.ko*"))


def available(meminfo: str) -> int:
    """Return the bytes of memory that are available without swapping, from /proc/meminfo."""
    return int(next(line.split()[1] for line in meminfo.splitlines() if line.startswith("MemAvailable:"))) * 1024


def existing(path: Path) -> Path:
    """Return the path, or its nearest existing parent."""
    return next(one for one in (path, *path.parents) if one.exists())
