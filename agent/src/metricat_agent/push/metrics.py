"""Metrics of the push itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.exposition.model import Metrics, counter, gauge, single

if TYPE_CHECKING:
    from metricat_agent.push.buffer import Buffer

SCRAPES = counter("metricat_push_scrapes_total", "Number of scrapes that were buffered to be sent. Only with push.url.")
SENT = counter(
    "metricat_push_sent_samples_total", "Number of samples that the receiver has stored. Only with push.url."
)
DROPPED = counter(
    "metricat_push_dropped_samples_total",
    "Number of samples that were lost, by reason: rejected, buffer_full, too_old, damaged. Only with push.url.",
    "reason",
)
FAILED = counter(
    "metricat_push_failed_requests_total", "Number of requests that failed and are retried. Only with push.url."
)
DISK_ERRORS = counter(
    "metricat_push_buffer_errors_total", "Number of failed writes to push.buffer.path. Only with push.url."
)
BYTES = gauge("metricat_push_buffered_bytes", "Size of the buffer in memory and on disk. Only with push.url.")
SAMPLES = gauge("metricat_push_buffered_samples", "Number of samples that are not sent yet. Only with push.url.")
LAST_SUCCESS = gauge(
    "metricat_push_last_success_timestamp_seconds",
    "Time of the last successful request, in seconds since 1970 (UTC); absent before the first. Only with push.url.",
)
FAMILIES = (SCRAPES, SENT, DROPPED, FAILED, DISK_ERRORS, BYTES, SAMPLES, LAST_SUCCESS)


class PushState:
    """Counts of the push since the start of the agent: scrapes, samples, failed requests."""

    def __init__(self) -> None:
        self.scrapes = 0
        self.sent = 0
        self.rejected = 0
        self.failed = 0
        self.last_success: float | None = None

    def metrics(self, buffer: Buffer) -> Metrics:
        """Return the metrics of the push, with the size of the buffer."""
        dropped = {"rejected": self.rejected, "buffer_full": 0, "too_old": 0, "damaged": 0, **buffer.dropped}
        found = [
            single(SCRAPES, self.scrapes),
            single(SENT, self.sent),
            (DROPPED, [((reason,), number) for reason, number in dropped.items()]),
            single(FAILED, self.failed),
            single(DISK_ERRORS, buffer.disk_errors),
            single(BYTES, buffer.bytes),
            single(SAMPLES, buffer.samples),
        ]
        if self.last_success is not None:
            found.append(single(LAST_SUCCESS, self.last_success))
        return found
