"""Debian's packages: installed when a program needs them to run, or only unpacked where that is enough."""

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
# What tells that a package is there, on any distribution: a program on PATH, or a file.
_EVIDENCE = {
    "nftables": "nft",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "iproute2": "ip",
    "util-linux": "nsenter",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "libseccomp-dev": "/usr/include/seccomp.h",
    "libc6-dev": "/usr/include/stdlib.h",
    "gcc": "gcc",
    "pkg-config": "pkg-config",
    "ca-certificates": "/etc/ssl/certs/ca-certificates.crt",
}


def path() -> str:
    """PATH with the folders of the administrator's programs, which a plain user's PATH lacks."""
    return f"{os.environ.get('PATH', os.defpath)}:{SBIN}"


def ensure_debian(*packages: str) -> dict[str, Path]:
    """Install the packages that are missing (as root, with apt-get) and tell each one's program or file."""
    if unknown := [package for package in packages if package not in _EVIDENCE]:
        raise ToolError(f"unknown Debian package {unknown[0]}: add it to {__name__}")
    if missing := [package for package in packages if not _present(package)]:
        with cache.locked("apt"):
            _install(missing)
    found = {package: _present(package) for package in packages}
    if lacking := [package for package, where in found.items() if where is None]:
        raise ToolError(f"{lacking[0]} is installed, yet {_EVIDENCE[lacking[0]]} is not there: reinstall {lacking[0]}")
    return {package: where for package, where in found.items() if where is not None}


def folder(package: DebianPackage) -> Path:
    """Where an unpacked package's programs lie in the cache, named by the distribution's release."""
    release = platform.freedesktop_os_release()
    version = f"{release.get('ID', 'linux')}{release.get('VERSION_ID', '')}"
    return cache.root() / "programs" / f"{package.package}-{version}-{cache.key()}"


def unpack(package: DebianPackage, programs: Sequence[Program]) -> None:
    """Download the package and take these programs out of it, with nothing installed and no service started."""
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        names = ", ".join(program.name for program in programs)
        raise ToolError(
            f"{names} come from Debian's {package.package} and this machine has no apt-get: put them on PATH"
        )
    with cache.scratch() as made:
        made.chmod(0o755)  # apt downloads as a user of its own
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
    """Apt's lists are absent or older than the archive: an update mends it."""


def explain(output: str) -> ToolError | None:
    """The sentence for a known way in which apt fails."""
    if re.search(r"No space left", output):
        return cache.disk_full()
    if re.search(r"Unable to locate package|404|No candidate|Can't find a source|Can't select candidate", output):
        return StaleListsError("apt knows no such package: run `apt-get update`")
    if re.search(r"Temporary failure resolving|Could not connect|Network is unreachable", output):
        return ToolError("apt-get could not reach its archive: connect to the network")
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
        raise ToolError(f"{words} missing, and this machine has no apt-get: install your distribution's like")
    if os.geteuid() != 0:
        raise ToolError(f"{words} missing: run `sudo apt-get install {words}`")
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
        raise ToolError(f"apt has no list that knows {words}: run `sudo apt-get update`")
    progress.run("updating apt's lists", ["apt-get", "update"], log=cache.root() / "log" / "apt.log", explain=explain)
