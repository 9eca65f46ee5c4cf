"""docs/reliability.md names only tests that exist."""

import re

import pytest

from support.paths import ROOT
from support.reliability import PAGE, Figure, written

NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text())


def test_page_names_tests() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_named_test_exists(path: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / path).read_text() or not name


def test_written_figure_replaces_the_row_of_its_name() -> None:
    once = written(PAGE.read_text(), [Figure("a", "1 s", "≤ 2 s", "short"), Figure("b", "0", "0", "short")])
    again = written(once, [Figure("a", "3 s", "≤ 2 s", "long")])
    assert "| a | 3 s | ≤ 2 s | long |" in again
    assert "| a | 1 s" not in again
    assert "| b | 0 | 0 | short |" in again
    assert written(again, []) == again
