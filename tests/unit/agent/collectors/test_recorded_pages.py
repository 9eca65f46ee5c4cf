"""A recorded tree gives a recorded page: the collectors read no other files.

`METRICAT_RECORD=1 pytest tests/unit/agent/collectors/test_recorded_pages.py` records the page again.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import parse
from metricat_agent.scrape.executor import ExecutorLimits
from metricat_agent.scrape.registry import Registry
from support.paths import FIXTURES

if TYPE_CHECKING:
    from metricat_agent.host.hostfs import Host

PAGE = FIXTURES / "host.prom"
LIVE = ("agent", "filesystem", "processes", "timex", "uname")
"""Collectors that call the kernel or read this process: no recording has their data."""


@pytest.fixture
def registry(host: Host) -> Registry:
    directory = Path(host.procfs).parent / "textfile"
    given = parse([f"--collector.textfile.directory={directory}", "--collector.tcpstat"], {}, COLLECTORS)
    chosen = {name: one for name, one in given.collectors.items() if name not in LIVE}
    made = (COLLECTORS[name](host, one.filters, one.options) for name, one in chosen.items())
    return Registry(made, limits=ExecutorLimits(timeout=60))  # only the content matters


def without_changing_lines(text: str) -> str:
    """Remove the lines that differ at every scrape."""
    changing = (
        r"node_time_seconds|node_scrape_collector_duration|metricat_collector_last_success|node_textfile_mtime"
        r"|(# \w+ )?metricat_collector_skipped"
    )
    return "".join(line for line in text.splitlines(keepends=True) if not re.match(changing, line))


def test_recorded_tree_gives_the_recorded_page(registry: Registry) -> None:
    found = without_changing_lines(registry.scrape())
    if os.environ.get("METRICAT_RECORD"):
        PAGE.write_text(found)
    assert found == PAGE.read_text()
    assert without_changing_lines(registry.scrape()) == found, "the second scrape, from kept descriptors, is the same"


def test_no_collector_fails_on_it(registry: Registry) -> None:
    failed = re.findall(r'success\{collector="(\w+)"\} 0', registry.scrape())
    assert failed == []


def test_both_formats_have_the_same_series(registry: Registry) -> None:
    texts = {fmt: registry.page(fmt).plain.decode() for fmt in ("text", "openmetrics")}
    assert texts["openmetrics"].endswith("# EOF\n")
    found = {
        fmt: {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in read(texts[fmt])
            for sample in family.samples
            if not re.match(r"node_time_seconds|.*duration|.*last_success_timestamp_seconds|.*skipped", sample.name)
        }
        for fmt, read in (("text", plain), ("openmetrics", openmetrics))
    }
    assert found["text"] == found["openmetrics"]
