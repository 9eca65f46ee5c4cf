"""Buildah: builds images from a Dockerfile without a daemon, in its own store inside our cache."""

import os
import re
import subprocess
from pathlib import Path

from metricat_tools.binaries import cache, ensure_debian, progress
from metricat_tools.errors import ToolError


def run(label: str, *arguments: str | Path) -> None:
    """Run `buildah ARGUMENTS...` with progress. A known failure raises an error with the remedy."""
    log = cache.root() / "log" / "buildah.log"
    progress.run(label, [*_buildah(), *arguments], log=log, env=_environment(), explain=explain)


def has(image: str) -> bool:
    """Return whether the store has this image."""
    command = [*_buildah(), "inspect", "--type", "image", image]
    return subprocess.run(command, env=_environment(), capture_output=True, check=False).returncode == 0


def explain(output: str) -> ToolError | None:
    """Return the error message for a known failure of buildah."""
    if "no space left on device" in output:
        return cache.disk_full()
    if re.search(r"overlay.*(not supported|no such device|invalid argument)", output):
        return ToolError(
            "this filesystem or kernel does not support overlay mounts, which the image store needs. "
            "Set STORAGE_DRIVER=vfs, or METRICAT_CACHE to a folder on an ext4 or xfs disk."
        )
    if "server gave HTTP response to HTTPS client" in output:
        return ToolError("the registry uses plain HTTP. If that is intended, add --insecure.")
    if re.search(r"unauthorized|authentication required|denied", output):
        return ToolError("the registry refused the image. Run `buildah login REGISTRY` first.")
    return None


def _buildah() -> list[str]:
    if os.geteuid() != 0:
        raise ToolError("building images needs root. Run this command with sudo.")
    store = cache.root() / "containers"
    program = ensure_debian("buildah")["buildah"]
    return [str(program), "--root", str(store / "storage"), "--runroot", str(store / "run")]


def _environment() -> dict[str, str]:
    """Return buildah's environment: a build needs no container engine, and only chroot and overlay from the kernel."""
    return {"STORAGE_DRIVER": "overlay", **os.environ, "BUILDAH_ISOLATION": "chroot"}
