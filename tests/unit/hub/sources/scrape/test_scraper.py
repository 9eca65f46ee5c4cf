"""When targets are scraped, what is stored, and when series end: with a real HTTP server and a clock of the test."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import logging
import math
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from metricat_hub.model.samples import STALE, Appended
from metricat_hub.sources.scrape.clock import SystemClock
from metricat_hub.sources.scrape.config import FileDiscovery, Job, Limits, ScrapeConfig, TargetGroup
from metricat_hub.sources.scrape.scraper import Scraper, watch
from metricat_hub.sources.scrape.target import build, discovered_labels
from support.memory_store import MemoryStore
from support.page_server import Page, page_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from pathlib import Path

    from metricat_hub.model.samples import Batch
    from metricat_hub.sources.scrape.target import Target
    from support.page_server import PageServer

START = 1_800_000_000_000
REPORT = {
    *("up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling"),
    "scrape_series_added",
}


class FakeClock:
    """A clock that the test advances. Tasks that sleep wake in the order of their times."""

    def __init__(self) -> None:
        self.time = START
        self._sleeping: list[tuple[int, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> int:
        return self.time

    def monotonic(self) -> float:
        return self.time / 1000

    async def sleep(self, seconds: float) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._count += 1
        wake = self.time + math.ceil(round(seconds * 1000, 6))
        heapq.heappush(self._sleeping, (wake, self._count, waiter))
        await waiter

    async def advance(self, milliseconds: int, settled: Callable[[], bool]) -> None:
        """Let time pass; after each wake-up, wait until nothing runs."""
        end = self.time + milliseconds
        await self._settle(settled)
        while self._sleeping and self._sleeping[0][0] <= end:
            self.time, _, waiter = heapq.heappop(self._sleeping)
            if not waiter.done():
                waiter.set_result(None)
            await self._settle(settled)
        self.time = end

    async def _settle(self, settled: Callable[[], bool]) -> None:
        quiet = 0
        while quiet < 3:
            await asyncio.sleep(0.001)
            quiet = quiet + 1 if settled() else 0


class Running:
    """A scraper, its store and its clock."""

    def __init__(self, config: ScrapeConfig, store: MemoryStore | None = None) -> None:
        self.clock = FakeClock()
        self.store = store or MemoryStore(START)
        self.scraper = Scraper(config, self.store, self.clock)

    async def advance(self, milliseconds: int) -> None:
        await self.clock.advance(milliseconds, self._settled)

    def _settled(self) -> bool:
        """Return whether each task sleeps or is done."""
        loops = [loop for loop, _ in self.scraper._loops.values()]
        if any(loop._is_storing for loop in loops):
            return False
        sleeping = sum(not waiter.done() for *_, waiter in self.clock._sleeping)
        return sleeping == len(loops) + len(self.scraper._endings) + 1

    def values(self, name: str, **labels: str) -> list[tuple[int, float | str]]:
        """Return seconds since the start and values of a series."""
        found = [
            samples
            for series, samples in self.store.samples.items()
            if {**labels, "__name__": name}.items() <= dict(series).items()
        ]
        assert len(found) <= 1, found
        return [(at - START, shown(value)) for at, value in sorted(found[0].items())] if found else []


def shown(value: float) -> float | str:
    return "stale" if np.float64(value).tobytes() == STALE.tobytes() else value


@asynccontextmanager
async def running(config: ScrapeConfig, store: MemoryStore | None = None) -> AsyncIterator[Running]:
    made = Running(config, store)
    task = asyncio.create_task(made.scraper.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()


def job(address: str, path: str = "/a", name: str = "j", **settings: Any) -> Job:
    """Return a job with one target, which is scraped near the middle of each interval.

    The place in the interval follows from labels and URL. The server's port is random, so a label makes up for it:
    otherwise the number of scrapes in a part of an interval differs between runs. The timeout is in real time.
    """
    values = {"scrape_interval": 60_000, "scrape_timeout": 60_000, "scrape_at_start": True, **settings}
    for number in itertools.count():
        group = TargetGroup((address,), (("__metrics_path__", path), ("number", str(number))))
        made = Job(name, static_groups=(group,), **values)
        if 3 <= 10 * target_of(made).offset() // made.scrape_interval < 7:
            break
    return made


def target_of(job: Job) -> Target:
    """Return the only target of a job."""
    [group] = job.static_groups
    target = build(job, discovered_labels(job, group.targets[0], group))
    assert target is not None
    return target


@pytest.fixture
def server() -> Iterator[PageServer]:
    pages = {
        "/a": [Page(f"a {value}\n".encode()) for value in range(1, 50)],
        "/vanishing": [Page(b"a 1\nb 1\n"), Page(b"a 2\n"), Page(b"", status=500), Page(b"a 4\nb 4\n")],
    }
    with page_server(pages) as made:
        yield made


def run(test: Callable[[], Any]) -> None:
    asyncio.run(asyncio.wait_for(test(), 60))


def test_scrapes_are_stored_with_their_report(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)])) as hub:
            await hub.advance(0)
            assert hub.values("a") == [(0, 1.0)]
            assert {dict(series)["__name__"] for series in hub.store.samples} == {"a", *REPORT}
            assert all(dict(series)["job"] == "j" for series in hub.store.samples)
            assert [hub.values(name)[0][1] for name in sorted(REPORT)] == [0.0, 1.0, 1.0, 1.0, 1.0]
            [target] = hub.scraper.targets()
            assert (target.health, target.last_error, target.last_scrape) == ("up", "", START)
            assert dict(target.discovered)["__address__"] == server.address

    run(test)


def test_each_target_has_its_own_place_in_the_interval(server: PageServer) -> None:
    async def test() -> None:
        jobs = [job(server.address, name=f"j{number}", scrape_at_start=False) for number in range(8)]
        async with running(ScrapeConfig(jobs)) as hub:
            await hub.advance(180_000)
            times = {one.job_name: [at for at, _ in hub.values("up", job=one.job_name)] for one in jobs}
            assert all(len(found) == 3 for found in times.values())
            assert all(found[1] - found[0] == found[2] - found[1] == 60_000 for found in times.values())
            assert len({found[0] for found in times.values()}) > 1
            for one in jobs:
                assert (START + times[one.job_name][0]) % 60_000 == target_of(one).offset()

    run(test)


def test_series_that_vanish_and_failed_scrapes_leave_markers(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address, "/vanishing")])) as hub:
            await hub.advance(180_000)
            first, second, third, fourth = (at for at, _ in hub.values("up"))
            assert hub.values("a") == [(first, 1.0), (second, 2.0), (third, "stale"), (fourth, 4.0)]
            assert hub.values("b") == [(first, 1.0), (second, "stale"), (fourth, 4.0)]
            assert [value for _, value in hub.values("up")] == [1.0, 1.0, 0.0, 1.0]
            assert hub.scraper.counters.failed_scrapes == 1

    run(test)


def test_removed_targets_end_after_two_intervals(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address), job(server.address, name="k")])) as hub:
            await hub.advance(90_000)
            hub.scraper.reload(ScrapeConfig([job(server.address, name="k")]))
            await hub.advance(300_000)
            assert [target.job for target in hub.scraper.targets()] == ["k"]
            gone, other = hub.values("a", job="j"), hub.values("a", job="k")
            assert gone[-1][1] == "stale"
            assert gone[-1][0] - gone[-2][0] == 60_000
            assert [value for _, value in gone[:-1]] == [value for _, value in gone if value != "stale"]
            for name in REPORT:
                assert hub.values(name, job="j")[-1] == (gone[-1][0], "stale")
            assert "stale" not in [value for _, value in other]
            assert other[-1][0] > gone[-1][0]

    run(test)


def test_changed_jobs_end_only_the_series_that_they_no_longer_write(server: PageServer) -> None:
    async def test() -> None:
        config = ScrapeConfig([job(server.address, "/vanishing")])
        async with running(config) as hub:
            await hub.advance(6_000)
            server.pages["/vanishing"] = [Page(b"a 5\n")]
            hub.scraper.reload(ScrapeConfig([job(server.address, "/vanishing", honor_labels=True)]))
            await hub.advance(300_000)
            assert hub.values("b")[-1][1] == "stale"
            assert [value for _, value in hub.values("a")] == [1.0, *[5.0] * (len(hub.values("a")) - 1)]
            assert "stale" not in [value for _, value in hub.values("up")]

    run(test)


def test_unchanged_targets_continue_after_a_reload(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)])) as hub:
            await hub.advance(90_000)
            before = hub.values("a")
            hub.scraper.reload(ScrapeConfig([job(server.address), job(server.address, name="k")]))
            await hub.advance(90_000)
            after = hub.values("a", job="j")
            assert [later[0] - earlier[0] for earlier, later in pairwise(after[1:])] == [60_000] * 2
            assert after[: len(before)] == before

    run(test)


def test_no_markers_are_stored_at_shutdown(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)])) as hub:
            await hub.advance(90_000)
        assert all(shown(value) != "stale" for samples in hub.store.samples.values() for value in samples.values())

    run(test)


def test_scrapes_continue_while_the_store_is_unavailable(server: PageServer, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)])) as hub:
            await hub.advance(0)
            hub.store.is_full = True
            await hub.advance(180_000)
            assert [value for _, value in hub.values("a")] == [1.0]
            assert hub.scraper.counters.lost_samples == 3 * 6
            assert hub.scraper.targets()[0].health == "up"
            hub.store.is_full = False
            await hub.advance(60_000)
            assert [value for _, value in hub.values("a")] == [1.0, 5.0]

    with caplog.at_level(logging.INFO):
        run(test)
    messages = [record.getMessage() for record in caplog.records]
    assert [message for message in messages if "store" in message or "stored" in message] == [
        "Samples of scrapes are lost, because the store is not available: no space left on the disk. Free space.",
        "The store is available again, and stores the samples of scrapes",
    ]


def test_markers_that_the_store_refused_are_stored_later(server: PageServer) -> None:
    async def test() -> None:
        server.pages["/vanishing"] = [Page(b"a 1\nb 1\n"), Page(b"a 2\n")]
        async with running(ScrapeConfig([job(server.address, "/vanishing")])) as hub:
            await hub.advance(0)
            hub.store.is_full = True
            await hub.advance(60_000)
            hub.store.is_full = False
            await hub.advance(60_000)
            assert hub.values("b")[-1] == (hub.values("a")[-1][0], "stale")

    run(test)


def test_series_that_the_store_removed_are_resolved_again(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)])) as hub:
            await hub.advance(60_000)
            hub.store.forget()
            await hub.advance(60_000)
            assert len(hub.values("a")) == len(hub.values("up")) == 3

    run(test)


class Forgetful(MemoryStore):
    """A store that removes all series between `resolve` and the first `append`, without a new generation."""

    forgot = False

    def append(self, batch: Batch) -> Appended:
        if not self.forgot:
            self.forgot = True
            self._numbers.clear()
        return super().append(batch)


def test_samples_of_unknown_series_are_appended_once_more(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)]), Forgetful(START)) as hub:
            await hub.advance(0)
            assert hub.values("a") == [(0, 1.0)]
            assert hub.values("up") == [(0, 1.0)]

    run(test)


def test_series_beyond_the_limit_of_the_store_are_counted(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)]), MemoryStore(START, most_series=3)) as hub:
            await hub.advance(0)
            assert hub.scraper.counters.refused_samples == 3
            assert hub.scraper.counters.samples == 3

    run(test)


def test_discovery_files_are_read_again_when_they_change(
    server: PageServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "targets.json"

    def write(groups: Sequence[Any] | str) -> None:
        file.write_text(groups if isinstance(groups, str) else json.dumps(groups))

    async def test() -> None:
        one = Job(
            "j",
            scrape_interval=10_000,
            metrics_path="/a",
            file_discoveries=(FileDiscovery((str(tmp_path / "*.json"),)),),
        )
        write([{"targets": [server.address], "labels": {"node": "n1"}}])
        async with running(ScrapeConfig([one])) as hub:
            await hub.advance(0)
            assert [dict(target.labels)["node"] for target in hub.scraper.targets()] == ["n1"]
            write([{"targets": [server.address], "labels": {"node": node}} for node in ("n1", "n22")])
            await hub.advance(5_000)
            assert [dict(target.labels)["node"] for target in hub.scraper.targets()] == ["n1", "n22"]
            write('[{"targets": ["x"], "label": {}}]')
            await hub.advance(11_000)
            assert len(hub.scraper.targets()) == 2
            assert hub.scraper.counters.failed_reloads == 1
            file.unlink()
            await hub.advance(5_000)
            assert hub.scraper.targets() == []

    run(test)
    [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert message == (
        f"{file}: line 1: [0].label: unknown key; did you mean labels?; the targets that the file had before are kept"
    )


def test_an_invalid_configuration_keeps_the_one_before(server: PageServer, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        hub = Running(ScrapeConfig([]))
        outcomes: list[Any] = [ValueError("prometheus.yml: line 1: wrong"), ScrapeConfig([job(server.address)])]

        def build_next() -> ScrapeConfig:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome  # type: ignore[no-any-return]

        answers = [False, True, True, False]
        watching = asyncio.create_task(watch(lambda: answers.pop(0), build_next, hub.scraper, hub.clock))
        for count in (0, 0, 1, 1):
            await hub.clock.advance(5_000, lambda: bool(hub.clock._sleeping))
            assert len(hub.scraper._config.jobs) == count
        watching.cancel()
        hub.scraper._executor.shutdown()

    run(test)
    [message] = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert message == "prometheus.yml: line 1: wrong; the hub keeps the previous scrape configuration"


def test_a_slow_target_does_not_delay_others(server: PageServer) -> None:
    server.pages["/slow"] = [Page(b"a 1\n", delay=30)]

    async def test() -> None:
        store = MemoryStore(SystemClock().now())
        slow = job(server.address, "/slow", "slow", scrape_interval=500, scrape_timeout=500)
        quick = job(server.address, "/a", "quick", scrape_interval=500, scrape_timeout=500)
        scraper = Scraper(ScrapeConfig([slow, quick]), store)
        task = asyncio.create_task(scraper.run())
        while health(store, "slow").count(0.0) < 2 or health(store, "quick").count(1.0) < 4:  # noqa: ASYNC110 -- threads
            await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        found = {target.job: target for target in scraper.targets()}
        assert found["slow"].last_error == "no complete response within scrape_timeout, which is 500ms"
        assert 1.0 not in health(store, "slow")

    def health(store: MemoryStore, job: str) -> list[float]:
        wanted = {"__name__": "up", "job": job}
        found = (samples for labels, samples in store.samples.items() if wanted.items() <= dict(labels).items())
        return list(next(found, {}).values())

    run(test)


def test_a_clock_that_is_set_back_does_not_stop_the_scrapes(server: PageServer) -> None:
    async def test() -> None:
        async with running(ScrapeConfig([job(server.address)])) as hub:
            await hub.advance(90_000)
            count = len(hub.values("up"))
            for at, (wake, order, waiter) in enumerate(hub.clock._sleeping):
                hub.clock._sleeping[at] = (wake - 1_800_000, order, waiter)
            hub.clock.time -= 1_800_000
            await hub.advance(180_000)
            assert len(hub.values("up")) >= count + 2

    run(test)


def test_body_limit_holds_for_compressed_pages(server: PageServer) -> None:
    import gzip  # noqa: PLC0415 -- only here

    bomb = gzip.compress(b"a 1\n" * 5_000_000)
    server.pages["/bomb"] = [Page(bomb, headers={"Content-Encoding": "gzip"})]

    async def test() -> None:
        one = job(server.address, "/bomb", limits=Limits(body_size=100_000))
        async with running(ScrapeConfig([one])) as hub:
            await hub.advance(0)
            assert hub.scraper.targets()[0].last_error.startswith(
                "the body reaches body_size_limit, which is 100000 bytes"
            )

    run(test)


def test_unexpected_error_of_a_check_of_files_does_not_end_the_scraper(
    server: PageServer, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        made = Running(ScrapeConfig([job(server.address)]))
        refresh = made.scraper._files.refresh
        failures = iter([RuntimeError("a bug")])

        def fails_once(jobs: Sequence[Job]) -> bool:
            for error in failures:
                raise error
            return refresh(jobs)

        made.scraper._files.refresh = fails_once  # type: ignore[method-assign]
        task = asyncio.create_task(made.scraper.run())
        await made.advance(60_000)
        assert [value for _, value in made.values("a")][:1] == [1.0]
        task.cancel()
        await asyncio.wait([task])

    run(test)
    assert "cannot apply the scrape configuration" in caplog.text
