"""The table of figures, and its place in the documentation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from metricat_tools.bench.hub import command, report
from metricat_tools.bench.hub.report import Figure
from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from pathlib import Path


def test_table_has_the_verdict_of_each_goal() -> None:
    figures = [
        Figure("CPU", "1 s", "2 s", "3 s", "2 s", met=True),
        Figure("size", "9", goal="8", met=False),
        Figure("load", "4"),
    ]
    assert report.table(figures).splitlines()[2:] == [
        "| CPU | 1 s | 2 s | 3 s | 2 s | met |",
        "| size | 9 | | | 8 | missed |",
        "| load | 4 | | | | |",
    ]


def test_section_of_a_part_is_replaced_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# T\n\n<!-- Measured by `bench hub --part a`. -->\n\nold\n\n<!-- End of a. -->\n\n"
        "<!-- Measured by `bench hub --part b`. -->\n\n<!-- End of b. -->\n"
    )
    report.write_section(page, "a", "new")
    report.write_section(page, "b", "other")
    assert page.read_text() == (
        "# T\n\n<!-- Measured by `bench hub --part a`. -->\n\nnew\n\n<!-- End of a. -->\n\n"
        "<!-- Measured by `bench hub --part b`. -->\n\nother\n\n<!-- End of b. -->\n"
    )


def test_page_without_the_section_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# T\n")
    with pytest.raises(ToolError, match="no section for a"):
        report.write_section(page, "a", "new")


def test_documentation_has_a_section_for_each_part() -> None:
    found = re.findall(r"^<!-- Measured by `bench hub --part (\S+)`. -->", report.PAGE.read_text(), re.MULTILINE)
    assert sorted(found) == sorted(command.PARTS)
