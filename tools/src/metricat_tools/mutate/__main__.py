"""`python -m metricat_tools mutate`: report the mutants that the unit tests of each room do not detect."""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from metricat_tools.errors import ToolError
from metricat_tools.mutate.mutants import Mutant, mutants

ROOT = Path(__file__).resolve().parents[4]
_LEAST_TIMEOUT = 60.0
"""Seconds: a shorter timeout would count slow runs on a busy machine as detected."""


@dataclass(frozen=True, slots=True)
class Room:
    """A package or module, its unit tests, and the least share of mutants that these must detect."""

    code: str
    tests: str
    floor: float
    """Per cent."""

    @property
    def source(self) -> Path:
        """The directory on the import path that holds the code."""
        return ROOT / self.code.partition("/")[0] / "src"

    def modules(self) -> list[Path]:
        """Return the room's modules, relative to `source`."""
        path = ROOT / self.code
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        return [module.relative_to(self.source) for module in found]


ROOMS = (
    Room("operator/src/metricat_operator/drift.py", "tests/unit/operator/test_drift.py", 75),
    Room("operator/src/metricat_operator/status", "tests/unit/operator/status", 80),
    Room("operator/src/metricat_operator/verification", "tests/unit/operator/verification", 85),
    Room("agent/src/metricat_agent/scrape", "tests/unit/agent/scrape", 87),
)


@dataclass(frozen=True, slots=True)
class Result:
    """Whether the tests detected a mutant of a module."""

    module: Path
    mutant: Mutant
    killed: bool


def main(arguments: Sequence[str]) -> None:
    """Test a sample of mutants of every room; fail if a room is below its floor."""
    parser = argparse.ArgumentParser(
        prog="python -m metricat_tools mutate", description="Report mutants that the unit tests do not detect."
    )
    parser.add_argument("--room", help="only rooms whose path contains this text")
    parser.add_argument("--mutants", type=int, default=50, help="mutants per room, 0: all (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="selects the sample (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="test runs at the same time (default: %(default)s)")
    given = parser.parse_args(arguments)
    rooms = [room for room in ROOMS if (given.room or "") in room.code]
    if not rooms:
        raise ToolError(f"no room matches --room={given.room}; use a part of {', '.join(r.code for r in ROOMS)}")
    below = []
    for room in rooms:
        started = time.monotonic()
        results = _test(room, sample(room, given.mutants, given.seed), given.jobs)
        score = 100 * sum(result.killed for result in results) / len(results)
        _report(room, results)
        print(f"{room.code}: {score:.0f} % killed, floor {room.floor:.0f} %, {time.monotonic() - started:.0f} s\n")
        if score < room.floor:
            below.append(f"{room.code} ({score:.0f} % < {room.floor:.0f} %)")
    if below:
        raise ToolError(f"too many mutants survive in {', '.join(below)}; add tests for the survivors listed above")


def sample(room: Room, size: int, seed: int) -> list[tuple[Path, Mutant]]:
    """Return the mutants of a room, or `size` of them.

    The seed and the text of each mutant select it, so a change elsewhere in the room keeps most of the sample.
    """
    found = [(module, mutant) for module in room.modules() for mutant in mutants((room.source / module).read_bytes())]
    if not found:
        raise ToolError(f"{room.code} has no mutants; correct ROOMS in metricat_tools/mutate/__main__.py")
    return sorted(found, key=lambda pair: _rank(seed, *pair))[: size or None]


def _rank(seed: int, module: Path, mutant: Mutant) -> bytes:
    text = f"{seed} {module.as_posix()} {mutant.before} -> {mutant.after}"
    return hashlib.sha256(text.encode()).digest()


def _test(room: Room, selected: Sequence[tuple[Path, Mutant]], jobs: int) -> list[Result]:
    """Run the room's tests once for each mutant, each in a copy of the code."""
    with _copies(room.source, jobs) as copies:
        first = copies.get()
        started = time.monotonic()
        if not _passes(room, first, timeout=600):
            raise ToolError(f"{room.tests} fails without a mutant; run: make test")
        timeout = max(_LEAST_TIMEOUT, 5 * (time.monotonic() - started))
        copies.put(first)

        def test(pair: tuple[Path, Mutant]) -> Result:
            module, mutant = pair
            copy = copies.get()
            original = (copy / module).read_bytes()
            try:
                (copy / module).write_bytes(mutant.source)
                return Result(module, mutant, killed=not _passes(room, copy, timeout))
            finally:
                (copy / module).write_bytes(original)
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(test, selected))


@contextmanager
def _copies(source: Path, number: int) -> Iterator[SimpleQueue[Path]]:
    """Yield copies of a source directory: an interrupted run leaves the checkout as it was."""
    with tempfile.TemporaryDirectory(prefix="metricat-mutants-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for index in range(number):
            copies.put(Path(shutil.copytree(source, Path(folder) / str(index))))
        yield copies


def _passes(room: Room, copy: Path, timeout: float) -> bool:
    """Run the room's tests on a copy of the code; return whether they pass within the timeout."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(copy), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "PYTHONDONTWRITEBYTECODE": "1",  # bytecode of the previous mutant may have the same time and size
        "HYPOTHESIS_STORAGE_DIRECTORY": str(copy.parent / f"hypothesis-{copy.name}"),
    }
    with subprocess.Popen(
        [*command, "--hypothesis-seed=0", room.tests],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            return process.wait(timeout) == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _report(room: Room, results: Sequence[Result]) -> None:
    """Print the counts of each module, and the mutants that survived."""
    total = Counter(result.module for result in results)
    killed = Counter(result.module for result in results if result.killed)
    for module in sorted(total):
        survived = total[module] - killed[module]
        print(f"{module.as_posix():<55} killed {killed[module]:>3}   survived {survived:>3}")
    for result in results:
        if not result.killed:
            path = (room.source / result.module).relative_to(ROOT)
            print(f"  survived: {path}:{result.mutant.line}: {result.mutant.before} -> {result.mutant.after}")
