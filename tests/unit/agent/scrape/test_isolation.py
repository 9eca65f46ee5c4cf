"""A collector that hangs, is slow or exposes too many series affects only its own series."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.collectors import Collector
from metricat_agent.exposition.model import gauge, single, size
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.executor import CollectorExecutor, ExecutorLimits
from metricat_agent.scrape.registry import Registry, UnknownCollectorError
from metricat_agent.scrape.series_limit import limit_series
from metricat_agent.scrape.single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.exposition.model import Metrics
    from unit.agent.conftest import Scrape

ONE = gauge("node_one", "One.", "device")
TWO = gauge("node_two", "Two.", "device")
ALL = gauge("node_all", "All.")
QUICK = ExecutorLimits(soft_timeout=0.05, timeout=0.4)


class Stub(Collector):
    """Exposes one series; waits for an event first, if it has one."""

    summary = "waits"
    families = ()

    def __init__(self, name: str, until: threading.Event | None = None) -> None:
        super().__init__(Host())
        self.name = name  # type: ignore[misc] # one class for many
        self.until = until
        self.calls = 0

    def collect(self) -> Metrics:
        self.calls += 1
        if self.until is not None:
            self.until.wait(20)
        return [single(gauge(f"node_{self.name}", "Here."), 1)]


def hanging(names: str) -> tuple[threading.Event, list[Stub]]:
    """Return stubs of these names; stubs with capital letters hang until the event."""
    free = threading.Event()
    return free, [Stub(name.lower(), free if name.isupper() else None) for name in names]


def test_hanging_collector_does_not_delay_the_others(scrape_of: Callable[[str], Scrape]) -> None:
    free, stubs = hanging("aBc")
    registry = Registry(stubs, limits=QUICK)
    try:
        started = time.monotonic()
        scrape = scrape_of(registry.scrape())
        assert time.monotonic() - started < 1
        assert scrape.of("node_scrape_collector_success") == {("a",): 1, ("b",): 0, ("c",): 1}
        assert scrape.get("node_scrape_collector_duration_seconds", collector="b") == pytest.approx(0.4, abs=0.2)
        assert scrape.get("node_c") == 1
    finally:
        free.set()


def test_hanging_collector_is_not_started_again_until_it_returns(scrape_of: Callable[[str], Scrape]) -> None:
    free, stubs = hanging("aBC")
    registry = Registry(stubs, limits=QUICK)
    threads = threading.active_count()
    for _ in range(4):
        started = time.monotonic()
        registry.scrape()
    assert time.monotonic() - started < QUICK.timeout, "later scrapes do not wait for the hanging collectors"
    assert [stub.calls for stub in stubs] == [4, 1, 1]
    assert threading.active_count() - threads <= 3
    free.set()
    deadline = time.monotonic() + 60
    while True:
        scrape = scrape_of(registry.scrape())
        if set(scrape.of("node_scrape_collector_success").values()) == {1} or time.monotonic() > deadline:
            break
        time.sleep(0.01)
    assert scrape.of("metricat_collector_errors_total")["b",] >= 4
    assert scrape.get("node_b") == 1


def test_many_hanging_jobs_take_no_longer_than_the_timeout() -> None:
    free, stubs = hanging("ABCDEFGHx")
    started = time.monotonic()
    executor: CollectorExecutor[Metrics] = CollectorExecutor(ExecutorLimits(soft_timeout=0.02, timeout=1))
    outcomes = executor.run({stub.name: stub.collect for stub in stubs})
    free.set()
    assert time.monotonic() - started < 2
    assert outcomes["x"].result is not None
    assert outcomes["a"].why == "timed out"


def test_slow_job_still_returns_its_result() -> None:
    free, stubs = hanging("Ab")
    threading.Timer(0.2, free.set).start()
    executor: CollectorExecutor[Metrics] = CollectorExecutor(ExecutorLimits(soft_timeout=0.05, timeout=5))
    outcomes = executor.run({stub.name: stub.collect for stub in stubs})
    assert all(outcome.result is not None for outcome in outcomes.values())
    assert outcomes["b"].seconds < 0.1


def test_workers_that_finish_together_release_the_caller_once() -> None:
    executor: CollectorExecutor[int] = CollectorExecutor(ExecutorLimits(soft_timeout=0.001, timeout=20))
    for number in range(200):
        gate = threading.Barrier(3)  # the three jobs can only end together, in three workers

        def meet(gate: threading.Barrier = gate, number: int = number) -> int:
            return gate.wait(10) * 0 + number

        outcomes = executor.run(dict.fromkeys("abc", meet))
        assert {outcome.result for outcome in outcomes.values()} == {number}


def test_jobs_that_wait_at_the_timeout_are_not_run_later() -> None:
    free = threading.Event()
    ran: list[str] = []
    executor: CollectorExecutor[object] = CollectorExecutor(ExecutorLimits(soft_timeout=5, timeout=0.1))
    outcomes = executor.run({"hanging": lambda: free.wait(10), "waiting": lambda: ran.append("waiting")})
    assert [outcome.why for outcome in outcomes.values()] == ["timed out"] * 2
    free.set()
    deadline = time.monotonic() + 60
    while executor._busy and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert ran == []


def test_idle_worker_runs_the_next_jobs() -> None:
    executor: CollectorExecutor[threading.Thread] = CollectorExecutor(ExecutorLimits(soft_timeout=20, timeout=20))
    first, second = (executor.run({"job": threading.current_thread})["job"].result for _ in range(2))
    assert first is not None
    assert first is second


def test_each_job_is_charged_with_its_own_cpu_time() -> None:
    def work() -> None:
        started = time.thread_time()
        while time.thread_time() - started < 0.05:
            pass

    executor: CollectorExecutor[None] = CollectorExecutor(ExecutorLimits(soft_timeout=20, timeout=20))
    outcomes = executor.run({"work": work, "rest": lambda: None})
    assert outcomes["work"].cpu_seconds >= 0.05
    assert outcomes["rest"].cpu_seconds < 0.05


class Moving(Collector):
    """Exposes the number that the test sets, as if it were read from a file."""

    name, summary, families = "moving", "exposes a number", ()
    found = 1
    parsed = 0

    def collect(self) -> Metrics:
        return self.parse_if_changed(self.found, self.parse)

    def parse(self, found: int) -> Metrics:
        self.parsed += 1
        return [single(ALL, found)]


def test_unchanged_input_is_exposed_without_parsing_it_again(scrape_of: Callable[[str], Scrape]) -> None:
    collector = Moving(Host())
    registry = Registry([collector])
    for found in (1, 1, 1, 2, 2, 1):
        collector.found = found
        assert scrape_of(registry.scrape()).get("node_all") == found
    assert collector.parsed == 3


def test_concurrent_scrapes_share_one_result() -> None:
    free, stubs = hanging("A")
    registry = Registry(stubs, limits=ExecutorLimits(timeout=10))
    results: list[object] = []
    threads = [threading.Thread(target=lambda: results.append(registry.page())) for _ in range(50)]
    for thread in threads:
        thread.start()
    while stubs[0].calls == 0:
        time.sleep(0.01)
    time.sleep(0.2)
    free.set()
    for thread in threads:
        thread.join(10)
    assert len(results) == 50
    assert stubs[0].calls <= 2, "all scrapes that came while it ran share its result"
    registry.page()
    assert stubs[0].calls >= 2, "a finished result is not kept"


def test_coalesced_callers_share_the_error() -> None:
    single_flight: SingleFlight[int] = SingleFlight()
    begun, free = threading.Event(), threading.Event()
    errors: list[str] = []

    def fail() -> int:
        begun.set()
        free.wait(5)
        raise ValueError("no")

    def call() -> None:
        try:
            single_flight.get("key", fail)
        except ValueError as error:
            errors.append(str(error))

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert begun.wait(5)
    time.sleep(0.1)
    free.set()
    for thread in threads:
        thread.join(5)
    assert errors == ["no"] * 3
    assert single_flight.get("key", lambda: 7) == 7


def test_request_selects_or_excludes_collectors_by_name(scrape_of: Callable[[str], Scrape]) -> None:
    _, stubs = hanging("abc")
    registry = Registry(stubs)

    def names(**selection: list[str]) -> set[tuple[str, ...]]:
        return set(scrape_of(registry.page(**selection).plain.decode()).of("node_scrape_collector_success"))  # type: ignore[arg-type] # collect, exclude

    assert names(collect=["a", "c"]) == {("a",), ("c",)}
    assert names(exclude=["a", "c"]) == {("b",)}
    with pytest.raises(UnknownCollectorError, match="nonsense"):
        registry.page(collect=["a", "nonsense"])


def test_limit_drops_whole_groups_the_idlest_first_and_the_last_among_equals() -> None:
    metrics: Metrics = [
        (ONE, [(("eth0",), 5), (("veth1",), 0), (("veth2",), 1), (("veth3",), 1)]),
        (TWO, [(("eth0",), 5), (("veth1",), 0), (("veth2",), 1), (("veth3",), 1)]),
        single(ALL, 0),
    ]
    kept, series, dropped = limit_series(metrics, 5)
    assert (series, dropped) == (5, 4)
    assert [[labels for labels, _ in samples] for _, samples in kept] == [[("eth0",), ("veth2",)]] * 2 + [[()]]
    assert limit_series(metrics, 9) == (metrics, 9, 0)


def test_limit_keeps_a_part_of_a_group_that_is_larger_than_the_limit() -> None:
    both: Metrics = [(TWO, [(("y",), 1)] * 3), (ONE, [(("x",), 1)] * 6000)]
    kept, series, dropped = limit_series(both, 5000)
    assert (series, dropped) == (5000, 1003)
    assert size(kept[:1]) == 3, "a group that fits is kept as a whole"
    assert limit_series([single(ALL, number) for number in range(54)], 3)[1:] == (3, 51)


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 3)), max_size=40), st.integers(0, 50))
def test_limit_is_never_exceeded_and_dropped_series_are_counted(pairs: list[tuple[str, int]], limit: int) -> None:
    metrics: Metrics = [(ONE, [((group,), value) for group, value in pairs])]
    kept, series, dropped = limit_series(metrics, limit)
    assert series == size(kept)
    assert size(kept) <= limit
    assert size(kept) + dropped == len(pairs)


class Many(Collector):
    """Exposes as many series as it is given."""

    name = "many"
    summary = "exposes many series"
    families = (ONE,)
    number = 3000

    def collect(self) -> Metrics:
        return [(ONE, [((f"veth{number}",), number) for number in range(self.number)])]


def test_dropped_series_are_counted(scrape_of: Callable[[str], Scrape]) -> None:
    registry = Registry([Many(Host())], series_limit=1000, detailed=True)
    registry.scrape()
    scrape = scrape_of(registry.scrape())
    assert scrape.get("metricat_collector_series", collector="many") == 1000
    assert scrape.get("metricat_collector_dropped_series_total", collector="many") == 4000


def test_dropped_series_are_logged_when_dropping_begins_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    collector = Many(Host())
    registry = Registry([collector], series_limit=1000)
    for collector.number in (900, 3000, 3000, 2000, 1000, 1001):
        registry.scrape()
    dropped = "which exceed --collector.series-limit. Exclude devices, or raise the limit"
    assert [record.getMessage() for record in caplog.records] == [
        f"collector many: dropped 2000 of 3000 series, {dropped}",
        "collector many is within --collector.series-limit again",
        f"collector many: dropped 1 of 1001 series, {dropped}",
    ]


@pytest.mark.parametrize("kind", ["essential", "per_cpu"])
def test_series_of_essential_and_per_cpu_collectors_are_never_dropped(
    kind: str, scrape_of: Callable[[str], Scrape]
) -> None:
    class Kept(Many):
        pass

    setattr(Kept, kind, True)
    scrape = scrape_of(Registry([Kept(Host())], series_limit=10).scrape())
    assert len(scrape.of("node_one")) == 3000
    assert not scrape.of("metricat_collector_dropped_series_total")
