"""Base image without a registry: Debian's essential packages and its Python, built with mmdebstrap."""

import os
import re
from pathlib import Path

from metricat_tools.binaries import cache, ensure_debian, progress
from metricat_tools.images import engine

SUITE = "bookworm"  # its Python is 3.11; the wheels are for that version
_PACKAGES = ("python3", "ca-certificates", "libstdc++6")  # numpy needs the last one
_CONTAINERFILE = 'FROM scratch\nADD base.tar /\nENV LANG=C.UTF-8\nCMD ["python3"]\n'
# Without this pin, apt merges /usr with the package usrmerge, which pulls in all of Perl.
_PIN = "Package: usrmerge\\nPin: release *\\nPin-Priority: -1\\n"
_OPTIONS = (
    "--variant=essential",
    f"--include={','.join(_PACKAGES)}",
    "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
    f"--setup-hook=printf '{_PIN}' >\"$1/etc/apt/preferences.d/no-usrmerge\"",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-include=/usr/share/doc/*/copyright",
    # The image has no apt. The rest of apt's configuration describes only the machine that built the image.
    '--customize-hook=cd "$1/etc" && rm -rf apt/sources.list* apt/auth.conf* apt/apt.conf.d/99* resolv.conf hostname',
)


def key() -> str:
    """Return the digest of the recipe. To get a newer Debian for the same recipe, remove the archive."""
    return cache.key(SUITE, _CONTAINERFILE, *_OPTIONS)


def ensure() -> str:
    """Return the base image's name in the store, and build the image if it is missing."""
    name = f"localhost/metricat/base:{key()}"
    with cache.locked("base-image"):
        if not engine.has(name):
            _build(name, _archive())
    return name


def transports(folder: Path = Path("/etc/apt/apt.conf.d")) -> list[Path]:
    """Return the files of apt's configuration about reaching an archive: proxies, certificates, checks."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in files if path.is_file() and re.search(r"(?im)^\s*Acquire\b", path.read_text())]


def _archive() -> Path:
    """Return the filesystem as a tar in the cache."""
    final = cache.root() / "images" / f"base-{key()}.tar"
    if final.exists():
        return final
    program = ensure_debian("mmdebstrap")["mmdebstrap"]
    with cache.scratch() as made:
        tar = made / "base.tar"
        progress.run(
            f"building the base image (Debian {SUITE}, Python)",
            [program, *_OPTIONS, *(f"--aptopt={path}" for path in transports()), SUITE, tar],
            log=cache.root() / "log" / "mmdebstrap.log",
            # With this epoch, the archive's bytes depend only on the packages.
            env={**os.environ, "SOURCE_DATE_EPOCH": "0", "TMPDIR": str(made)},
        )
        final.parent.mkdir(parents=True, exist_ok=True)
        tar.replace(final)
    return final


def _build(name: str, archive: Path) -> None:
    with cache.scratch() as context:
        (context / "base.tar").hardlink_to(archive)
        (context / "Containerfile").write_text(_CONTAINERFILE)
        engine.run("storing the base image", "build", "--layers", "--timestamp", "0", "--tag", name, context)
