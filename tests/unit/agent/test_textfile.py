"""Files of other programs: what can be used is served, what cannot is named, and neither stops the other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics

from metricat_agent.collectors.textfile import TextFiles
from metricat_agent.host import Host
from metricat_agent.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from .conftest import Scrape


def registry(*directories: Path | str) -> Registry:
    return Registry([TextFiles(Host(), None, {"directory": tuple(map(str, directories))})])


def test_a_family_may_be_spread_over_files(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    for name, labels in (("a", 'job="a"'), ("b", 'job="b",zone="z"')):
        (tmp_path / f"{name}.prom").write_text(f"# TYPE backup_ok gauge\nbackup_ok{{{labels}}} 1\n")
    scrape = scrape_of(registry(tmp_path).scrape())
    assert scrape.get("backup_ok", job="a", zone="") == 1
    assert scrape.get("backup_ok", job="b", zone="z") == 1
    assert scrape.get("node_textfile_scrape_error") == 0


def test_what_cannot_be_used_is_named_once(
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
            ("help.prom", "good has another type or text in another file"),
            ("pipe.prom", "no regular file"),
            ("same.prom", "good has a series that is in another file too"),
        )
    )


def test_a_directory_may_be_a_pattern(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.prom").write_text(f"{name} 1\n")
    scrape = scrape_of(registry(tmp_path / "*").scrape())
    assert {"one", "two"} <= scrape.names
    assert scrape.get("node_textfile_scrape_error") == 0
    assert scrape_of(registry(tmp_path / "three*").scrape()).get("node_textfile_scrape_error") == 1


def test_a_counter_beside_a_gauge_of_its_name_is_valid_openmetrics(tmp_path: Path) -> None:
    (tmp_path / "x.prom").write_text("# TYPE foo gauge\nfoo 1\n# TYPE foo_total counter\nfoo_total 2\n")
    page = registry(tmp_path).page("openmetrics").plain.decode()
    found = {sample.name: sample.value for family in openmetrics(page) for sample in family.samples}  # type: ignore[no-untyped-call]
    assert (found["foo"], found["foo_total"]) == (1, 2)
