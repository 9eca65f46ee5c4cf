"""Files of other programs: usable files are exposed, unusable ones are logged, and they do not affect each other."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain

from metricat_agent.collectors.stat import Stat
from metricat_agent.collectors.textfile import TextFiles
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry
from support.exposition import check, check_with_promtool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from prometheus_client import Metric

    from metricat_agent.exposition.layout import Format
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
    (tmp_path / "good.prom").write_text("# HELP good One.\ngood 1\n")
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
            ("bad.prom", "'no line of it' is not a sample in the text format"),
            ("help.prom", "good has a different type or help text in another file"),
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


def pages(served: Registry) -> dict[str, list[float]]:
    """Return the values of the files by metric name, from a page that every parser accepts."""
    text, openmetrics = (served.page(fmt).plain.decode() for fmt in FORMS)
    check_with_promtool(text)
    values: dict[str, list[float]] = {}
    for (name, _), value in check(text, openmetrics).items():
        values.setdefault(name, []).append(value)
    return {name: sorted(found) for name, found in values.items() if not name.startswith(("node_scrape_", "metricat_"))}


@pytest.mark.parametrize(
    "odd", ["\u2028", "\u2029", "\x85", "\v", "\f", "\x1c", "\x1d", "\x1e", "\r", "\xa0", "\u3000"]
)
def test_only_line_feeds_end_lines_and_only_spaces_and_tabs_are_blanks(tmp_path: Path, odd: str) -> None:
    (tmp_path / "a.prom").write_bytes(
        f'# HELP a A{odd}# HELP b\n# TYPE a gauge\na{{x="1{odd}2"}} 1\na{{x="{odd}"}} 2\na\t3\t\n'.encode()
    )
    found = pages(registry(tmp_path))
    assert (found["a"], found["node_textfile_scrape_error"]) == ([1, 2, 3], [0])


@pytest.mark.parametrize(
    "line", ["a\u20281", "a\xa01", 'a{x="1"\u3000} 1', "\x85", "a 1\v", "a 1\r\r", "a\r1", "ä 1", "a{ä='1'} 1"]
)
def test_other_blanks_and_letters_make_a_file_unusable(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.prom").write_bytes(f"good 1\n{line}\n".encode())
    assert pages(registry(tmp_path)) == {"node_textfile_scrape_error": [1]}


def test_lines_may_end_with_carriage_return_and_line_feed(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_bytes(b'# HELP a Text.\r\n# TYPE a counter\r\na{x="y"} 1\r\n\r\nb 2\r\n')
    found = pages(registry(tmp_path))
    assert (found["a"], found["b"]) == ([1], [2])
    assert "# TYPE a counter\n" in registry(tmp_path).scrape()


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("-1.5e3", -1500),
        ("+.5", 0.5),
        ("1.", 1),
        ("+Inf", math.inf),
        ("-inf", -math.inf),
        ("infinity", math.inf),
    ],
)
def test_numbers_are_read_as_prometheus_reads_them(tmp_path: Path, text: str, number: float) -> None:
    (tmp_path / "a.prom").write_text(f"a {text}\nb NaN\n")
    found = pages(registry(tmp_path))
    assert found["a"] == [number]
    assert math.isnan(found["b"][0])


@pytest.mark.parametrize(
    "text",
    ["1_000", "\u0661", "\uff11", "0x10", "1e400", "-1e999", "+nan", "1 1700000000000", "", "1e", "infinit", "--1"],
)
def test_other_numbers_and_timestamps_make_a_file_unusable(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.prom").write_text(f"a {text}\n")
    assert pages(registry(tmp_path)) == {"node_textfile_scrape_error": [1]}


def test_help_and_type_of_one_file_apply_to_the_other(tmp_path: Path) -> None:
    for names in (("a", "b"), ("b", "a")):
        (tmp_path / f"{names[0]}.prom").write_text('# HELP up Text.\n# TYPE up gauge\nup{k="a"} 1\n')
        (tmp_path / f"{names[1]}.prom").write_text('up{k="b"} 2\n')
        found = pages(registry(tmp_path))
        assert (found["up"], found["node_textfile_scrape_error"]) == ([1, 2], [0])
        assert "# HELP up Text.\n# TYPE up gauge\n" in registry(tmp_path).scrape()


def test_help_and_type_of_a_family_may_be_in_different_files(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text('# HELP up_total Text.\nup_total{k="a"} 1\n')
    (tmp_path / "b.prom").write_text('# TYPE up_total counter\nup_total{k="b"} 2\n')
    assert pages(registry(tmp_path))["up_total"] == [1, 2]
    assert "# HELP up_total Text.\n# TYPE up_total counter\n" in registry(tmp_path).scrape()


def test_type_of_a_histogram_in_one_file_applies_to_both_files(tmp_path: Path) -> None:
    lines = 'up_bucket{{k="{0}",le="+Inf"}} 1\nup_sum{{k="{0}"}} 1\nup_count{{k="{0}"}} 1\n'
    (tmp_path / "a.prom").write_text(lines.format("a"))
    (tmp_path / "b.prom").write_text("# TYPE up histogram\n" + lines.format("b"))
    assert pages(registry(tmp_path)) | {"node_textfile_mtime_seconds": []} == {
        **{name: [1, 1] for name in ("up_bucket", "up_sum", "up_count")},
        "node_textfile_scrape_error": [0],
        "node_textfile_mtime_seconds": [],
    }
    assert registry(tmp_path).scrape().count("# TYPE up") == 1


@pytest.mark.parametrize("other", ["gauge", "histogram", "untyped"])
def test_two_files_with_different_types_are_a_contradiction(
    tmp_path: Path, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.prom").write_text('# TYPE up counter\nup{k="a"} 1\n')
    (tmp_path / "b.prom").write_text(f'# TYPE up {other}\nup{{k="b"}} 2\n')
    found = pages(registry(tmp_path))
    assert (found["up"], found["node_textfile_scrape_error"]) == ([1], [1])
    assert f"{tmp_path}/b.prom cannot be used: up has a different type or help text in another file" in caplog.text


@pytest.mark.parametrize("suffix", ["", "_bucket", "_sum", "_count", "_created"])
def test_first_of_two_families_with_one_name_counts(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    whole = '# TYPE up histogram\nup_bucket{le="+Inf"} 1\nup_sum 1\nup_count 1\n'
    part = f"# TYPE up{suffix} gauge\nup{suffix} 7\n"
    (tmp_path / "a.prom").write_text(whole)
    (tmp_path / "b.prom").write_text(part)
    assert {name: values for name, values in pages(registry(tmp_path)).items() if name.startswith("up")} == {
        "up_bucket": [1],
        "up_sum": [1],
        "up_count": [1],
    }
    (tmp_path / "a.prom").write_text(part)
    (tmp_path / "b.prom").write_text(whole)
    found = pages(registry(tmp_path))
    assert {name: values for name, values in found.items() if name.startswith("up")} == {f"up{suffix}": [7]}
    assert found["node_textfile_scrape_error"] == [1]
    assert "b.prom cannot be used: up has " in caplog.text


def test_our_families_keep_their_names_and_types(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "stat").write_text("ctxt 100\nprocesses 50\nprocs_running 1\n")
    (tmp_path / "a.prom").write_text(
        "# TYPE node_forks gauge\nnode_forks 5\n"  # the name of node_forks_total in OpenMetrics
        "# TYPE node_procs_running summary\nnode_procs_running_sum 1\nnode_procs_running_count 1\n"
        "node_context_switches_created 3\nnode_scrape_collector_success 4\nmetricat_collector_errors 5\nown 6\n"
        "# TYPE node_procs_running_total counter\nnode_procs_running_total 7\n"
    )
    host = Host(procfs=str(tmp_path))
    served = Registry([TextFiles(host, None, {"directory": (str(tmp_path),)}), Stat(host)])
    for _ in range(3):
        found = pages(served)
        assert {name: values for name, values in found.items() if "textfile" not in name} == {
            "node_context_switches_total": [100],
            "node_forks_total": [50],
            "node_procs_running": [1],
            "node_procs_running_total": [7],
            "own": [6],
        }
    assert "# TYPE node_forks counter\n" in served.page("openmetrics").plain.decode()
    [message] = [record.getMessage() for record in caplog.records]
    assert message == (
        "collector textfile omits data (reason: duplicate): node_procs_running (2 series), node_forks (1 series), "
        "node_context_switches_created (1 series), node_scrape_collector_success (1 series), "
        "metricat_collector_errors (1 series)"
    )
    assert 'metricat_collector_skipped_total{collector="textfile",reason="duplicate"} 48' in served.scrape()


def test_changed_files_are_parsed_again(tmp_path: Path) -> None:
    served = registry(tmp_path)
    for number in (1, 2):
        (tmp_path / "a.prom").write_text(f"a {number}\n")
        assert pages(served)["a"] == [number]
    (tmp_path / "a.prom").unlink()
    assert "a" not in pages(served)
