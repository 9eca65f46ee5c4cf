"""node_exporter's own mixin: its alerts, rules and dashboards find their metrics in the agent."""

from __future__ import annotations

import re
import subprocess
import sys

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.collectors.portable import PORTABLE
from metricat_tools.binaries.golang import module_dir
from metricat_tools.binaries.table import NODE_EXPORTER

LACKING = {
    "node_systemd_service_restart_total": "asked of systemd over D-Bus; off by default in node_exporter too",
    "node_systemd_unit_state": "as above",
    "node_memory_compressed_bytes": "macOS only, and psutil does not report it",
    "node_memory_internal_bytes": "as above",
    "node_memory_purgeable_bytes": "as above",
}
METRIC = re.compile(r"(?<![:\w])node_(?!exporter\b)\w+(?!:)\b")
PARTS = ("alerts", "rules", "dashboards", "lib")


def expressions(text: str) -> list[set[str]]:
    """The metrics of each expression: those between |||, and those of one line."""
    blocks = text.split("|||")
    asked = [*blocks[1::2], *(line for between in blocks[::2] for line in between.splitlines())]
    return [names for names in (set(METRIC.findall(one)) for one in asked) if names]


def test_every_expression_of_the_mixin_finds_its_metrics() -> None:
    mixin = module_dir(NODE_EXPORTER.folder, NODE_EXPORTER.module) / "docs" / "node-mixin"
    page = subprocess.run(
        [sys.executable, "-m", "metricat_agent", "--once"], check=True, capture_output=True, text=True
    )
    ours = {family.name for collector in (*COLLECTORS.values(), *PORTABLE.values()) for family in collector.families}
    ours |= set(re.findall(r"^# TYPE (\S+)", page.stdout, re.MULTILINE))
    lacking: set[str] = set()
    counts = []
    for part in PARTS:
        asked = expressions("".join(file.read_text() for file in sorted((mixin / part).glob("*.libsonnet"))))
        counts.append(f"{part} {sum(names <= ours for names in asked)} of {len(asked)}")
        assert asked
        lacking |= set().union(*asked) - ours
    sys.stdout.write(f"expressions that find all their metrics: {', '.join(counts)}; lacking: {sorted(lacking)}\n")
    assert lacking == set(LACKING)
