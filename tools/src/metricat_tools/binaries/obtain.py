"""`ensure`: the paths of programs. A program that is not available is built or unpacked first."""

import functools
import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

from metricat_tools.binaries import cache, debian, golang, wheel
from metricat_tools.binaries.table import PROGRAMS, DebianPackage, GoModule, Program, Wheel
from metricat_tools.errors import ToolError

Source = GoModule | Wheel | DebianPackage


def ensure(*names: str) -> dict[str, Path]:
    """Return the path of each program. Build or unpack missing programs first, all programs of one source together.

    A program in the folder `KUBEBUILDER_ASSETS` comes first, then one on PATH with a suitable version, then the cache.
    """
    if unknown := [name for name in names if name not in PROGRAMS]:
        raise ToolError(f"unknown program {unknown[0]}. Choose from {', '.join(sorted(PROGRAMS))}")
    programs = [PROGRAMS[name] for name in dict.fromkeys(names)]
    wanted: dict[Source, list[Program]] = defaultdict(list)
    for program in programs:
        if find(program) is None:
            wanted[program.source].append(program)
    for source, lacking in wanted.items():
        with cache.locked(folder(source).name):
            # Another process may have built them while this one waited.
            if still := [program for program in lacking if not cached(program).exists()]:
                obtain(source, still)
    return {program.name: find(program) or cached(program) for program in programs}


def stored(program: Program) -> Path:
    """Return the path in the cache of a program outside the table. Build or unpack it if it is missing."""
    with cache.locked(folder(program.source).name):
        if not cached(program).exists():
            obtain(program.source, [program])
    return cached(program)


def find(program: Program) -> Path | None:
    """Return the path of an available program, or None."""
    installed = given(program.name) or (on_path(program) if program.ask_version else None)
    return installed or (cached(program) if cached(program).exists() else None)


def given(name: str) -> Path | None:
    """Return the program in the folder KUBEBUILDER_ASSETS. The user is responsible for its version."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    path = Path(assets or "/nonexistent") / name
    return path.absolute() if path.is_file() and os.access(path, os.X_OK) else None


def on_path(program: Program) -> Path | None:
    """Return the program on PATH if its version is suitable."""
    found = shutil.which(program.name, path=debian.path())
    return (
        Path(found)
        if found and re.search(program.fits, _version_output(found, program.ask_version), re.MULTILINE)
        else None
    )


@functools.cache
def _version_output(path: str, arguments: tuple[str, ...]) -> str:
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout + done.stderr


def cached(program: Program) -> Path:
    """Return the program's path in the cache, whether the file exists or not."""
    return folder(program.source) / program.name


def folder(source: Source) -> Path:
    """Return the cache folder for programs of this source."""
    match source:
        case GoModule():
            return golang.folder(source)
        case Wheel():
            return wheel.folder(source)
        case DebianPackage():
            return debian.folder(source)


def obtain(source: Source, programs: list[Program]) -> None:
    """Build or unpack these programs of one source."""
    match source:
        case GoModule():
            golang.build(source, programs)
        case Wheel():
            wheel.unpack(source, programs)
        case DebianPackage():
            debian.unpack(source, programs)
