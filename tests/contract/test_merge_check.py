"""The check before a merge (`.ci/run`): a few failed tests run once more, and nothing that fails twice passes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.paths import ROOT

_MAKEFILE = """\
lint verify scan-code sbom test-e2e:
	@echo ran $@
test:
	@{python} -m pytest -q --rootdir=. -p no:hypothesispytest -p no:anyio --numprocesses=1 tests $(PYTEST)
"""
_PASSES_ONCE_SEEN = """
from pathlib import Path

def test_unreliable():
    seen = Path("seen")
    before = seen.exists()
    seen.touch()
    assert before
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a checkout with the real script, and a Makefile that runs the tests in `tests`."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci" / "run")
    (tmp_path / "Makefile").write_text(_MAKEFILE.format(python=sys.executable))
    (tmp_path / "tests").mkdir()
    return tmp_path


def run(checkout: Path, tests: str) -> tuple[int, str]:
    """Return the exit status and the output of the check."""
    (checkout / "tests" / "test_it.py").write_text(tests)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        ["bash", ".ci/run"], cwd=checkout, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stdout + done.stderr


def test_a_test_that_passes_only_in_the_second_run_is_named(checkout: Path) -> None:
    status, output = run(checkout, _PASSES_ONCE_SEEN)
    assert status == 0, output
    assert "UNRELIABLE, passed only in the second run:\ntests/test_it.py::test_unreliable\n== all took" in output
    assert "ran test-e2e" in output


def test_a_test_that_fails_twice_fails_the_check(checkout: Path) -> None:
    status, output = run(checkout, _PASSES_ONCE_SEEN + "\ndef test_broken():\n    assert False\n")
    assert status != 0, output
    assert "UNRELIABLE" not in output
    assert "ran test-e2e" not in output


def test_many_failures_run_once(checkout: Path) -> None:
    status, output = run(checkout, "".join(f"def test_broken_{n}():\n    assert False\n" for n in range(6)))
    assert status != 0, output
    assert "once more" not in output


def test_tests_that_cannot_be_imported_fail_the_check(checkout: Path) -> None:
    status, output = run(checkout, "import nothing_of_this_name\n")
    assert status != 0, output
