"""Delivery of samples from a queue on disk: in order, one request at a time, with retries until it succeeds.

The queue is the same as for the agent's push, see docs/design/0031. Each record is on disk before `put` returns. So no
sample is lost if the process ends or the receiver is down, within the limits of the queue. If the process ends during a
request, the record is sent again.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_agent.push.buffer import Buffer, Variant
from metricat_agent.push.series_encoder import Batch
from metricat_hub.model.durations import format_duration
from metricat_hub.model.self_metrics import Sample
from metricat_hub.remote import records
from metricat_hub.remote.outcome import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from metricat_hub.remote.records import Samples

_LOG = logging.getLogger(__name__)
_FIRST_WAIT, _MOST_WAIT = 1.0, 30.0
"""Seconds between retries: doubled after each failure up to the maximum, then reduced at random by up to half."""
_MOST_RETRY_AFTER = 300.0
_LOG_EVERY = 60.0
_STOP_TIMEOUT = 5.0
MOST_SAMPLES, _MOST_BYTES = 10_000, 1 << 20
"""Limits of one request while the queue drains. Bytes are counted as in the queue."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """The directory and the limits of a queue. `most_age` is in milliseconds."""

    folder: Path
    most_bytes: int
    most_age: int
    flushes: bool = False
    """Whether to flush each batch to the disk, so that a power failure loses no samples."""


@dataclass(slots=True)
class DeliveryState:
    """Counts and errors of a delivery since the start. `sent`, `rejected` and `skipped` count samples."""

    sent: int = 0
    rejected: int = 0
    skipped: int = 0
    failed_requests: int = 0
    last_success: int = 0
    """Time of the last successful request in milliseconds since 1970; 0: none."""
    failing_since: int = 0
    """When requests began to fail, in milliseconds since 1970; 0: the last request succeeded."""
    error: str = ""
    """The error of the last request; empty: it succeeded."""
    rejection: str = ""
    """The message of the last rejection."""
    dropped: dict[str, int] = field(default_factory=dict)
    """Number of samples that the queue dropped, by reason."""
    waiting_samples: int = 0
    waiting_bytes: int = 0


class Delivery:
    """A queue with a thread that sends its samples, from `start` until `close`."""

    def __init__(
        self,
        name: str,
        settings: QueueSettings,
        send: Callable[[Sequence[Samples]], Outcome],
        clock: Callable[[], int],
        waits: tuple[float, float] = (_FIRST_WAIT, _MOST_WAIT),
    ) -> None:
        """Open the queue.

        Args:
            name: the receiver of the samples, for messages.
            settings: the queue.
            send: sends samples, and returns the outcome. It must not raise.
            clock: returns milliseconds since 1970-01-01 UTC.
            waits: the first and the longest time between retries, in seconds.
        """
        self.name = name
        self.most_bytes = settings.most_bytes
        self._send = send
        self._clock = clock
        self._waits = waits
        variant = Variant(name, records.compress, writes_all=True, flushes=settings.flushes)
        self.buffer = Buffer(str(settings.folder), settings.most_bytes, settings.most_age, variant=variant)
        self._state = DeliveryState()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._rejection_logged = -_LOG_EVERY
        self._merges = True
        """Whether a request may contain several records."""

    def start(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, daemon=True, name=f"delivery {self.name}")
        self._thread.start()

    def put(self, samples: Samples) -> None:
        """Append samples to the queue."""
        if len(samples.times):
            self.buffer.put(Batch(records.encode(samples), len(samples.times), int(samples.times.max())))

    def put_encoded(self, record: Batch) -> None:
        """Append an encoded record, which several queues may share."""
        self.buffer.put(record)

    def state(self) -> DeliveryState:
        """Return the state of the delivery, including the number of waiting samples."""
        state = self._state
        state.dropped = dict(self.buffer.dropped)
        state.waiting_samples, state.waiting_bytes = self.buffer.samples, self.buffer.bytes
        return state

    def is_empty(self) -> bool:
        """Return whether no samples wait or are being sent."""
        return not self.buffer.samples

    def close(self) -> None:
        """Send waiting samples for at most a few seconds, and stop. Unsent samples remain on disk."""
        self._stopping.set()
        self.buffer.wake()
        if self._thread:
            self._thread.join(_STOP_TIMEOUT)
        self.buffer.close()

    def _run(self) -> None:
        failures = 0
        while True:
            found = self.buffer.get(*((MOST_SAMPLES, _MOST_BYTES) if self._merges else (1, 1)), timeout=60)
            if not found:
                if self._stopping.is_set():
                    return
                self._stopping.wait(0.01)
                continue
            outcome = self._attempt([one.data for one in found])
            if not outcome.is_retried:
                failures = 0
                self._finish(outcome)
                self.buffer.remove_through(found[-1].number)
                continue
            if outcome.is_too_large and len(found) > 1:
                self._merges = False  # send the same records one by one
                continue
            failures += 1
            self._fail(outcome)
            if self._stopping.wait(_delay(failures, outcome.retry_after, self._waits)):
                return

    def _attempt(self, data: Sequence[bytes]) -> Outcome:
        """Send records. A damaged one counts as rejected."""
        parts: list[Samples] = []
        damage = ""
        for one in data:
            try:
                parts.append(records.decode(records.decompress(one)))
            except records.DamagedRecordError as error:
                damage = str(error)
        try:
            outcome = self._send(parts) if parts else Outcome()
            if outcome.is_too_large and len(parts) == 1:
                outcome = self._send_split(parts[0])
        except Exception as error:  # noqa: BLE001 -- an unexpected error must not end the thread
            _LOG.exception("%s: cannot send because of a bug of the hub; report this traceback", self.name)
            return Outcome(text=f"{type(error).__name__}: {error}", is_retried=True)
        if damage and not outcome.is_retried:
            _LOG.warning("%s: %s; its samples are lost. Check the disk", self.name, damage)
        return outcome

    def _send_split(self, samples: Samples) -> Outcome:
        """Send a record that is too large for the receiver in parts. A part that was sent may be sent again later."""
        count = len(samples.times)
        if count == 1:
            return Outcome(
                rejected=1,
                text="the receiver rejects a request with one sample as too large; raise the receiver's limit",
            )
        found = []
        for part in (samples.part(0, count // 2), samples.part(count // 2, count)):
            outcome = self._send([part])
            if outcome.is_too_large:
                outcome = self._send_split(part)
            if outcome.is_retried:
                return outcome
            found.append(outcome)
        first, second = found
        return Outcome(
            first.stored + second.stored,
            first.rejected + second.rejected,
            first.skipped + second.skipped,
            first.text or second.text,
        )

    def _finish(self, outcome: Outcome) -> None:
        state = self._state
        state.sent += outcome.stored
        state.rejected += outcome.rejected
        state.skipped += outcome.skipped
        state.last_success = self._clock()
        if state.failing_since:
            lasted = format_duration(max(0, state.last_success - state.failing_since) // 1000 * 1000)
            _LOG.info("%s: works again after %s", self.name, lasted)
        state.failing_since, state.error = 0, ""
        if outcome.rejected:
            state.rejection = outcome.text
            now = time.monotonic()
            if now - self._rejection_logged > _LOG_EVERY:
                self._rejection_logged = now
                _LOG.warning("%s: the receiver rejected %d samples: %s", self.name, outcome.rejected, outcome.text)

    def _fail(self, outcome: Outcome) -> None:
        state = self._state
        state.failed_requests += 1
        if not state.failing_since:
            state.failing_since = self._clock()
            _LOG.warning("%s: %s. Samples wait on disk until a request succeeds", self.name, outcome.text)
        state.error = outcome.text

    def metrics(self, prefix: str, labels: Mapping[str, str]) -> list[Sample]:
        """Return the state as metrics with these labels. `prefix` is the start of the names of the metrics."""
        state, buffer = self.state(), self.buffer
        up = float(not state.failing_since)
        lost = {"rejected": state.rejected, "unsupported_value": state.skipped, "buffer_full": 0, "too_old": 0}
        text = "Dropped samples by reason."
        return [
            Sample(f"{prefix}_up", "Whether the last request succeeded.", up, labels=labels),
            Sample(f"{prefix}_waiting_samples", "Samples in the queue.", state.waiting_samples, labels=labels),
            Sample(f"{prefix}_waiting_bytes", "Size of the queue in bytes.", state.waiting_bytes, labels=labels),
            *(
                Sample(f"{prefix}_{name}", help_text, count, is_counter=True, labels=labels)
                for name, help_text, count in (
                    ("sent_samples", "Samples that the receiver accepted.", state.sent),
                    ("failed_requests", "Failed requests, which are retried.", state.failed_requests),
                    ("buffer_errors", "Failed writes of the queue to its directory.", buffer.disk_errors),
                )
            ),
            *(
                Sample(f"{prefix}_dropped_samples", text, count, is_counter=True, labels={**labels, "reason": reason})
                for reason, count in {**lost, **state.dropped}.items()
            ),
        ]


def _delay(failures: int, retry_after: float | None, waits: tuple[float, float]) -> float:
    """Return the seconds before the next request: random, and at least Retry-After, of which it limits the value."""
    first, most = waits
    backoff = min(first * (1 << min(failures - 1, 10)), most) * (0.5 + random.random() / 2)  # noqa: S311 -- not a secret
    return backoff if retry_after is None else max(backoff, min(retry_after, _MOST_RETRY_AFTER))
