"""Debian packages: installed if a program needs them to run, otherwise only unpacked."""

import os
import platform
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from metricat_tools.binaries import cache, progress
from metricat_tools.binaries.table import DebianPackage, Program
from metricat_tools.errors import ToolError

SBIN = "/usr/sbin:/sbin"
# The evidence on any distribution that a package is installed: a program on PATH, or a file.
_EVIDENCE = {
    "nftables": "nft",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "util-linux": "nsenter",
    "buildah": "buildah",
    "redis-tools": "redis-check-rdb",
    "mmdebstrap": "mmdebstrap",
    "libseccomp-dev": "/usr/include/seccomp.h",
    "libc6-dev": "/usr/include/stdlib.h",
    "gcc": "gcc",
    "pkg-config": "pkg-config",
    "postgresql": "/usr/lib/postgresql",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
}


def path() -> str:
    """Return PATH with the folders of administration programs, which the PATH of ordinary users lacks."""
    return f"{os.environ.get('PATH', os.defpath)}:{SBIN}"


def ensure_debian(*packages: str) -> dict[str, Path]:
    """Install the missing packages (as root, with apt-get) and return each one's program or file."""
    if unknown := [package for package in packages if package not in _EVIDENCE]:
        raise ToolError(f"unknown Debian package {unknown[0]}. Add it to {__name__}.")
    if missing := [package for package in packages if not _present(package)]:
        with cache.locked("apt"):
            _install(missing)
    found = {package: _present(package) for package in packages}
    if lacking := [package for package, where in found.items() if where is None]:
        raise ToolError(f"{lacking[0]} is installed, but {_EVIDENCE[lacking[0]]} is missing. Reinstall {lacking[0]}.")
    return {package: where for package, where in found.items() if where is not None}


def folder(package: DebianPackage) -> Path:
    """Return the cache folder of an unpacked package's programs. Its name has the distribution's release."""
    release = platform.freedesktop_os_release()
    version = f"{release.get('ID', 'linux')}{release.get('VERSION_ID', '')}"
    return cache.root() / "programs" / f"{package.package}-{version}-{cache.key()}"


def unpack(package: DebianPackage, programs: Sequence[Program]) -> None:
    """Download the package and extract these programs. Install no package and start no service."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        names = ", ".join(program.name for program in programs)
        raise ToolError(
            f"{names} come from Debian's {package.package}, but this machine has no apt-get. Put them on PATH."
        )
    with cache.scratch() as made:
        made.chmod(0o755)  # apt downloads as its own user
        log = cache.root() / "log" / f"{package.package}.log"
        label = f"unpacking {package.package}"
        try:
            progress.run(label, ["apt-get", "download", package.package], cwd=made, log=log, explain=explain)
        except StaleListsError:
            _update(package.package)
            progress.run(label, ["apt-get", "download", package.package], cwd=made, log=log, explain=explain)
        archive = next(made.glob("*.deb"))
        progress.run(label, ["dpkg-deb", "-x", archive, made / "root"], log=log, explain=explain)
        for program in programs:
            cache.install(made / "root" / program.member, folder(package) / program.name)


class StaleListsError(ToolError):
    """Apt's package lists are missing or older than the archive. `apt-get update` corrects that."""


def explain(output: str) -> ToolError | None:
    """Return the error for a known failure of apt."""
    if re.search(r"No space left", output):
        return cache.disk_full()
    if re.search(r"Unable to locate package|404|No candidate|Can't find a source|Can't select candidate", output):
        return StaleListsError("apt does not find the package. Run `apt-get update`.")
    if re.search(r"Temporary failure resolving|Could not connect|Network is unreachable", output):
        return ToolError("apt-get cannot reach its archive. Connect to the network.")
    return None


def _present(package: str) -> Path | None:
    evidence = _EVIDENCE[package]
    if evidence.startswith("/"):
        return Path(evidence) if Path(evidence).exists() else None
    found = shutil.which(evidence, path=path())
    return Path(found) if found else None


def _install(packages: Sequence[str]) -> None:
    words = " ".join(packages)
    if shutil.which("apt-get") is None:
        raise ToolError(
            f"{words} missing, and this machine has no apt-get. Install the equivalent packages of your distribution."
        )
    if os.geteuid() != 0:
        raise ToolError(f"{words} missing. Run `sudo apt-get install {words}`.")
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    log = cache.root() / "log" / "apt.log"
    try:
        progress.run(f"installing {words}", command, log=log, env=environment, explain=explain)
    except StaleListsError:
        _update(words)
        progress.run(f"installing {words}", command, log=log, env=environment, explain=explain)


def _update(words: str) -> None:
    if os.geteuid() != 0:
        raise ToolError(f"apt's lists do not contain {words}. Run `sudo apt-get update`.")
    progress.run("updating apt's lists", ["apt-get", "update"], log=cache.root() / "log" / "apt.log", explain=explain)
