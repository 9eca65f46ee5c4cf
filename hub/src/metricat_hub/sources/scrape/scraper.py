"""The scraper: it runs one loop for each target, and applies changes of the configuration and of discovery files."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.sources.scrape.clock import Clock, SystemClock
from metricat_hub.sources.scrape.credentials import JobSecrets
from metricat_hub.sources.scrape.discovery import FileGroups
from metricat_hub.sources.scrape.metadata import MetadataWriter
from metricat_hub.sources.scrape.scrape_slots import ScrapeSlots
from metricat_hub.sources.scrape.target import TargetError, targets_of
from metricat_hub.sources.scrape.target_loop import Counters, Shared, TargetLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Writer
    from metricat_hub.sources.scrape.config import Job, ScrapeConfig
    from metricat_hub.sources.scrape.target import Target

_LOG = logging.getLogger(__name__)
_THREADS = 4
"""The number of threads that parse and store responses.

More threads would only wait for the interpreter's lock. With one thread, a huge response would delay all targets.
"""
_REFRESH = 5.0
"""Seconds between two checks whether files changed."""
_MOST_DROPPED = 1000
"""The most dropped targets that are kept for the API."""


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """A target with its last scrape, for the Prometheus API."""

    job: str
    labels: Labels
    discovered: Labels
    url: str
    health: str
    """``up``, ``down`` or ``unknown``."""
    last_error: str
    last_scrape: int
    """Time of the last scrape in milliseconds since 1970; 0: no scrape yet."""
    last_duration: float
    """Seconds."""
    interval: int
    """Milliseconds."""
    timeout: int
    """Milliseconds."""


class Scraper:
    """Scrapes all targets of a configuration and stores their samples."""

    def __init__(self, config: ScrapeConfig, writer: Writer, clock: Clock | None = None) -> None:
        self._config = config
        self._executor = ThreadPoolExecutor(_THREADS, "scrape")
        slots = ScrapeSlots(self._executor)
        self._shared = Shared(writer, clock or SystemClock(), self._executor, slots, MetadataWriter(writer))
        self._files = FileGroups()
        self._loops: dict[tuple[str, Target], tuple[TargetLoop, asyncio.Task[None]]] = {}
        self._secrets: dict[str, JobSecrets] = {}
        self._dropped: list[tuple[str, Labels]] = []
        self._endings: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    @property
    def counters(self) -> Counters:
        """Return the counters since the start."""
        self._shared.counters.failed_reloads = self._files.failures
        return self._shared.counters

    def targets(self) -> list[TargetStatus]:
        """Return all targets that are scraped, in the order of jobs and URLs."""
        found = [
            TargetStatus(
                job=loop.job.job_name,
                labels=loop.target.labels,
                discovered=loop.target.discovered,
                url=loop.target.url,
                health=loop.status.health,
                last_error=loop.status.error,
                last_scrape=loop.status.at,
                last_duration=loop.status.duration,
                interval=loop.target.interval,
                timeout=loop.target.timeout,
            )
            for loop, _ in self._loops.values()
        ]
        return sorted(found, key=lambda status: (status.job, status.url))

    def dropped_targets(self) -> Sequence[tuple[str, Labels]]:
        """Return job and discovered labels of targets that relabelling drops, at most a thousand."""
        return self._dropped

    def reload(self, config: ScrapeConfig) -> None:
        """Replace the configuration. Loops of unchanged targets in unchanged jobs continue."""
        self._config = config
        self._wake.set()

    async def run(self) -> None:
        """Scrape until cancelled. At the end, wait until all received samples are stored."""
        loop = asyncio.get_running_loop()
        try:
            applied: ScrapeConfig | None = None
            while True:
                self._wake.clear()
                config = self._config
                try:
                    changed = await loop.run_in_executor(self._executor, self._files.refresh, config.jobs)
                    if changed or config is not applied:
                        self._apply(config)
                        applied = config
                except Exception:  # noqa: BLE001 -- a bug must not end the running loops
                    _LOG.exception("cannot apply the scrape configuration; the hub tries it again")
                await self._sleep()
        finally:
            running = [*self._endings, *(task for _, task in self._loops.values())]
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            for target, _ in self._loops.values():
                await target.end()
            self._executor.shutdown()

    async def _sleep(self) -> None:
        """Wait until the next check of files, or until `reload` is called."""
        waiting = asyncio.create_task(self._wake.wait())
        sleeping = asyncio.create_task(self._shared.clock.sleep(_REFRESH))
        try:
            await asyncio.wait([waiting, sleeping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            sleeping.cancel()

    def _apply(self, config: ScrapeConfig) -> None:
        """Start loops of new targets, and end those of targets that are gone."""
        wanted = dict(self._wanted(config))
        for key in [key for key, (loop, _) in self._loops.items() if wanted.get(key) != loop.job]:
            loop, task = self._loops.pop(key)
            self._end(loop, task)
        names = {job.job_name for job in config.jobs}
        for name in self._secrets.keys() - names:
            del self._secrets[name]
        counts: dict[str, int] = {}
        for name, _ in wanted:
            counts[name] = counts.get(name, 0) + 1
        for key, job in wanted.items():
            error = ""
            if job.target_limit and counts[key[0]] > job.target_limit:
                count = counts[key[0]]
                error = f"the job has {count} targets; remove some, or raise target_limit, which is {job.target_limit}"
            if key in self._loops:
                self._loops[key][0].forced_error = error
                continue
            secrets = self._secrets.get(key[0])
            if secrets is None or secrets.job != job:
                secrets = self._secrets[key[0]] = JobSecrets(job)
            loop = TargetLoop(key[1], job, secrets, self._shared, forced_error=error)
            self._loops[key] = (loop, asyncio.create_task(loop.run(at_once=job.scrape_at_start)))

    def _wanted(self, config: ScrapeConfig) -> Iterator[tuple[tuple[str, Target], Job]]:
        self._dropped = []
        for job in config.jobs:
            for discovered, target in targets_of(job, self._files.groups(job)):
                if isinstance(target, TargetError):
                    _LOG.error("Job %s: target %s: %s", job.job_name, discovered.get("__address__", ""), target)
                elif target is not None:
                    yield (job.job_name, target), job
                elif len(self._dropped) < _MOST_DROPPED:
                    self._dropped.append((job.job_name, tuple(sorted(discovered.items()))))

    def _end(self, loop: TargetLoop, task: asyncio.Task[None]) -> None:
        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])
            await loop.end()
            await loop.mark_stale(lambda: [other.live for other, _ in self._loops.values()])

        ending = asyncio.create_task(end())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


async def watch(
    changed: Callable[[], bool], build: Callable[[], ScrapeConfig], scraper: Scraper, clock: Clock | None = None
) -> None:
    """Reload the scraper when files change, until cancelled.

    Args:
        changed: returns whether a file changed since the last call. Runs in a thread.
        build: returns the new configuration, or raises an exception with a message for users. Runs in a thread.
        scraper: the scraper to reload. It keeps its configuration if the new one is invalid.
        clock: the clock; default: the system clock.
    """
    clock = clock or SystemClock()
    while True:
        await clock.sleep(_REFRESH)
        if not await asyncio.to_thread(changed):
            continue
        try:
            config = await asyncio.to_thread(build)
        except Exception as error:  # noqa: BLE001 -- any error keeps the configuration
            _LOG.error("%s; the hub keeps the previous scrape configuration", error)
        else:
            scraper.reload(config)
            _LOG.info("Reloaded the scrape configuration: %d jobs", len(config.jobs))
