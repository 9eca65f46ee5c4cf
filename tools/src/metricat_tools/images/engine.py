"""Buildah: builds images from a Dockerfile without a daemon, in a store of its own inside our cache."""

import os
import re
import subprocess
from pathlib import Path

from metricat_tools.errors import ToolError
from metricat_tools.programs import cache, ensure_debian, progress


def run(label: str, *arguments: str | Path) -> None:
    """Run `buildah ARGUMENTS...` with progress; a known failure becomes a sentence with the way out."""
    log = cache.root() / "log" / "buildah.log"
    progress.run(label, [*_buildah(), *arguments], log=log, env=_environment(), explain=explain)


def has(image: str) -> bool:
    """Whether the store holds this image."""
    command = [*_buildah(), "inspect", "--type", "image", image]
    return subprocess.run(command, env=_environment(), capture_output=True, check=False).returncode == 0


def explain(output: str) -> ToolError | None:
    """The sentence for a known way in which buildah fails."""
    if "no space left on device" in output:
        return cache.disk_full()
    if re.search(r"overlay.*(not supported|no such device|invalid argument)", output):
        return ToolError(
            "this file system or kernel has no overlay mounts for the image store: "
            "set STORAGE_DRIVER=vfs, or METRICAT_CACHE to an ext4 or xfs disk"
        )
    if "server gave HTTP response to HTTPS client" in output:
        return ToolError("the registry speaks plain HTTP: add --insecure if that is meant")
    if re.search(r"unauthorized|authentication required|denied", output):
        return ToolError("the registry refused the image: run `buildah login REGISTRY` first")
    return None


def _buildah() -> list[str]:
    if os.geteuid() != 0:
        raise ToolError("building images needs root: run this with sudo")
    store = cache.root() / "containers"
    program = ensure_debian("buildah")["buildah"]
    return [str(program), "--root", str(store / "storage"), "--runroot", str(store / "run")]


def _environment() -> dict[str, str]:
    """No container engine is needed for a build's commands, nor more of the kernel than chroot and overlay."""
    return {"STORAGE_DRIVER": "overlay", **os.environ, "BUILDAH_ISOLATION": "chroot"}
