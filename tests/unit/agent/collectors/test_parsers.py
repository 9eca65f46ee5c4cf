"""Parsers of corrupt files return metrics that the writer accepts, or raise. They never hang."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from metricat_agent.collectors import filefd, loadavg, stat
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.exposition.model import counter, gauge
from metricat_agent.exposition.writer import Writer
from metricat_agent.host.hostfs import Host
from metricat_agent.host.mountinfo import visible_mounts
from metricat_agent.scrape.registry import Registry
from support.kernel_files import PARSERS
from support.paths import RECORDED_HOST

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape

RECORDED = RECORDED_HOST

WITHOUT_TABLE = {
    *("bonding", "cpufreq", "dmi", "dmmultipath", "edac", "entropy", "fibrechannel", "hwmon", "infiniband"),
    *(
        "kernel_hung",
        "netclass",
        "nvme",
        "powersupplyclass",
        "rapl",
        "selinux",
        "tapestats",
        "thermal_zone",
        "watchdog",
    ),
    *("agent", "filesystem", "probe", "processes", "time", "timex", "uname"),
}
"""Collectors of files with one value each, and of results of system calls. `test_mutated_hosts` changes their files."""


def test_every_collector_of_a_table_has_a_parser_here() -> None:
    with_parser = {name.partition("-")[0] for name in PARSERS}
    assert with_parser & WITHOUT_TABLE == set()
    assert with_parser | WITHOUT_TABLE == set(COLLECTORS)


@pytest.mark.parametrize("name", sorted(PARSERS))
@given(data=st.data())
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_corrupt_file_returns_metrics_or_raises(name: str, data: st.DataObject) -> None:
    path, parse = PARSERS[name]
    text = (RECORDED / path).read_text()
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        gone = data.draw(st.integers(0, 30))
        text = text[:at] + data.draw(st.text(alphabet='0 -:\n\t{}"\\=%aé\udcff[]/()', max_size=8)) + text[at + gone :]
    try:
        metrics = parse(text)
    except (ValueError, IndexError, KeyError):
        return
    assert Writer().text(metrics).encode() is not None


@given(st.text(max_size=300))
def test_parser_of_mounts_raises_only_value_index_and_key_errors(text: str) -> None:
    try:
        visible_mounts(text)
    except (ValueError, IndexError, KeyError):
        return


def test_corrupt_file_fails_only_its_collector(scrape_of: Callable[[str], Scrape], tmp_path: Path) -> None:
    for name, text in (("loadavg", "no numbers here"), ("stat", (RECORDED / "proc/stat").read_text())):
        (tmp_path / name).write_text(text)
    host = Host(procfs=str(tmp_path))
    scrape = scrape_of(Registry([loadavg.LoadAverage(host), stat.Stat(host), filefd.FileDescriptors(host)]).scrape())
    assert scrape.of("node_scrape_collector_success") == {("loadavg",): 0, ("stat",): 1}, "no failure without a file"
    assert scrape.get("node_forks_total") == 48213


class Reference:
    """Collector of prometheus_client that returns the given families."""

    def __init__(self, rows: Iterable[tuple[str, str, list[tuple[str, float]]]]) -> None:
        self.rows = list(rows)

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        for name, kind, samples in self.rows:
            make = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
            family = make(name, f'Help of "{name}" \\ and\nmore.', labels=["device"])
            for label, value in samples:
                family.add_metric([label], value)
            yield family


TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["counter", "gauge"]),
        st.dictionaries(TEXT, st.floats() | st.integers(0, 2**63), min_size=1, max_size=4),
    ),
    max_size=4,
)


@given(ROWS)
def test_writer_and_prometheus_client_give_the_same_page(rows: list[tuple[str, dict[str, float]]]) -> None:
    named = [
        (f"node_{at}{'_total' * (kind == 'counter')}", kind, list(found.items()))
        for at, (kind, found) in enumerate(rows)
    ]
    registry = CollectorRegistry()
    registry.register(Reference(named))
    metrics: Metrics = [
        (
            (counter if kind == "counter" else gauge)(
                name, f'Help of "{name.removesuffix("_total")}" \\ and\nmore.', "device"
            ),
            [((label,), value) for label, value in samples],
        )
        for name, kind, samples in named
    ]
    expected = read(generate_latest(registry).decode())
    assert read(Writer().text(metrics)) == expected


def read(text: str) -> list[object]:
    return [
        (family.name, family.type, [(s.name, s.labels, repr(float(s.value))) for s in family.samples])
        for family in text_string_to_metric_families(text)
    ]
