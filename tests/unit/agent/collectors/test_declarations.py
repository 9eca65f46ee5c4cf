"""Declarations of the collectors: valid names, no duplicates, no undeclared families."""

from __future__ import annotations

import importlib
import io
import pkgutil
import re
from collections import Counter
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Any

import pytest

from metricat_agent import collectors
from metricat_agent.collectors import Collector, Filter, portable
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config import settings
from metricat_agent.push import metrics as push
from metricat_agent.scrape.registry import FAMILIES
from metricat_tools.generate import agent_metrics
from support.paths import DOCS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_agent.exposition.model import Family
    from metricat_agent.host.hostfs import Host

ALL = [
    *(family for collector in COLLECTORS.values() for family in collector.families),
    *FAMILIES,
    *push.FAMILIES,
]


def test_every_collector_is_in_the_catalog() -> None:
    for module in pkgutil.iter_modules(collectors.__path__, f"{collectors.__name__}."):
        importlib.import_module(module.name)
    declared = {one for one in Collector.__subclasses__() if one.__module__ != portable.__name__}
    assert {one for one in declared if one.__module__.startswith(collectors.__name__)} == set(COLLECTORS.values())


def test_no_family_is_declared_twice() -> None:
    names = Counter(family.name for family in ALL)
    assert {name for name, count in names.items() if count > 1} == {"node_cpu_frequency_hertz"}, (
        "of cpu or of cpufreq, never of both"
    )


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.name)
def test_names_follow_the_conventions_of_prometheus(family: Family) -> None:
    ours = family not in COLLECTORS["probe"].families  # the others are named as blackbox_exporter names them
    assert re.fullmatch(r"(node|metricat)_[a-zA-Z0-9_]+" if ours else r"(probe|metricat_probe)_[a-z_]+", family.name)
    assert all(re.fullmatch(r"[a-z_]+", label) for label in family.labels)
    if family.kind != "untyped" and not family.name.startswith("node_memory_"):
        assert family.name.endswith("_total") == (family.kind == "counter")
    assert family.help.endswith("."), "a sentence"


@pytest.mark.parametrize("name", sorted(set(COLLECTORS) - {"agent", "probe", "processes"}))
def test_collectors_expose_only_declared_families(name: str, merged_host: Host) -> None:
    """Some collectors also make families from the kernel's names. The others read no recorded files."""
    exposed = {family.name for family, samples in COLLECTORS[name](merged_host).collect() if samples}
    undeclared = exposed - {family.name for family in COLLECTORS[name].families}
    assert exposed, "the recorded hosts have files for every collector"
    assert bool(undeclared) == (name in {"bcachefs", "hwmon", "meminfo", "zfs"})


class Recorder(dict[str, Any]):
    """A mapping that records which of its keys are read."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.read = set[str]()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.read.add(key)
        return super().get(key, default)


@pytest.mark.parametrize("name", sorted(name for name, kind in COLLECTORS.items() if kind.options or kind.filter_flags))
def test_collectors_read_every_option_and_filter_that_they_declare(name: str, merged_host: Host) -> None:
    kind = COLLECTORS[name]
    settings = Recorder({option.name: option.parse(option.default) for option in kind.options})
    filters = Recorder({flags.exclude: Filter() for flags in kind.filter_flags})
    kind(merged_host, filters, settings).collect()
    assert (settings.read, filters.read) == (set(settings), set(filters))


def test_metric_names_end_in_base_units() -> None:
    units = {family.name: family.unit for family in ALL}
    assert units["node_cpu_seconds_total"] == "seconds"
    assert units["node_filesystem_size_bytes"] == "bytes"
    assert units["node_load1"] == ""


def test_reference_page_matches_the_declarations() -> None:
    page = DOCS / "reference" / "agent-metrics.md"
    assert page.read_text() == agent_metrics.page(COLLECTORS), "run: make generate"


def test_page_of_flags_lists_every_general_flag() -> None:
    page = (DOCS / "reference" / "agent.md").read_text()
    flags = set(re.findall(r"--[\w.-]+", parser_help()))
    general = {flag for flag in flags if not re.match(r"--(no-)?collector\.[a-z]+", flag)}
    assert {flag for flag in general if flag not in page} == set()


def parser_help() -> str:
    output = io.StringIO()
    with redirect_stdout(output), pytest.raises(SystemExit):
        settings.parse(["--help"], {}, COLLECTORS)
    return output.getvalue()
