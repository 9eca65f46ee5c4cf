"""The figures of the fault tests: collected by pytest's workers, printed as a table, written to docs/reliability.md."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from support.paths import DOCS

PAGE = DOCS / "reliability.md"
BEGIN, END = "<!-- Written by the tests; do not edit. -->", "<!-- End of the written part. -->"
VARIABLE = "METRICAT_RELIABILITY_FIGURES"
"""The environment variable with the file of the figures. The workers inherit it."""
_HEAD = "| what | measured | goal | in | date | machine |"
_COLUMNS = 6


@dataclass(frozen=True)
class Figure:
    """One measured value with its goal, and with the size of the run."""

    what: str
    measured: str
    goal: str
    size: str

    @property
    def row(self) -> str:
        date = datetime.now(UTC).strftime("%Y-%m-%d")
        return f"| {self.what} | {self.measured} | {self.goal} | {self.size} | {date} | {machine()} |"


def record(what: str, measured: str, goal: str, size: str) -> None:
    """Add a figure for the table."""
    line = json.dumps(asdict(Figure(what, measured, goal, size)))
    with Path(os.environ[VARIABLE]).open("a") as file:
        file.write(f"{line}\n")


def recorded() -> list[Figure]:
    return [Figure(**json.loads(line)) for line in Path(os.environ[VARIABLE]).read_text().splitlines()]


def machine() -> str:
    """Return the number of CPUs and the memory of this machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{os.cpu_count()} CPUs, {round(pages / 2**30)} GiB"


def table(figures: list[Figure]) -> str:
    width = max((len(one.what) for one in figures), default=0)
    return "\n".join(f"{one.what:<{width}}  {one.measured:>10}  goal {one.goal:<10} {one.size}" for one in figures)


def written(page: str, figures: list[Figure]) -> str:
    """Return the page with these figures. Each replaces the row with its name; the other rows stay."""
    before, _, rest = page.partition(BEGIN)
    old, _, after = rest.partition(END)
    rows = {_name(line): line for line in old.splitlines() if line.startswith("| ") and line != _HEAD}
    rows.pop("---", None)
    rows |= {one.what: one.row for one in figures}
    lines = [_HEAD, "|" + " --- |" * _COLUMNS, *rows.values()]
    return "\n".join([before + BEGIN, "", *lines, "", END + after])


def _name(row: str) -> str:
    return row.split("|")[1].strip()
