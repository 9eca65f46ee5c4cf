"""The loop that scrapes one target: schedule, storing of samples, and status."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub import __version__
from metricat_hub.model.columns import distinct
from metricat_hub.model.durations import format_duration
from metricat_hub.model.errors import SeriesRemovedError, StoreUnavailableError
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.samples import RESOLUTIONS, STALE, Batch
from metricat_hub.sources.scrape.config import PROTOCOLS
from metricat_hub.sources.scrape.content_type import is_openmetrics
from metricat_hub.sources.scrape.http_client import Client, FetchError, Response, decompress
from metricat_hub.sources.scrape.page import PageError
from metricat_hub.sources.scrape.series_cache import Reading, SeriesCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Writer
    from metricat_hub.model.samples import Appended, Numbers, Times, Values
    from metricat_hub.sources.scrape.clock import Clock
    from metricat_hub.sources.scrape.config import Job
    from metricat_hub.sources.scrape.credentials import JobSecrets
    from metricat_hub.sources.scrape.metadata import MetadataWriter
    from metricat_hub.sources.scrape.scrape_slots import ScrapeSlots
    from metricat_hub.sources.scrape.target import Target

_LOG = logging.getLogger(__name__)
_REPORT = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
_TOLERANCE = 20
"""The most milliseconds by which a timestamp is moved to the planned time. Regular timestamps compress better."""
_MOST_WAITING = 3
"""The most scrapes of a target that wait for the store, so that a short stall of the disk loses no scrape."""
_LARGE = 1 << 20
"""A body with more bytes ends the slot, so that later scrapes do not wait for its thread."""
_LOOPBACK = ("localhost", "127.", "[::1]")


@dataclass(slots=True)
class Counters:
    """Counters since the start, with the help texts of their metrics."""

    scrapes: int = field(default=0, metadata={"help": "Scrapes of all targets."})
    failed_scrapes: int = field(default=0, metadata={"help": "Scrapes without a valid response."})
    missed_scrapes: int = field(
        default=0,
        metadata={"help": "Skipped scrapes, because the previous one took longer than the interval."},
    )
    samples: int = field(default=0, metadata={"help": "Samples that the store accepted."})
    too_old_samples: int = field(
        default=0, metadata={"help": "Rejected samples, older than the out-of-order window of the store."}
    )
    too_new_samples: int = field(
        default=0, metadata={"help": "Rejected samples, with a timestamp too far in the future."}
    )
    conflicting_samples: int = field(
        default=0, metadata={"help": "Rejected samples, with a different value than the stored one for the same time."}
    )
    refused_samples: int = field(
        default=0, metadata={"help": "Rejected samples of new series above the series limit of the store."}
    )
    lost_samples: int = field(default=0, metadata={"help": "Lost samples, because the store was not available."})
    failed_reloads: int = field(default=0, metadata={"help": "Reloads of the scrape configuration that failed."})


@dataclass(slots=True)
class Shared:
    """The objects that all loops of a scraper share."""

    writer: Writer
    clock: Clock
    executor: Executor
    slots: ScrapeSlots
    metadata: MetadataWriter
    counters: Counters = field(default_factory=Counters)
    store_error: str = ""
    """Why the store accepts no samples now; empty: it accepts samples."""


@dataclass(slots=True)
class Status:
    """The last scrape of a target."""

    health: str = "unknown"
    """``up``, ``down`` or ``unknown``."""
    error: str = ""
    at: int = 0
    """Time of the last scrape in milliseconds since 1970; 0: no scrape yet."""
    duration: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True)
class _KnownSeries:
    """The series of a scrape without new, refused, equal or stale series, or times of its own."""

    slots: Numbers
    """The slots of the reading. Scrapes with the same series have the same array."""
    generation: int
    """The store's generation when it returned the numbers."""
    series: Numbers
    """The store's numbers of the series, and of the scrape's own metrics."""


