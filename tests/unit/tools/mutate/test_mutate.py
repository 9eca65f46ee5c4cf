"""The mutation run reports what the tests detect, and fails below a minimum score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from metricat_tools.errors import ToolError
from metricat_tools.mutate import __main__ as mutate

if TYPE_CHECKING:
    from pathlib import Path

CODE = "def positive(n):\n    return n > 0\n\ndef both(a, b):\n    return a and b\n"
TEST = "from lib import positive\n\ndef test_positive():\n    assert positive(1)\n    assert not positive(0)\n"


@pytest.fixture
def target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> mutate.MutationTarget:
    """A checkout with one module, whose tests do not call `both`."""
    (tmp_path / "lib" / "src").mkdir(parents=True)
    (tmp_path / "lib" / "src" / "lib.py").write_text(CODE)
    (tmp_path / "test_lib.py").write_text(TEST)
    target = mutate.MutationTarget("lib/src/lib.py", "test_lib.py", 70)
    monkeypatch.setattr(mutate, "ROOT", tmp_path)
    monkeypatch.setattr(mutate, "MUTATION_TARGETS", (target,))
    return target


def test_run_reports_survivors_and_fails_below_the_minimum_score(
    target: mutate.MutationTarget, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ToolError, match=r"lib\.py \(67 % < 70 %\); add tests for the survivors"):
        mutate.main([])
    out = capsys.readouterr().out
    assert "killed   2   survived   1" in out
    assert "survived: lib/src/lib.py:5: a and b -> a or b" in out
    assert "lib/src/lib.py: 67 % killed, minimum 70 %" in out
    assert (target.source / "lib.py").read_text() == CODE


def test_run_fails_if_the_tests_fail_without_a_mutant(target: mutate.MutationTarget, tmp_path: Path) -> None:
    (tmp_path / target.tests).write_text("def test_nothing():\n    assert False\n")
    with pytest.raises(ToolError, match="fails without a mutant"):
        mutate.main([])


def test_unknown_module_is_an_error() -> None:
    with pytest.raises(ToolError, match="no module matches --module=nowhere"):
        mutate.main(["--module", "nowhere"])
