"""Check that every generated file is up to date, without changing the checkout."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from metricat_tools.errors import ToolError

SOURCES = ("operator/src", "rules/src", "agent/src", "hub/src", "cli/src", "tools/src")


def verify(checkout: Path) -> None:
    """Generate into a copy of the checkout and compare the whole tree.

    The copy has every file that git does not ignore, uncommitted edits included. The checkout is only read.

    Raises:
        ToolError: a generated file is missing or differs.
    """
    with tempfile.TemporaryDirectory(prefix="metricat-verify-") as name:
        copy = Path(name)
        _copy(checkout, copy)
        _generate(copy)
        if stale := differing(copy, checkout):
            listed = "\n".join(f"    {path}" for path in stale)
            raise ToolError(f"these generated files are out of date:\n{listed}\n  Run `make generate` and commit them.")


def differing(copy: Path, checkout: Path) -> list[str]:
    """Return the paths of the copy's files that are missing in the checkout or have another content there."""
    files = sorted(path for path in copy.rglob("*") if path.is_file() and not path.is_symlink())
    return [
        str(path.relative_to(copy))
        for path in files
        if _content(checkout / path.relative_to(copy)) != path.read_bytes()
    ]


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _copy(checkout: Path, copy: Path) -> None:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=checkout, capture_output=True, check=False)
    if listed.returncode != 0:
        raise ToolError(f"cannot list the files of {checkout}: {listed.stderr.decode().strip()}. Use a git checkout.")
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if (checkout / name).is_symlink() or (checkout / name).is_file():  # git also lists deleted files
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(checkout / name, copy / name, follow_symlinks=False)


def _generate(copy: Path) -> None:
    """Run the copy's own generators: PYTHONPATH comes before the checkout's installed packages."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(str(copy / source) for source in SOURCES),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "metricat_tools", "generate"]
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ToolError(f"the generators failed:\n{done.stderr.strip()}")
