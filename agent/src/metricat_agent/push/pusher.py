"""Pushes a scrape at each interval: one thread collects, another one sends.

So a receiver that is slow or does not respond never delays a scrape.
"""

from __future__ import annotations

import logging
import os
import threading
import time
import zlib
from typing import TYPE_CHECKING

from metricat_agent.push.buffer import Buffer
from metricat_agent.push.client import Answer, Client
from metricat_agent.push.metrics import FAMILIES, PushState
from metricat_agent.push.series_encoder import SeriesEncoder, metadata

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_agent.config.push_settings import PushSettings
    from metricat_agent.exposition.model import Metrics
    from metricat_agent.push.segments import Record

_LOG = logging.getLogger(__name__)
_FIRST_WAIT, _MOST_WAIT = 1.0, 30.0
"""Seconds between retries: doubled after each failure up to the maximum, then reduced at random by up to half."""
_MOST_RETRY_AFTER = 300.0
_MOST_SAMPLES, _MOST_BYTES = 10_000, 1 << 20
"""Bounds of one request while the buffer drains; bytes as in the buffer."""
_METADATA_EVERY = 3600.0
"""Seconds between requests with types and help texts."""
_LOG_EVERY = 60.0
_STOP_TIMEOUT = 3.0


class Pusher:
    """Buffers a scrape at each interval, and sends the buffer to the receiver, from `start` until `stop`."""

    families = FAMILIES

    def __init__(self, settings: PushSettings, after_push: Callable[[], None] = lambda: None) -> None:
        self._settings = settings
        self._after_push = after_push
        self._buffer = Buffer(settings.buffer_path, settings.buffer_bytes, int(settings.buffer_age * 1000))
        self._encoder = SeriesEncoder(settings.labels)
        self._client = Client(settings)
        self._state = PushState()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._page = b""
        self._metadata_sent: float | None = None
        self._rejection_logged: float | None = None
        self._is_failing = False
        self._merges = True
        """Whether a request may have several batches."""

    def metrics(self) -> Metrics:
        """Return the metrics of the push itself."""
        return self._state.metrics(self._buffer)

    def start(self, scrape: Callable[[], bytes]) -> None:
        """Start the threads. ``scrape`` returns the metrics in the text format."""
        for work in (lambda: self._collect(scrape), self._send_until_stopped):
            thread = threading.Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Send buffered samples for at most 3 s. The rest stays on disk, or is lost without `push.buffer.path`."""
        self._stopping.set()
        self._buffer.wake()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for thread in self._threads:
            thread.join(max(deadline - time.monotonic(), 0))
        self._buffer.close()

    def _collect(self, scrape: Callable[[], bytes]) -> None:
        interval = self._settings.interval
        due = time.monotonic() + _random() * min(interval, 5)  # agents that start together push at different times
        while not self._stopping.wait(max(due - time.monotonic(), 0)):
            now = time.time_ns() // 1_000_000
            try:
                self._page = scrape()
                for batch in self._encoder.encode(self._page, now):
                    self._buffer.put(batch)
                self._state.scrapes += 1
            except Exception:  # noqa: BLE001 -- the next interval may succeed
                _LOG.exception("push: cannot collect metrics")
            self._after_push()
            due += interval
            if due < time.monotonic():  # the machine was suspended or is overloaded: skip what was missed
                due = time.monotonic() + interval

    def _send_until_stopped(self) -> None:
        try:
            self._send()
        finally:
            self._client.close()

    def _send(self) -> None:
        failures = 0
        while True:
            records = self._buffer.get(*((_MOST_SAMPLES, _MOST_BYTES) if self._merges else (1, 1)), timeout=60)
            if not records:
                if self._stopping.is_set() and not self._threads[0].is_alive():
                    return
                self._stopping.wait(0.01)
                continue
            try:
                body = b"".join(
                    [
                        zlib.decompress(record.data)  # nosemgrep: decompression-without-limit -- the agent's own buffer
                        for record in records
                    ]
                )
                answer = self._client.send(body)
            except Exception as error:  # noqa: BLE001 -- an unexpected error must not end the thread
                _LOG.exception("push: cannot send samples")
                answer = Answer(0, str(error))
            if answer.is_success or answer.is_final:
                failures = 0
                self._finish(records, answer)
                continue
            failures += 1
            self._state.failed += 1
            self._log_failure(answer)
            if self._stopping.wait(_wait(failures, answer.retry_after)):
                return

    def _finish(self, records: list[Record], answer: Answer) -> None:
        """Remove records that are sent or rejected."""
        samples = sum([record.samples for record in records])
        if answer.status == 413 and len(records) > 1:
            self._merges = False  # send the same records one by one
            return
        if answer.is_final:
            written = min(answer.written or 0, samples)
            self._state.sent += written
            self._state.rejected += samples - written
            self._log_rejection(answer, samples - written, samples)
        else:
            if self._is_failing or self._state.last_success is None:
                _LOG.info("push to %s works", self._settings.shown_url)
            self._is_failing = False
            self._state.sent += samples
            self._state.last_success = round(time.time(), 3)
        self._buffer.remove_through(records[-1].number)
        if answer.is_success:
            self._send_metadata()

    def _send_metadata(self) -> None:
        """Send types and help texts after the first success and every hour. A failure is not worth a retry."""
        now = time.monotonic()
        if self._page and (self._metadata_sent is None or now - self._metadata_sent > _METADATA_EVERY):
            self._metadata_sent = now
            self._client.send(metadata(self._page))

    def _log_failure(self, answer: Answer) -> None:
        if not self._is_failing:
            status = f"status {answer.status}: " if answer.status else ""
            _LOG.warning("push to %s fails: %s%s", self._settings.shown_url, status, answer.text)
        self._is_failing = True

    def _log_rejection(self, answer: Answer, rejected: int, samples: int) -> None:
        """Log a rejection, at most one a minute."""
        now = time.monotonic()
        if self._rejection_logged is None or now - self._rejection_logged > _LOG_EVERY:
            self._rejection_logged = now
            _LOG.warning(
                "push: the receiver rejected %d of %d samples with status %d: %s",
                *(rejected, samples, answer.status, answer.text),
            )


def _wait(failures: int, retry_after: float | None) -> float:
    """Return the seconds before the next request: random, and at least Retry-After, of which it limits the value."""
    backoff = min(_FIRST_WAIT * (1 << min(failures - 1, 10)), _MOST_WAIT) * (0.5 + _random() / 2)
    return backoff if retry_after is None else max(backoff, min(retry_after, _MOST_RETRY_AFTER))


def _random() -> float:
    """Return a random number from 0 to 1. The module random costs memory."""
    return int.from_bytes(os.urandom(4), "big") / 2**32
