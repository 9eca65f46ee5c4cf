"""Above its share of a CPU the agent leaves out what it can do without, the dearest first, and says so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Collector
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.cpu_limiter import Limits, Thrift
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape

COSTS = {"cpu": 9.0, "processes": 2.0, "netclass": 3.0, "arp": 0.1}


class Clock:
    """A clock and a count of CPU seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.used = 0.0

    def pass_minute(self, thrift: Thrift, share: float) -> None:
        self.now += 60
        self.used += 60 * share
        thrift.note({name: cost for name, cost in COSTS.items() if name not in thrift.shed})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def thrift(clock: Clock) -> Thrift:
    optional = ("processes", "netclass", "arp")
    return Thrift(optional, Limits(budget=0.02, calm=3), clock=lambda: clock.now, cpu=lambda: clock.used)


def test_the_dearest_that_is_not_essential_goes_first(
    clock: Clock, thrift: Thrift, caplog: pytest.LogCaptureFixture
) -> None:
    clock.pass_minute(thrift, 0.01)
    assert list(thrift.shed) == []
    clock.pass_minute(thrift, 0.03)
    assert list(thrift.shed) == ["netclass"]
    clock.pass_minute(thrift, 0.025)
    assert list(thrift.shed) == ["netclass"], "the minute after may still pay for it, and is not judged"
    clock.pass_minute(thrift, 0.025)
    assert list(thrift.shed) == ["netclass", "processes"]
    assert "used 3.0 % of a CPU, more than --self.cpu-budget=2: leaving out collector netclass" in caplog.text
    for _ in range(5):
        clock.pass_minute(thrift, 0.5)
    assert list(thrift.shed) == ["netclass", "processes", "arp"], "the essential ones stay, whatever they cost"


def test_it_comes_back_after_a_calm_while(clock: Clock, thrift: Thrift) -> None:
    for share in (0.03, 0.03, 0.03, 0.015, 0.005, 0.005, 0.015, 0.005, 0.005):
        clock.pass_minute(thrift, share)
    assert list(thrift.shed) == ["netclass", "processes"]
    clock.pass_minute(thrift, 0.005)
    assert list(thrift.shed) == ["netclass"]


def test_a_short_burst_is_no_reason(clock: Clock, thrift: Thrift) -> None:
    for _ in range(50):
        clock.now += 1
        clock.used += 1
        thrift.note(COSTS)
    assert list(thrift.shed) == []


class Cheap(Collector):
    """Uses no CPU, but may wait."""

    name = "cheap"
    summary = "waits"
    families = ()

    def collect(self) -> Metrics:
        time.sleep(0.05)
        return []


class Walking(Collector):
    """Uses CPU between scrapes only."""

    name = "walking"
    summary = "walks"
    families = ()
    used = 0.0
    paused = False

    def collect(self) -> Metrics:
        return []

    def background_seconds(self) -> float:
        self.used += 1
        return self.used

    def pause(self) -> None:
        self.paused = True


def test_who_works_between_scrapes_is_charged_and_paused_and_who_waits_is_not() -> None:
    walking = Walking(Host())
    registry = Registry([Cheap(Host()), walking], thrift=Limits(budget=0, window=0.01))
    registry.page()
    assert registry._thrift.shed == ("walking",)
    assert walking.paused
    registry.page(collect=["cheap"])
    assert registry._thrift.shed == ("walking",)


def test_what_is_left_out_is_told_and_can_still_be_asked_for(scrape_of: Callable[[str], Scrape]) -> None:
    class Dear(Collector):
        name = "dear"
        summary = "costs"
        families = ()

        def collect(self) -> Metrics:
            return []

    registry = Registry([Dear(Host())], thrift=Limits(budget=0.02))
    registry._thrift.shed = ("dear",)
    scrape = scrape_of(registry.page().plain.decode())
    assert scrape.of("metricat_collector_shed") == {("dear",): 1}
    assert scrape.get("metricat_agent_cpu_budget_ratio") == 0.02
    assert scrape.of("node_scrape_collector_success") == {}
    asked = scrape_of(registry.page(collect=["dear"]).plain.decode())
    assert asked.of("node_scrape_collector_success") == {("dear",): 1}
