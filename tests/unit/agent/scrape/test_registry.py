"""A failing collector loses its own series only."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Collector
from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.exposition.model import gauge, single
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.collector_metrics import DURATION, SERIES, CollectorState, collector_metrics
from metricat_agent.scrape.registry import Registry
from support.exposition import FORMATS, samples

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.exposition.layout import Format
    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape

GOOD = gauge("node_good", "Good.")
SERIES_GAUGE = gauge("metricat_collector_series", "Of the registry.")


class Good(Collector):
    name = "good"
    summary = "works"
    families = (GOOD,)

    def collect(self) -> Metrics:
        return [single(GOOD, 1)]


class Empty(Collector):
    name = "empty"
    summary = "finds nothing"
    families = ()

    def collect(self) -> Metrics:
        return []


class Fickle(Collector):
    name = "fickle"
    summary = "fails or works as a test sets it"
    families = ()
    why: str | None = "no such disk"

    def collect(self) -> Metrics:
        if self.why:
            raise ZeroDivisionError(self.why)
        return []


class Missing(Collector):
    name = "missing"
    summary = "finds no file"
    families = ()

    def collect(self) -> Metrics:
        raise FileNotFoundError("no such file")


class Essential(Missing):
    name = "essential"
    essential = True


def test_missing_file_fails_only_an_essential_collector(scrape_of: Callable[[str], Scrape]) -> None:
    scrape = scrape_of(Registry([Missing(Host()), Essential(Host())], detailed=True).scrape())
    assert scrape.of("node_scrape_collector_success") == {("missing",): 1, ("essential",): 0}


def test_raising_collector_is_isolated_and_counted(scrape_of: Callable[[str], Scrape]) -> None:
    ticks = iter(range(100))
    registry = Registry([Fickle(Host()), Good(Host())], clock=lambda: 1e9, timer=lambda: next(ticks), detailed=True)
    registry.scrape()
    scrape = scrape_of(registry.scrape())
    assert scrape.get("node_good") == 1
    assert scrape.of("node_scrape_collector_success") == {("fickle",): 0, ("good",): 1}
    assert scrape.of("node_scrape_collector_duration_seconds") == {("fickle",): 1, ("good",): 1}
    assert scrape.of("metricat_collector_errors_total") == {("fickle",): 2, ("good",): 0}
    assert scrape.of("metricat_collector_last_success_timestamp_seconds") == {("good",): 1e9}
    assert scrape.of("metricat_collector_series") == {("fickle",): 0, ("good",): 1}


def test_only_series_that_alerts_need_are_exposed_by_default(scrape_of: Callable[[str], Scrape]) -> None:
    fickle, empty = Fickle(Host()), Empty(Host())
    registry = Registry([fickle, empty, Good(Host())], clock=lambda: 1e9)
    fickle.why = None
    scrape = scrape_of(registry.scrape())
    assert scrape.of("node_scrape_collector_success") == {("good",): 1}
    assert {name for name in scrape.names if name.startswith("metricat_collector")} == set()
    fickle.why = "no such disk"
    for errors in (1, 2):
        scrape = scrape_of(registry.scrape())
        assert scrape.of("node_scrape_collector_success") == {("fickle",): 0, ("good",): 1}
        assert scrape.of("metricat_collector_errors_total") == {("fickle",): errors}
        assert scrape.of("metricat_collector_last_success_timestamp_seconds") == {("fickle",): 1e9}
    fickle.why = None
    scrape = scrape_of(registry.scrape())
    assert scrape.of("node_scrape_collector_success") == {("fickle",): 1, ("good",): 1}
    assert scrape.of("metricat_collector_errors_total") == {("fickle",): 2}
    assert scrape.of("metricat_collector_last_success_timestamp_seconds") == {}


def test_detailed_metrics_have_a_series_for_every_collector(scrape_of: Callable[[str], Scrape]) -> None:
    scrape = scrape_of(Registry([Empty(Host()), Good(Host())], clock=lambda: 1e9, detailed=True).scrape())
    both = {("empty",), ("good",)}
    assert set(scrape.of("node_scrape_collector_duration_seconds")) == both
    assert scrape.of("node_scrape_collector_success") == dict.fromkeys(both, 1)
    assert scrape.of("metricat_collector_errors_total") == dict.fromkeys(both, 0)
    assert scrape.of("metricat_collector_last_success_timestamp_seconds") == dict.fromkeys(both, 1e9)
    assert scrape.of("metricat_collector_series") == {("empty",): 0, ("good",): 1}


def test_durations_of_the_ten_slowest_collectors_are_exposed() -> None:
    states = [CollectorState(f"c{number:02}") for number in range(30)]
    for scrapes in range(20):
        for number, state in enumerate(states):
            state.record(1e9, number if scrapes != 10 or number else 25, 1, None)

    def timed(*, shows_all: bool = False, detailed: bool = False) -> list[str]:
        [(family, samples), *_] = collector_metrics(states, shows_all=shows_all, detailed=detailed)
        assert family is DURATION
        return [name for (name,), _ in samples]

    assert timed() == [f"c{number}" for number in range(20, 30)], "one slow scrape does not change the selection"
    assert timed(shows_all=True) == timed(detailed=True) == [f"c{number:02}" for number in range(30)]
    states[19].record(1e9, 29, 1, None)
    assert states[19].mean_seconds > states[20].mean_seconds
    assert "c19" not in timed(), "a collector that is a little slower replaces none"
    states[3].record(1e9, 1000, 0, "timed out")
    assert "c03" in timed(), "a collector that hangs is among the slowest at once"


class Fixed(Collector):
    name = "fixed"
    summary = "returns the metrics that it was given"
    families = ()
    given: Metrics

    def collect(self) -> Metrics:
        return self.given


LABELED = gauge("node_labeled", "Two labels.", "device", "mode")


@pytest.mark.parametrize(
    "bad",
    [
        (LABELED, [(("sda",), 1)]),
        (LABELED, [(("sda", None), 1)]),
        (GOOD, [((), None)]),
        (GOOD, [((), "1")]),
        (GOOD, [((), 1j)]),
        (GOOD, [((), 10**5000)]),
        (GOOD, None),
        ("node_good", [((), 1)]),
        None,
    ],
    ids=["few", "odd", "none", "text", "complex", "endless", "no-samples", "no-family", "no-metric"],
)
@pytest.mark.parametrize("fmt", ["text", "openmetrics"])
def test_invalid_sample_fails_its_own_collector_only(
    bad: object, fmt: Format, scrape_of: Callable[[str], Scrape]
) -> None:
    fixed = Fixed(Host())
    fixed.given = [(LABELED, [(("sda", "read"), 1)]), bad]  # type: ignore[list-item] # an invalid metric
    registry = Registry([fixed, Good(Host())], detailed=True)
    for _ in range(2):
        scrape = scrape_of(registry.page(fmt).plain.decode())
    assert scrape.of("node_scrape_collector_success") == {("fixed",): 0, ("good",): 1}
    assert scrape.of("metricat_collector_series") == {("fixed",): 0, ("good",): 1}
    assert scrape.get("metricat_collector_errors_total", collector="fixed") == 2
    assert scrape.get("node_good") == 1
    assert not scrape.of("node_labeled"), "a failed collector exposes none of its series"
    fixed.given = []
    assert scrape_of(registry.page(fmt).plain.decode()).get("node_scrape_collector_success", collector="fixed") == 1


class Yielding(Fickle):
    """Exposes families of its own, of another collector, and of the registry."""

    name = "yielding"
    summary = "yields to the others"
    yields_to_others = True
    why: str | None = None

    def collect(self) -> Metrics:
        super().collect()
        return [(GOOD, [((), 2)]), (gauge("node_extra", "Extra."), [((), 3)]), (SERIES, [(("extra",), 4)])]


def test_collector_that_yields_loses_families_that_others_expose(scrape_of: Callable[[str], Scrape]) -> None:
    scrape = scrape_of(Registry([Yielding(Host()), Good(Host())], detailed=True).scrape())
    assert scrape.get("node_good") == 1
    assert scrape.get("node_extra") == 3
    assert scrape.of("metricat_collector_series") == {("good",): 1, ("yielding",): 1}


class Other(Good):
    name = "other"

    def collect(self) -> Metrics:
        return [(LABELED, [(("sda", "read"), 1)]), single(GOOD, 2), single(SERIES_GAUGE, 3)]


@pytest.mark.parametrize("fmt", FORMATS)
def test_first_of_two_collectors_keeps_a_family_that_both_have(fmt: Format, caplog: pytest.LogCaptureFixture) -> None:
    registry = Registry([Good(Host()), Other(Host())])
    skipped = 0
    for selected in ((), ("other",), ("other", "good"), ()):
        found = samples(registry.page(fmt, selected).plain.decode(), fmt)
        values = {name: value for (name, _), value in found.items()}
        assert values["node_good"] == (2 if selected == ("other",) else 1)
        assert values["node_labeled"] == 1
        assert values.get("metricat_collector_series") is None
        skipped += 1 if selected == ("other",) else 2
        labels = frozenset({("collector", "other"), ("reason", "duplicate")})
        assert found["metricat_collector_skipped_total", labels] == skipped
    [message] = [record.getMessage() for record in caplog.records]
    assert message == (
        "collector other omits data (reason: duplicate): node_good (1 series), metricat_collector_series (1 series)"
    )


def test_failing_collector_that_yields_reports_its_own_error(caplog: pytest.LogCaptureFixture) -> None:
    yielding = Yielding(Host())
    yielding.why = "no such file"
    Registry([yielding, Good(Host())]).scrape()
    assert "collector yielding fails: ZeroDivisionError: no such file" in caplog.text


def test_bytes_that_are_not_utf8_are_escaped(scrape_of: Callable[[str], Scrape]) -> None:
    fixed = Fixed(Host())
    fixed.given = [(gauge("node_odd", "Caf\udce9.", "file"), [(("\udce9",), 1)])]
    scrape = scrape_of(Registry([fixed]).page().plain.decode())
    assert scrape.of("node_odd") == {("\\xe9",): 1}
    assert "# HELP node_odd Caf\\\\xe9." in scrape.text


class Skipping(Collector):
    name = "skipping"
    summary = "leaves out what a test names"
    families = ()
    given: tuple[tuple[str, str], ...] = ()
    why: str | None = None

    def collect(self) -> Metrics:
        for reason, part in self.given:
            self.host.skips.add(reason, part, "the content")
        if self.why:
            raise ValueError(self.why)
        return []


def test_parts_left_out_are_summed_over_scrapes_and_named_once(
    scrape_of: Callable[[str], Scrape], caplog: pytest.LogCaptureFixture
) -> None:
    skipping = Skipping(Host())
    registry = Registry([skipping, Good(Host())])
    assert not scrape_of(registry.scrape()).of("metricat_collector_skipped_total")
    skipping.given = (("unparsable", "a"), ("unparsable", "b"), ("denied", "a"), ("denied", "a"))
    registry.scrape()
    skipping.why = "and fails"
    scrape = scrape_of(registry.scrape())
    assert scrape.of("metricat_collector_skipped_total") == {("skipping", "unparsable"): 4, ("skipping", "denied"): 2}
    lines = [record.getMessage() for record in caplog.records if "omits data" in record.getMessage()]
    assert sorted(lines) == [
        "collector skipping omits data (reason: denied): a (the content)",
        "collector skipping omits data (reason: unparsable): a (the content), b (the content)",
    ]


def test_log_names_a_bounded_number_of_parts(caplog: pytest.LogCaptureFixture) -> None:
    skipping = Skipping(Host())
    registry = Registry([skipping])
    for scrape in range(50):
        skipping.given = tuple(("io_error", f"device {scrape} {number}") for number in range(20))
        registry.scrape()
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10, "of the first 200 parts"
    assert all(line.endswith(" and 15 more") for line in lines)


def test_failure_is_logged_only_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    fickle = Fickle(Host())
    registry = Registry([fickle])
    for why in ("no such disk", "no such disk", "worse", None, None, "no such disk"):
        fickle.why = why
        registry.scrape()
    assert [record.getMessage() for record in caplog.records] == [
        "collector fickle fails: ZeroDivisionError: no such disk",
        "collector fickle fails: ZeroDivisionError: worse",
        "collector fickle works again",
        "collector fickle fails: ZeroDivisionError: no such disk",
    ]


def test_concurrent_scrapes_of_all_collectors_succeed(scrape_of: Callable[[str], Scrape]) -> None:
    registry = Registry(collector(Host()) for collector in COLLECTORS.values())
    texts: list[str] = []
    threads = [threading.Thread(target=lambda: texts.append(registry.scrape())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 8
    for text in texts:
        assert scrape_of(text).of("node_scrape_collector_success")["cpu",] == 1
