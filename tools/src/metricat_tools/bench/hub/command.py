"""`python -m metricat_tools bench hub`: measure parts of the hub, and print or write a table of each."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from metricat_tools.bench.hub import (
    alerts,
    files,
    ingest,
    machine,
    page,
    queries,
    report,
    rules,
    scrape,
    soak,
    startup,
    year,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from metricat_tools.bench.hub.report import Figure

PARTS = ("scrape", "scrape-1000", "files", "year", "ingest", "startup", "queries", "rules", "alerts", "soak", "page")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `bench hub`."""
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure (default: all)")
    parser.add_argument("--minutes", type=float, default=5, help="minutes of each scrape part (default %(default)s)")
    parser.add_argument(
        "--users", type=int, default=100, help="number of users of the part queries (default %(default)s)"
    )
    parser.add_argument(
        "--pause", type=float, default=10, help="mean seconds between the requests of a user (default %(default)s)"
    )
    parser.add_argument("--hours", type=int, default=24, help="simulated hours of the part soak (default %(default)s)")
    parser.add_argument("--nodes", type=int, default=20, help="number of nodes of the part soak (default %(default)s)")
    parser.add_argument("--write", action="store_true", help=f"write the figures to {report.PAGE.name}")


def bench(chosen: argparse.Namespace) -> None:
    """Run the chosen parts, each on new data directories, and print the figures of each."""
    for part in chosen.part:
        print(f"measuring {part}", file=sys.stderr)
        figures = _measure(part, chosen)
        text = f"{report.table(figures)}\n\n{machine.describe()}."
        print(f"{text}\n", flush=True)
        if chosen.write:
            report.write_section(report.PAGE, part, text)


def _measure(part: str, chosen: argparse.Namespace) -> list[Figure]:
    seconds = round(chosen.minutes * 60)
    parts: dict[str, Callable[[Path], list[Figure]]] = {
        "scrape": lambda folder: scrape.measure(folder, 100, 10, seconds),
        "scrape-1000": lambda folder: scrape.measure(folder, 1000, 60, max(seconds, 120)),
        "files": lambda folder: files.measure(folder, 12),
        "year": lambda _: year.measure(26, 61),
        "ingest": ingest.measure,
        "startup": lambda folder: startup.measure(folder, 60),
        "queries": lambda _: queries.measure(chosen.users, chosen.pause, seconds),
        "rules": rules.measure,
        "alerts": lambda folder: alerts.measure(folder, 10, 10_000),
        "page": page.measure,
        "soak": lambda folder: soak.measure(folder, chosen.nodes, chosen.hours),
    }
    with _scratch() as folder:
        return parts[part](folder)


@contextmanager
def _scratch() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="metricat-bench-hub-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)
