"""Wheelhouse: every wheel that an image's build installs, downloaded before the build with hashes checked."""

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from packaging.markers import Marker

from metricat_tools.binaries import cache, progress
from metricat_tools.errors import ToolError

PYTHON = "3.11"
_PATCH_VERSIONS = (f"{PYTHON}.0", f"{PYTHON}.99")
# Bookworm's glibc is 2.36. pip needs each compatible platform by name.
_GLIBC = ("2_17", "2_28", "2_34")


def ensure(name: str, requirements: Sequence[Path]) -> Path:
    """Return the folder with the wheels of these hash-pinned requirements, and download them if they are missing."""
    pinned = [for_every_patch_version(path.read_text()) for path in requirements]
    final = cache.root() / "wheels" / f"{name}-{cache.key(PYTHON, *_platforms(), *pinned)}"
    if final.is_dir():
        return final
    with cache.locked(f"wheels-{name}"), cache.scratch() as made:
        wheels = made / "wheels"
        files = [made / f"{number}.txt" for number in range(len(pinned))]
        for file, text in zip(files, pinned, strict=True):
            file.write_text(text)
        progress.run(
            f"downloading the wheels of {name}",
            [*_pip(), "--dest", wheels, *(word for path in files for word in ("--requirement", path))],
            log=cache.root() / "log" / f"wheels-{name}.log",
            explain=explain,
        )
        final.parent.mkdir(parents=True, exist_ok=True)
        if not final.is_dir():
            wheels.replace(final)
    return final


def for_every_patch_version(requirements: str) -> str:
    """Return the requirements without the markers that hold for some patch version of the images' Python.

    pip evaluates markers for the Python that runs it. The base image may have an older or a newer patch version.
    """

    def without_marker(found: re.Match[str]) -> str:
        marker = Marker(found[2])
        holds = any(
            marker.evaluate({"python_version": PYTHON, "python_full_version": version}) for version in _PATCH_VERSIONS
        )
        return f"{found[1]}{found[3] or ''}" if holds else found[0]

    return re.sub(r"^(\S+==\S+) ; (.+?)( \\)?$", without_marker, requirements, flags=re.MULTILINE)


def explain(output: str) -> ToolError | None:
    """Return the error message for a known failure of pip."""
    if "DO NOT MATCH THE HASHES" in output:
        return ToolError("a wheel's hash differs from the pinned one. Do not trust the index, or run `make deps-lock`.")
    if "NewConnectionError" in output:
        return ToolError("cannot reach the package index. Connect to the network, or set PIP_INDEX_URL to a mirror.")
    return None


def _pip() -> list[str]:
    chosen = [word for platform in _platforms() for word in ("--platform", platform)]
    return [
        *(sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--quiet"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--implementation", "cp", "--python-version", PYTHON, *chosen),
    ]


def _platforms() -> list[str]:
    machine = os.uname().machine
    return [f"manylinux2014_{machine}", *(f"manylinux_{glibc}_{machine}" for glibc in _GLIBC)]
