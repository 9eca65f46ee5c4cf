"""Files of other programs: usable files are exposed, unusable ones are logged, and they do not affect each other."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain

from metricat_agent.collectors.textfile import TextFiles
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prometheus_client import Metric

    from metricat_agent.exposition.writer import Format
    from unit.agent.conftest import Scrape

FORMS: tuple[Format, ...] = ("text", "openmetrics")


def openmetrics(page: str) -> list[Metric]:
    return list(text_string_to_metric_families(page))  # type: ignore[no-untyped-call]


def registry(*directories: Path | str) -> Registry:
    return Registry([TextFiles(Host(), None, {"directory": tuple(map(str, directories))})])


def test_family_may_span_several_files(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    for name, labels in (("a", 'job="a"'), ("b", 'job="b",zone="z"')):
        (tmp_path / f"{name}.prom").write_text(f"# TYPE backup_ok gauge\nbackup_ok{{{labels}}} 1\n")
    scrape = scrape_of(registry(tmp_path).scrape())
    assert scrape.get("backup_ok", job="a", zone="") == 1
    assert scrape.get("backup_ok", job="b", zone="z") == 1
    assert scrape.get("node_textfile_scrape_error") == 0


def test_unusable_files_are_logged_once(
    tmp_path: Path, scrape_of: Callable[[str], Scrape], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "good.prom").write_text("good 1\n")
    (tmp_path / "help.prom").write_text('# HELP good Another.\ngood{a="b"} 2\n')
    (tmp_path / "same.prom").write_text("good 3\n")
    (tmp_path / "bad.prom").write_text("no line of it\n")
    os.mkfifo(tmp_path / "pipe.prom")
    served = registry(tmp_path / "missing", tmp_path)
    for _ in range(2):
        scrape = scrape_of(served.scrape())
        assert scrape.of("good") == {(): 1}
        assert scrape.get("node_textfile_scrape_error") == 1
        assert scrape.get("node_scrape_collector_success", collector="textfile") == 1
    logged = [record.getMessage() for record in caplog.records]
    assert sorted(logged) == sorted(
        f"textfile: {tmp_path}/{name} cannot be used: {why}"
        for name, why in (
            ("missing", "No such file or directory"),
            ("bad.prom", "no line of it"),
            ("help.prom", "good has another type or help text in another file"),
            ("pipe.prom", "not a regular file"),
            ("same.prom", "good has a series that is also in another file"),
        )
    )


def test_directory_may_be_a_pattern(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.prom").write_text(f"{name} 1\n")
    scrape = scrape_of(registry(tmp_path / "*").scrape())
    assert {"one", "two"} <= scrape.names
    assert scrape.get("node_textfile_scrape_error") == 0
    assert scrape_of(registry(tmp_path / "three*").scrape()).get("node_textfile_scrape_error") == 1


HISTOGRAM = """# HELP wait Time to wait.
# TYPE wait histogram
wait_bucket{job="a",le="0.5"} 1
wait_bucket{job="a",le="10"} 3
wait_bucket{job="a",le="+Inf"} 4
wait_sum{job="a"} 31.5
wait_count{job="a"} 4
# TYPE size summary
size{quantile="0.5"} 100
size{quantile="0.99"} 900
size_sum 5000
size_count 12
"""


def test_histograms_and_summaries_keep_their_types(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text(HISTOGRAM)
    (tmp_path / "b.prom").write_text(
        "# HELP wait Time to wait.\n# TYPE wait histogram\n"
        'wait_count{job="b",zone="z"} 2\nwait_bucket{job="b",zone="z",le="+Inf"} 2\nwait_sum{job="b",zone="z"} 3\n'
    )
    pages = {fmt: registry(tmp_path).page(fmt).plain.decode() for fmt in FORMS}
    for fmt, read in zip(FORMS, (plain, openmetrics), strict=True):
        found = {family.name: family for family in read(pages[fmt])}
        assert (found["wait"].type, found["size"].type) == ("histogram", "summary")
        assert found["wait"].documentation == "Time to wait."
        waits = {
            (sample.name, sample.labels["job"], float(sample.labels.get("le", 0))): sample.value
            for sample in found["wait"].samples
        }
        assert waits == {
            ("wait_bucket", "a", 0.5): 1,
            ("wait_bucket", "a", 10): 3,
            ("wait_bucket", "a", math.inf): 4,
            ("wait_sum", "a", 0): 31.5,
            ("wait_count", "a", 0): 4,
            ("wait_bucket", "b", math.inf): 2,
            ("wait_sum", "b", 0): 3,
            ("wait_count", "b", 0): 2,
        }
        assert [sample.value for sample in found["size"].samples] == [100, 900, 5000, 12]
    assert 'wait_bucket{job="a",le="10"} 3' in pages["text"], "as the file has it"
    assert 'wait_bucket{job="a",le="10.0"} 3' in pages["openmetrics"]


@pytest.mark.parametrize(
    "invalid",
    [
        HISTOGRAM.replace('wait_bucket{job="a",le="+Inf"} 4\n', ""),
        HISTOGRAM.replace('wait_sum{job="a"} 31.5\n', ""),
        HISTOGRAM.replace('le="10"} 3', 'le="10"} 0'),
        HISTOGRAM.replace('wait_count{job="a"} 4', 'wait_count{job="a"} 5'),
        HISTOGRAM.replace('le="10"', 'le="ten"'),
        HISTOGRAM.replace('le="10"', 'le="0.50"'),
        HISTOGRAM.replace('wait_bucket{job="a",le="10"} 3', 'wait_bucket{job="b",le="10"} 3'),
    ],
)
def test_invalid_histogram_is_exposed_as_separate_untyped_families(
    tmp_path: Path, invalid: str, scrape_of: Callable[[str], Scrape]
) -> None:
    (tmp_path / "a.prom").write_text(invalid)
    page = registry(tmp_path).page("openmetrics").plain.decode()
    kinds = {family.name: family.type for family in openmetrics(page)}
    assert (kinds["wait_bucket"], kinds.get("wait")) == ("unknown", None)
    assert scrape_of(registry(tmp_path).scrape()).of("wait_bucket")


def test_gauge_and_counter_of_the_same_name_give_valid_openmetrics(tmp_path: Path) -> None:
    (tmp_path / "x.prom").write_text("# TYPE foo gauge\nfoo 1\n# TYPE foo_total counter\nfoo_total 2\n")
    page = registry(tmp_path).page("openmetrics").plain.decode()
    found = {sample.name: sample.value for family in openmetrics(page) for sample in family.samples}
    assert (found["foo"], found["foo_total"]) == (1, 2)
