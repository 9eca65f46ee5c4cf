"""Above its CPU limit the agent pauses optional collectors, the most expensive first, and reports them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors import Collector
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.cpu_limiter import CpuLimiter, CpuLimits
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape

COSTS = {"cpu": 9.0, "processes": 2.0, "netclass": 3.0, "arp": 0.1}


class Clock:
    """A clock and a number of CPU seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.used = 0.0

    def pass_minute(self, limiter: CpuLimiter, share: float) -> None:
        self.now += 60
        self.used += 60 * share
        limiter.record({name: cost for name, cost in COSTS.items() if name not in limiter.paused})


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> CpuLimiter:
    optional = ("processes", "netclass", "arp")
    limits = CpuLimits(limit=0.02, calm_windows=3)
    return CpuLimiter(optional, limits, clock=lambda: clock.now, cpu=lambda: clock.used)


def test_limiter_pauses_the_most_expensive_optional_collector_first(
    clock: Clock, limiter: CpuLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    clock.pass_minute(limiter, 0.01)
    assert list(limiter.paused) == []
    clock.pass_minute(limiter, 0.03)
    assert list(limiter.paused) == ["netclass"]
    clock.pass_minute(limiter, 0.025)
    assert list(limiter.paused) == ["netclass"], "the limiter does not judge the window after a pause"
    clock.pass_minute(limiter, 0.025)
    assert list(limiter.paused) == ["netclass", "processes"]
    assert "the agent used 3.0 % of a CPU, more than --agent.cpu-limit=2: pausing collector netclass" in caplog.text
    for _ in range(5):
        clock.pass_minute(limiter, 0.5)
    assert list(limiter.paused) == ["netclass", "processes", "arp"], "essential collectors are never paused"


def test_limiter_resumes_a_collector_after_calm_windows(clock: Clock, limiter: CpuLimiter) -> None:
    for share in (0.03, 0.03, 0.03, 0.015, 0.005, 0.005, 0.015, 0.005, 0.005):
        clock.pass_minute(limiter, share)
    assert list(limiter.paused) == ["netclass", "processes"]
    clock.pass_minute(limiter, 0.005)
    assert list(limiter.paused) == ["netclass"]


def test_window_at_exactly_the_limit_pauses_nothing(clock: Clock) -> None:
    limits = CpuLimits(limit=0.25, calm_windows=1)
    limiter = CpuLimiter(("arp",), limits, clock=lambda: clock.now, cpu=lambda: clock.used)
    for share, paused in ((0.25, []), (0.375, ["arp"]), (0.25, ["arp"]), (0.125, ["arp"]), (0.1, [])):
        clock.now += 64
        clock.used += 64 * share
        limiter.record({"arp": 1.0})
        assert list(limiter.paused) == paused, share


def test_limiter_logs_the_used_share_when_it_resumes_a_collector(
    clock: Clock, limiter: CpuLimiter, caplog: pytest.LogCaptureFixture
) -> None:
    for share in (0.9, 0.9, 0.009, 0.009, 0.009):
        clock.pass_minute(limiter, share)
    assert "the agent used 90.0 % of a CPU, more than --agent.cpu-limit=2: pausing collector netclass" in caplog.text
    assert "the agent used 0.9 % of a CPU: resuming collector netclass" in caplog.text


def test_short_burst_pauses_no_collector(clock: Clock, limiter: CpuLimiter) -> None:
    for _ in range(50):
        clock.now += 1
        clock.used += 1
        limiter.record(COSTS)
    assert list(limiter.paused) == []


class Waiting(Collector):
    """Uses no CPU, but takes time."""

    name = "waiting"
    summary = "waits"
    families = ()

    def collect(self) -> Metrics:
        time.sleep(0.05)
        return []


class Busy(Collector):
    """Uses CPU."""

    name = "busy"
    summary = "computes"
    families = ()

    def collect(self) -> Metrics:
        sum(range(100_000))
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

    def suspend(self) -> None:
        self.paused = True


def test_limiter_charges_background_work_but_not_waiting() -> None:
    walking = Walking(Host())
    registry = Registry([Waiting(Host()), walking], cpu_limits=CpuLimits(limit=0, window=0.01))
    registry.page()
    assert registry._cpu_limiter.paused == ("walking",)
    assert walking.paused
    registry.page(collect=["waiting"])
    assert registry._cpu_limiter.paused == ("walking",)


def test_background_work_is_charged_once(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry([Walking(Host())])
    charged: list[dict[str, float]] = []
    monkeypatch.setattr(registry._cpu_limiter, "record", charged.append)
    for _ in range(3):
        registry.page()
    assert [round(seconds["walking"]) for seconds in charged] == [1, 1, 1]


def test_paused_collector_is_reported_and_can_be_selected_by_name(scrape_of: Callable[[str], Scrape]) -> None:
    class Expensive(Collector):
        name = "expensive"
        summary = "costs"
        families = ()

        def collect(self) -> Metrics:
            return []

    registry = Registry([Expensive(Host())], cpu_limits=CpuLimits(limit=0.02))
    registry._cpu_limiter.paused = ("expensive",)
    scrape = scrape_of(registry.page().plain.decode())
    assert scrape.of("metricat_collector_paused") == {("expensive",): 1}
    assert scrape.get("metricat_agent_cpu_limit_ratio") == 0.02
    assert scrape.of("node_scrape_collector_success") == {}
    selected = scrape_of(registry.page(collect=["expensive"]).plain.decode())
    assert selected.of("node_scrape_collector_success") == {("expensive",): 1}


def test_costs_are_needed_after_half_of_the_cpu_time_of_a_window() -> None:
    used = [10.0]
    now = [0.0]
    limiter = CpuLimiter(["a"], CpuLimits(limit=0.02, window=60), clock=lambda: now[0], cpu=lambda: used[0])
    assert not limiter.needs_costs
    used[0] += 0.59
    assert not limiter.needs_costs
    used[0] += 0.02
    assert limiter.needs_costs
    now[0] = 60
    limiter.record({"a": 0.5})
    assert not limiter.needs_costs, "a new window begins"


def test_cpu_time_of_collectors_is_measured_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, measured in ((0.0, True), (100.0, False)):
        registry = Registry([Walking(Host()), Busy(Host())], cpu_limits=CpuLimits(limit=limit))
        charged: list[dict[str, float]] = []
        monkeypatch.setattr(registry._cpu_limiter, "record", charged.append)
        registry.page()
        assert (charged[0].get("busy", 0) > 0) == measured
        assert charged[0]["walking"] >= 1, "work between scrapes is always measured"