class TargetLoop:
    """Scrapes one target at its interval."""

    def __init__(
        self, target: Target, job: Job, secrets: JobSecrets, shared: Shared, *, forced_error: str = ""
    ) -> None:
        self.target = target
        self.job = job
        self.status = Status()
        self.forced_error = forced_error
        """Why the target is not scraped, such as too many targets in the job; empty: it is scraped."""
        self.live: tuple[int, Numbers] = (-1, np.empty(0, dtype=np.int64))
        """The store's generation, and its numbers of the series in the last scrape."""
        self._secrets = secrets
        self._shared = shared
        self._client = Client()
        self._cache = SeriesCache(target)
        self._report_labels: list[Labels] = [
            from_mapping({**dict(target.labels), "__name__": name}) for name in _REPORT
        ]
        self._report_numbers: Numbers = np.empty(0, dtype=np.int64)
        self._report_generation = -1
        self._known: _KnownSeries | None = None
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_storing = False
        self._storing: Future[None] | None = None
        self._headers = {
            "Accept": _accept(job),
            "Accept-Encoding": "gzip" if job.enable_compression and not _is_loopback(target.address) else "identity",
            "User-Agent": f"metricat-hub/{__version__}",
            "X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout / 1000:g}",
        }

    async def run(self, *, at_once: bool = False) -> None:
        """Scrape at each interval until cancelled. The caller then calls `end`, which waits for the store."""
        clock, interval = self._shared.clock, self.target.interval
        if at_once:
            await self.scrape(clock.now())
        planned = self._first(clock.now())
        while True:
            now = clock.now()
            if planned - now > interval:  # the clock was set back
                planned = self._first(now)
            await clock.sleep(max(0, planned - now) / 1000)
            now = clock.now()
            late = now - planned
            await self.scrape(planned if 0 <= late <= min(interval // 100, _TOLERANCE) else now)
            planned += interval
            if (missed := (clock.now() - planned) // interval) > 0:
                planned += missed * interval
                self._shared.counters.missed_scrapes += missed

    def _first(self, now: int) -> int:
        interval = self.target.interval
        planned = now - now % interval + self.target.offset()
        return planned if planned > now else planned + interval

    async def scrape(self, now: int) -> None:
        """Scrape once at the time `now`, and let a worker thread store the samples.

        Skip the scrape if the samples of `_MOST_WAITING` earlier scrapes still wait for the store.
        """
        if len(self._waiting) >= _MOST_WAITING:
            self._shared.counters.missed_scrapes += 1
            return
        started = self._shared.clock.monotonic()
        error, response = self.forced_error, None
        if not error:
            try:
                async with asyncio.timeout(self.target.timeout / 1000):
                    response = await self._fetch()
            except TimeoutError:
                error = f"no complete response within scrape_timeout, which is {format_duration(self.target.timeout)}"
            except FetchError as problem:
                error = str(problem)
        duration = max(0.0, self._shared.clock.monotonic() - started)
        # The loop does not wait for the thread: waking it for each scrape costs as much CPU as the request.
        self._submit(lambda: self._ingest(response, error, now, duration))
        if response is not None and len(response.body) > _LARGE:
            self._shared.slots.flush()

    async def stored(self) -> None:
        """Wait until the samples of the last scrape are stored."""
        if self._storing is not None:
            self._shared.slots.flush()
            await asyncio.wait([asyncio.wrap_future(self._storing)])

    async def end(self) -> None:
        """Close the connection; wait until the samples of the last scrape are stored."""
        self._client.close()
        await self.stored()

    async def mark_stale(self, live_elsewhere: Callable[[], list[tuple[int, Numbers]]]) -> None:
        """Write staleness markers for all series of a removed target after two intervals, as Prometheus does.

        Series that another target then writes get no marker.
        """
        clock, interval = self._shared.clock, self.target.interval
        if not self.status.at:
            return
        await clock.sleep(max(0, self.status.at + interval - clock.now()) / 1000)
        time = clock.now()
        await clock.sleep(interval * 1.1 / 1000)
        self._submit(lambda: self._store_stale(time, live_elsewhere()))
        await self.stored()

    def _submit(self, work: Callable[[], None]) -> None:
        """Run the work in a worker thread after the earlier work for this target."""
        with self._lock:
            self._waiting.append(work)
            if not self._is_storing:
                self._is_storing = True
                self._storing = self._shared.slots.submit(self._drain)

    def _drain(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_storing = False
                    return
                work = self._waiting.popleft()
            try:
                work()
            except Exception:  # noqa: BLE001 -- a bug must cost one target only
                _LOG.exception(
                    "Samples of %s are lost because of a bug of the hub; report it with this traceback", self.target.url
                )

    async def _fetch(self) -> Response:
        https = self.target.scheme == "https"
        if self._secrets.loaded(https=https):
            authorization, context = self._secrets.load(https=https)
        else:
            authorization, context = await asyncio.get_running_loop().run_in_executor(
                self._shared.executor, lambda: self._secrets.load(https=https)
            )
        response = await self._client.get(
            self.target.url,
            self._headers,
            authorization,
            context,
            server_name=self.job.tls.server_name,
            limit=self.job.limits.body_size,
            redirects=self.job.follow_redirects,
        )
        if response.status != 200:
            raise FetchError(f"server returned HTTP status {response.status} {response.reason}".rstrip())
        return response

    def _ingest(self, response: Response | None, error: str, now: int, duration: float) -> None:
        """Parse a response and store its samples, in a worker thread."""
        counters = self._shared.counters
        try:
            reading = self._read(response, now) if response is not None else self._cache.fail(error)
        except Exception as problem:  # noqa: BLE001 -- a bug must cost one target only
            _LOG.exception(
                "Scrape of %s failed because of a bug in the parser; report it with this traceback", self.target.url
            )
            reading = self._cache.fail(f"internal error: {problem}")
        counters.scrapes += 1
        counters.failed_scrapes += bool(reading.error)
        counters.too_new_samples += reading.too_new
        self._set_status(Status("down" if reading.error else "up", reading.error, now, duration))
        report = (not reading.error, duration, reading.total, reading.added, reading.new)
        try:
            self._store(reading, now, np.array(report, dtype=np.float64))
            self._shared.metadata.update(reading.metas)
        except StoreUnavailableError as problem:
            counters.lost_samples += len(reading.slots) + len(report)
            self._cache.retry_stale(reading.stale)
            if not self._shared.store_error:
                _LOG.warning("Samples of scrapes are lost, because the store is not available: %s", problem)
            self._shared.store_error = str(problem)
            return
        if self._shared.store_error:
            _LOG.info("The store is available again, and stores the samples of scrapes")
            self._shared.store_error = ""
        self._cache.clean()

    def _read(self, response: Response, now: int) -> Reading:
        body = response.body
        encoding = response.headers.get(b"content-encoding", b"")
        if encoding not in {b"", b"identity", b"gzip"}:
            return self._cache.fail(
                f"the Content-Encoding {encoding.decode(errors='replace')} was not requested; the hub accepts gzip "
                "and identity"
            )
        try:
            if encoding == b"gzip":
                body = decompress(body, self.job.limits.body_size)
            openmetrics = bool(body) and is_openmetrics(
                response.headers.get(b"content-type", b"").decode(errors="replace"), self.job.fallback_protocol
            )
        except (FetchError, PageError) as problem:
            return self._cache.fail(str(problem))
        return self._cache.read(body, openmetrics=openmetrics, now=now)

    def _set_status(self, status: Status) -> None:
        before, self.status = self.status, status
        if status.health == "down" and before.health != "down":
            _LOG.warning("Target %s of job %s is down: %s", self.target.url, self.job.job_name, status.error)
        elif status.health == "up" and before.health == "down":
            _LOG.info("Target %s of job %s is up", self.target.url, self.job.job_name)

    def _store(self, reading: Reading, now: int, report: Values) -> None:
        """Append all samples of a scrape in one batch. Series that the store removed are resolved again."""
        writer, counters = self._shared.writer, self._shared.counters
        for _ in range(RESOLUTIONS):
            known = self._known
            if (
                known
                and known.slots is reading.slots
                and known.generation == writer.generation
                and not len(reading.stale)
            ):
                series = known.series
                times = np.full(len(series), now, dtype=np.int64)
                appended = writer.append(Batch(series, times, np.concatenate((reading.values, report))))
                self.live = known.generation, series
            else:
                appended = self._store_carefully(reading, now, report)
            counters.samples += appended.accepted
            counters.too_old_samples += _count(appended.too_old)
            counters.too_new_samples += _count(appended.too_new)
            counters.conflicting_samples += _count(appended.conflicting)
            if not _count(appended.unknown):
                return
            self._cache.forget_numbers(reading.slots)
            self._cache.forget_numbers(reading.stale)
            self._report_generation = -1
            self._known = None
        raise SeriesRemovedError

    def _store_carefully(self, reading: Reading, now: int, report: Values) -> Appended:
        """Append a scrape whose series may be new, refused, equal or stale, or whose samples have own times."""
        writer, counters = self._shared.writer, self._shared.counters
        numbers = self._cache.resolve(writer, reading.slots)
        stale = self._cache.resolve(writer, reading.stale)
        reported = self._resolve_report()
        generation = writer.generation
        values, times = reading.values, reading.times
        kept = _first_of_each(numbers, times)
        if len(kept) < len(numbers):
            numbers, values, times = numbers[kept], values[kept], None if times is None else times[kept]
        if len(stale):
            stale = stale[~np.isin(stale, numbers)]
        series = np.concatenate((numbers, stale, reported))
        batch = Batch(
            series,
            np.full(len(series), now, dtype=np.int64)
            if times is None
            else np.concatenate((times, np.full(len(stale) + len(reported), now, dtype=np.int64))),
            np.concatenate((values, np.full(len(stale), STALE), report)),
        )
        accepted = series >= 0
        if not accepted.all():
            counters.refused_samples += int(len(series) - accepted.sum())
            batch = Batch(series[accepted], batch.times[accepted], batch.values[accepted])
        appended = writer.append(batch)
        self.live = (generation, np.concatenate((numbers, reported)))
        if times is None and len(series) == len(reading.slots) + len(reported) and accepted.all():
            self._known = _KnownSeries(reading.slots, generation, series)
        return appended

    def _resolve_report(self) -> Numbers:
        writer = self._shared.writer
        if self._report_generation != writer.generation:
            self._report_generation = writer.generation
            self._report_numbers = writer.resolve(self._report_labels)
        return self._report_numbers

    def _store_stale(self, time: int, elsewhere: list[tuple[int, Numbers]]) -> None:
        writer = self._shared.writer
        try:
            series = np.concatenate((self._cache.resolve(writer, self._cache.live()), self._resolve_report()))
            for generation, numbers in elsewhere:
                if generation == writer.generation:
                    series = series[~np.isin(series, numbers)]
            series = distinct(series[series >= 0])
            if len(series):
                writer.append(Batch(series, np.full(len(series), time, dtype=np.int64), np.full(len(series), STALE)))
        except StoreUnavailableError:
            self._shared.counters.lost_samples += 1


def _first_of_each(numbers: Numbers, times: Times | None) -> NDArray[np.intp]:
    """Return the positions of the first sample of each series and time, in ascending order.

    Different texts may mean the same series, for example with labels in another order.
    """
    if times is None:
        kept = np.unique(numbers, return_index=True)[1]
    else:
        kept = np.unique(np.stack((numbers, times)), axis=1, return_index=True)[1]
    return np.sort(kept)


def _count(column: np.ndarray[tuple[int, ...], np.dtype[np.bool_]] | None) -> int:
    return 0 if column is None else int(column.sum())


def _accept(job: Job) -> str:
    weight = len(job.protocols) + 1
    parts = [f"{PROTOCOLS[protocol]};q=0.{weight - place}" for place, protocol in enumerate(job.protocols)]
    return ",".join([*parts, f"*/*;q=0.{weight - len(job.protocols)}"])


def _is_loopback(address: str) -> bool:
    return address.startswith(_LOOPBACK)
