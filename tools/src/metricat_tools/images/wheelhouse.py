"""The wheelhouse: every wheel that an image's build installs, fetched outside of it with the hashes checked."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from metricat_tools.errors import ToolError
from metricat_tools.programs import cache, progress

PYTHON = "3.11"
# Bookworm's glibc is 2.36; pip wants each platform by name.
_GLIBC = ("2_17", "2_28", "2_34")


def ensure(name: str, requirements: Sequence[Path]) -> Path:
    """The folder with the wheels of these hash-pinned requirements, fetched first where it is missing."""
    pinned = [path.read_bytes() for path in requirements]
    final = cache.root() / "wheels" / f"{name}-{cache.key(PYTHON, *_platforms(), *pinned)}"
    if final.is_dir():
        return final
    with cache.locked(f"wheels-{name}"), cache.scratch() as made:
        wheels = made / "wheels"
        progress.run(
            f"fetching the wheels of {name}",
            [*_pip(), "--dest", wheels, *(word for path in requirements for word in ("--requirement", path))],
            log=cache.root() / "log" / f"wheels-{name}.log",
            explain=explain,
        )
        final.parent.mkdir(parents=True, exist_ok=True)
        if not final.is_dir():
            wheels.replace(final)
    return final


def explain(output: str) -> ToolError | None:
    """The sentence for a known way in which pip fails."""
    if "DO NOT MATCH THE HASHES" in output:
        return ToolError("a wheel's hash differs from the pinned one: distrust the index, or renew requirements/*.txt")
    if "NewConnectionError" in output:
        return ToolError("the package index is out of reach: connect to the network, or set PIP_INDEX_URL to a mirror")
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
