"""The figures of a run as a table, on the terminal and in docs/reference/performance.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERDICTS = {None: "", True: "met", False: "missed"}
PAGE = Path(__file__).parents[5] / "docs" / "reference" / "performance.md"


@dataclass(frozen=True)
class Figure:
    """One row: a measured quantity with its values for the hub and the other programs, and the hub's goal."""

    name: str
    hub: str
    prometheus: str = ""
    victoria_metrics: str = ""
    goal: str = ""
    met: bool | None = None
    """None: the row has no goal."""


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table."""
    rows = [("", "hub", "Prometheus", "VictoriaMetrics", "goal", "")]
    rows += [(one.name, one.hub, one.prometheus, one.victoria_metrics, one.goal, _VERDICTS[one.met]) for one in figures]
    return "\n".join(_row(row) for row in (rows[0], ("---",) * len(rows[0]), *rows[1:]))


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|"


def write_section(page: Path, part: str, text: str) -> None:
    """Replace the section of a part, between its two comments.

    Raises:
        ToolError: the page does not have the comments.
    """
    begin, end = f"<!-- Measured by `bench hub --part {part}`. -->", f"<!-- End of {part}. -->"
    found = re.search(f"{re.escape(begin)}.*?{re.escape(end)}", before := page.read_text(), re.DOTALL)
    if found is None:
        raise ToolError(f"{page} has no section for {part}. Add the comments {begin} and {end}")
    page.write_text(f"{before[: found.start()]}{begin}\n\n{text}\n\n{end}{before[found.end() :]}")
