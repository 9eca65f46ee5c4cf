"""`python -m metricat_tools mutate`: report the mutants that the unit tests do not detect."""

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
_MIN_TIMEOUT = 60.0
"""Seconds. With a shorter timeout, slow runs on a busy machine would count as detected mutants."""


@dataclass(frozen=True, slots=True)
class MutationTarget:
    """A package or module, its unit tests, and its minimum mutation score."""

    code: str
    tests: str
    min_score: float
    """Minimum share of mutants that the unit tests detect, in %."""

    @property
    def source(self) -> Path:
        """The directory on the import path that holds the code."""
        return ROOT / self.code.partition("/")[0] / "src"

    def modules(self) -> list[Path]:
        """Return the modules of the target, relative to `source`."""
        path = ROOT / self.code
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        return [module.relative_to(self.source) for module in found]


MUTATION_TARGETS = (
    MutationTarget("operator/src/metricat_operator/drift.py", "tests/unit/operator/test_drift.py", 75),
    MutationTarget("operator/src/metricat_operator/status", "tests/unit/operator/status", 80),
    MutationTarget("operator/src/metricat_operator/verification", "tests/unit/operator/verification", 85),
    MutationTarget("agent/src/metricat_agent/scrape", "tests/unit/agent/scrape", 87),
)


@dataclass(frozen=True, slots=True)
class Result:
    """A mutant of a module, and whether the tests detected it."""

    module: Path
    mutant: Mutant
    killed: bool


def main(arguments: Sequence[str]) -> None:
    """Test a sample of mutants of every target. Fail if a target is below its minimum score."""
    parser = argparse.ArgumentParser(
        prog="python -m metricat_tools mutate", description="Report mutants that the unit tests do not detect."
    )
    parser.add_argument("--module", help="only packages and modules whose path contains this text")
    parser.add_argument(
        "--mutants", type=int, default=50, help="mutants per row of the table, 0: all (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="selects the sample (default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="test runs at the same time (default: %(default)s)")
    given = parser.parse_args(arguments)
    targets = [target for target in MUTATION_TARGETS if (given.module or "") in target.code]
    if not targets:
        paths = ", ".join(target.code for target in MUTATION_TARGETS)
        raise ToolError(f"no module matches --module={given.module}. Use a part of one of these paths: {paths}")
    below = []
    for target in targets:
        started = time.monotonic()
        results = _test(target, sample(target, given.mutants, given.seed), given.jobs)
        score = 100 * sum(result.killed for result in results) / len(results)
        _report(target, results)
        took = time.monotonic() - started
        print(f"{target.code}: {score:.0f} % killed, minimum {target.min_score:.0f} %, {took:.0f} s\n")
        if score < target.min_score:
            below.append(f"{target.code} ({score:.0f} % < {target.min_score:.0f} %)")
    if below:
        raise ToolError(f"too many mutants survive in {', '.join(below)}; add tests for the survivors listed above")


def sample(target: MutationTarget, size: int, seed: int) -> list[tuple[Path, Mutant]]:
    """Return at most `size` mutants of a target, or all if `size` is 0.

    The seed and the text of each mutant determine the sample, so a change of other code keeps most of it.
    """
    found = [
        (module, mutant) for module in target.modules() for mutant in mutants((target.source / module).read_bytes())
    ]
    if not found:
        raise ToolError(f"{target.code} has no mutants; correct MUTATION_TARGETS in metricat_tools/mutate/__main__.py")
    return sorted(found, key=lambda pair: _rank(seed, *pair))[: size or None]


def _rank(seed: int, module: Path, mutant: Mutant) -> bytes:
    text = f"{seed} {module.as_posix()} {mutant.before} -> {mutant.after}"
    return hashlib.sha256(text.encode()).digest()


def _test(target: MutationTarget, selected: Sequence[tuple[Path, Mutant]], jobs: int) -> list[Result]:
    """Run the target's tests once for each mutant, each in a copy of the code."""
    with _copies(target.source, jobs) as copies:
        first = copies.get()
        started = time.monotonic()
        if not _passes(target, first, timeout=600):
            raise ToolError(f"{target.tests} fails without a mutant; run: make test")
        timeout = max(_MIN_TIMEOUT, 5 * (time.monotonic() - started))
        copies.put(first)

        def test(pair: tuple[Path, Mutant]) -> Result:
            module, mutant = pair
            copy = copies.get()
            original = (copy / module).read_bytes()
            try:
                (copy / module).write_bytes(mutant.source)
                return Result(module, mutant, killed=not _passes(target, copy, timeout))
            finally:
                (copy / module).write_bytes(original)
                copies.put(copy)

        with ThreadPoolExecutor(jobs) as pool:
            return list(pool.map(test, selected))


@contextmanager
def _copies(source: Path, number: int) -> Iterator[SimpleQueue[Path]]:
    """Yield copies of a source directory, so an interrupted run does not change the checkout."""
    with tempfile.TemporaryDirectory(prefix="metricat-mutants-") as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for index in range(number):
            copies.put(Path(shutil.copytree(source, Path(folder) / str(index))))
        yield copies


def _passes(target: MutationTarget, copy: Path, timeout: float) -> bool:
    """Run the target's tests on a copy of the code; return whether they pass within the timeout."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(copy), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep),
        "PYTHONDONTWRITEBYTECODE": "1",  # bytecode of the previous mutant may have the same time and size
        "HYPOTHESIS_STORAGE_DIRECTORY": str(copy.parent / f"hypothesis-{copy.name}"),
    }
    with subprocess.Popen(
        [*command, "--hypothesis-seed=0", target.tests],
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


def _report(target: MutationTarget, results: Sequence[Result]) -> None:
    """Print the number of killed and surviving mutants of each module, and each surviving mutant."""
    total = Counter(result.module for result in results)
    killed = Counter(result.module for result in results if result.killed)
    for module in sorted(total):
        survived = total[module] - killed[module]
        print(f"{module.as_posix():<55} killed {killed[module]:>3}   survived {survived:>3}")
    for result in results:
        if not result.killed:
            path = (target.source / result.module).relative_to(ROOT)
            print(f"  survived: {path}:{result.mutant.line}: {result.mutant.before} -> {result.mutant.after}")
