"""Prometheus' own tests of PromQL, read from its Go module, which the Go proxy serves."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from metricat_tools.binaries import module_dir
from support import promqltest
from support.paths import DOCS

if TYPE_CHECKING:
    from pathlib import Path

FILES = (
    *(
        "aggregators",
        "at_modifier",
        "collision",
        "duration_expression",
        "extended_vectors",
        "fill-modifier",
        "functions",
    ),
    *("histograms", "info", "limit", "literals", "name_label_dropping", "native_histograms", "operators"),
    *("range_queries", "selectors", "staleness", "start_timestamps", "subquery", "trig_functions", "type_and_unit"),
)
PAGE = (DOCS / "hub/promql.md").read_text()
MARK = 0.95


@pytest.fixture(scope="session")
def folder() -> Path:
    return module_dir("prometheus", "github.com/prometheus/prometheus") / "promql/promqltest/testdata"


def documented(name: str) -> tuple[int, int, int]:
    """Return how many assertions the documentation states: passed, failed, with native histograms."""
    found = re.search(rf"^\| `{name}` \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE)
    assert found, f"docs/hub/promql.md has no row for {name}"
    return int(found[1]), int(found[2]), int(found[3])


def test_every_file_of_prometheus_is_run(folder: Path) -> None:
    assert sorted(path.stem for path in folder.glob("*.test")) == sorted(FILES)


@pytest.mark.parametrize("name", FILES)
def test_assertions_of_prometheus_hold_as_documented(name: str, folder: Path) -> None:
    outcomes = promqltest.run((folder / f"{name}.test").read_text())
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    counts = Counter(outcome.state for outcome in outcomes)
    row = counts["passed"], counts["failed"], counts["native histograms"]
    assert row == documented(name), "\n".join(f"{one.line}: {one.query}: {one.reason}" for one in failed)
    listed = re.findall(rf"^\| `{name}` line (\d+) \|", PAGE, re.MULTILINE)
    assert [one.line for one in failed] == [int(line) for line in listed]


def test_documented_share_is_above_the_mark() -> None:
    rows = [documented(name) for name in FILES]
    passed, failed = sum(row[0] for row in rows), sum(row[1] for row in rows)
    assert passed / (passed + failed) >= MARK
    assert f"{passed} of {passed + failed}" in PAGE
