"""The base image where no registry is in reach: Debian's essential packages and its Python, by mmdebstrap."""

import os
import re
from pathlib import Path

from metricat_tools.images import engine
from metricat_tools.programs import cache, ensure_debian, progress

SUITE = "bookworm"  # its Python is 3.11, which the wheels are for
_PACKAGES = ("python3", "ca-certificates")
_CONTAINERFILE = 'FROM scratch\nADD base.tar /\nENV LANG=C.UTF-8\nCMD ["python3"]\n'
# Without a pin, apt prefers to merge /usr by a program, which drags all of perl in.
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
    # There is no apt inside; what is left of its configuration tells only of the machine that built this.
    '--customize-hook=cd "$1/etc" && rm -rf apt/sources.list* apt/auth.conf* apt/apt.conf.d/99* resolv.conf hostname',
)


def key() -> str:
    """The digest of the recipe; a newer Debian under the same recipe is fetched by removing the archive."""
    return cache.key(SUITE, _CONTAINERFILE, *_OPTIONS)


def ensure() -> str:
    """The base image's name in the store, made first where it is missing."""
    name = f"localhost/metricat/base:{key()}"
    with cache.locked("base-image"):
        if not engine.has(name):
            _build(name, _archive())
    return name


def transports(folder: Path = Path("/etc/apt/apt.conf.d")) -> list[Path]:
    """The files of apt's configuration that say how to reach an archive: proxies, certificates, checks."""
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in files if path.is_file() and re.search(r"(?im)^\s*Acquire\b", path.read_text())]


def _archive() -> Path:
    """The file system as a tar, in the cache."""
    final = cache.root() / "images" / f"base-{key()}.tar"
    if final.exists():
        return final
    program = ensure_debian("mmdebstrap")["mmdebstrap"]
    with cache.scratch() as made:
        tar = made / "base.tar"
        progress.run(
            f"making the base image (Debian {SUITE}, Python)",
            [program, *_OPTIONS, *(f"--aptopt={path}" for path in transports()), SUITE, tar],
            log=cache.root() / "log" / "mmdebstrap.log",
            # The epoch makes the archive's bytes depend on nothing but the packages.
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
