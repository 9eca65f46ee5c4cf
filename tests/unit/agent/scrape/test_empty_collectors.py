"""Collectors that found nothing are skipped, but a device that appears is noticed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import Metrics, gauge, single
from metricat_agent.host.hostfs import Host
from metricat_agent.host.uevents import UeventCount
from metricat_agent.scrape.empty_collectors import EmptyCollectors, SkipLimits
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unit.agent.conftest import Scrape

DISK = gauge("node_disk", "A disk.")
NAMES = [f"c{number}" for number in range(25)]


class Disks(Collector):
    """Exposes one series if its disk exists."""

    name = "disks"
    summary = "a disk, if there is one"
    families = (DISK,)
    exists = False
    why = ""
    calls = 0

    def collect(self) -> Metrics:
        self.calls += 1
        if self.why:
            raise OSError(self.why)
        return [single(DISK, 1)] if self.exists else []


def runs(empty: EmptyCollectors, names: list[str] = NAMES) -> list[str]:
    """Return the collectors that run at a scrape in which all find nothing."""
    found, token = empty.begin(names)
    empty.record([], found, token)
    return found


def test_empty_collector_runs_only_after_the_limit_of_scrapes() -> None:
    empty = EmptyCollectors(lambda: b"7", SkipLimits(scrapes=4), clock=lambda: 0)
    assert runs(empty) == NAMES
    counts = dict.fromkeys(NAMES, 0)
    for _ in range(50):
        now = runs(empty)
        assert len(now) <= 7, "the collectors do not all run at the same scrape"
        for name in now:
            counts[name] += 1
    assert set(counts.values()) == {10}, "each runs at every fifth scrape"


def test_empty_collector_runs_after_the_limit_of_time() -> None:
    now = [0.0]
    empty = EmptyCollectors(lambda: b"7", SkipLimits(scrapes=100, seconds=60), clock=lambda: now[0])
    assert runs(empty, ["a", "b"]) == ["a", "b"]
    assert runs(empty, ["a", "b"]) == ["a"], "the first of them waits for no scrape"
    now[0] = 59
    assert runs(empty, ["a", "b"]) == ["b"]
    now[0] = 60
    assert runs(empty, ["a", "b"]) == ["a"]
    now[0] = 119
    assert runs(empty, ["a", "b"]) == ["b"]


def test_every_collector_runs_after_a_change_of_devices() -> None:
    events = [b"7"]
    empty = EmptyCollectors(lambda: events[0], clock=lambda: 0)
    runs(empty)
    assert len(runs(empty)) < len(NAMES)
    events[0] = b"8"
    assert runs(empty) == NAMES


def test_every_collector_runs_always_without_a_count_of_events() -> None:
    empty = EmptyCollectors(lambda: None)
    assert [runs(empty) for _ in range(3)] == [NAMES] * 3


def test_change_of_devices_during_a_scrape_is_noticed_at_the_next() -> None:
    events = [b"7"]
    empty = EmptyCollectors(lambda: events[0], clock=lambda: 0)
    found, token = empty.begin(NAMES)
    events[0] = b"8"
    other, other_token = empty.begin(NAMES)
    empty.record([], found, token)
    assert (found, other) == (NAMES, NAMES)
    assert empty.begin(NAMES)[0] == NAMES, "the scrape that began before the change proves nothing"
    empty.record([], other, other_token)
    assert len(empty.begin(NAMES)[0]) < len(NAMES)


def test_collector_that_finds_something_is_skipped_no_longer() -> None:
    empty = EmptyCollectors(lambda: b"7", SkipLimits(scrapes=2), clock=lambda: 0)
    for _ in range(4):
        found, token = empty.begin(["a"])
        empty.record([], found, token)
    while "a" not in (begun := empty.begin(["a"]))[0]:
        pass
    empty.record(["a"], [], begun[1])
    assert [empty.begin(["a"])[0] for _ in range(5)] == [["a"]] * 5


def test_hot_plugged_device_is_exposed_at_the_next_scrape(scrape_of: Callable[[str], Scrape], tmp_path: Path) -> None:
    count = tmp_path / "sys/kernel/uevent_seqnum"
    count.parent.mkdir(parents=True)
    count.write_text("100\n")
    disks = Disks(Host())
    registry = Registry([disks], uevents=UeventCount(f"{tmp_path}/sys").read)
    for _ in range(8):
        assert scrape_of(registry.page().plain.decode()).get("node_disk") is None
    assert disks.calls == 2
    disks.exists = True
    count.write_text("101\n")
    scrape = scrape_of(registry.page().plain.decode())
    assert scrape.get("node_disk") == 1
    assert scrape.get("node_scrape_collector_success", collector="disks") == 1
    disks.exists = False
    for _ in range(30):
        scrape = scrape_of(registry.page().plain.decode())
        assert scrape.get("node_disk") is None
        assert scrape.get("node_scrape_collector_success", collector="disks") == 1, "its series does not flap"


def test_device_without_an_event_is_exposed_within_the_limit(scrape_of: Callable[[str], Scrape]) -> None:
    disks = Disks(Host())
    registry = Registry([disks], uevents=lambda: b"7")
    registry.page()
    registry.page()
    disks.exists = True
    pages = [scrape_of(registry.page().plain.decode()).get("node_disk") for _ in range(SkipLimits().scrapes + 1)]
    assert pages[-1] == 1


def test_collector_selected_by_name_is_never_skipped(scrape_of: Callable[[str], Scrape]) -> None:
    disks = Disks(Host())
    registry = Registry([disks], uevents=lambda: b"7")
    for calls in range(1, 5):
        scrape = scrape_of(registry.page(collect=["disks"]).plain.decode())
        assert scrape.get("node_scrape_collector_success", collector="disks") == 1
        assert disks.calls == calls


def test_failing_collector_is_never_skipped(scrape_of: Callable[[str], Scrape]) -> None:
    disks = Disks(Host())
    disks.why = "no entry"
    registry = Registry([disks], uevents=lambda: b"7")
    for errors in range(1, 5):
        scrape = scrape_of(registry.page().plain.decode())
        assert scrape.get("metricat_collector_errors_total", collector="disks") == errors


def test_reader_returns_no_uevents_without_the_file(tmp_path: Path) -> None:
    assert UeventCount(str(tmp_path)).read() is None
