"""The batches that are not sent yet: in memory while the receiver responds, on disk from the first delay on.

Order is kept: batches on disk are older than those in memory. While the disk is full or fails, new batches stay in
memory, within a smaller bound. The buffer tries the disk again for each new batch. Without a folder, all are in memory.
The hub uses the same buffer for its outputs and for a store that is down. It writes every batch to disk at once.
"""

from __future__ import annotations

import logging
import threading
import zlib
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.push.segments import Record, Segments, SegmentsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metricat_agent.push.series_encoder import Batch

KEPT_SAMPLES = 1000
"""The newest samples that no limit removes."""
MEMORY_BYTES = 4 << 20
"""Upper bound of compressed batches in memory: 700 series every 15 seconds for about two hours."""
_LEAST_SEGMENT, _MOST_SEGMENT = 64 << 10, 1 << 20
_LOG = logging.getLogger(__name__)


def _deflated(data: bytes) -> bytes:
    return zlib.compress(data, 1)


class Variant(NamedTuple):
    """Settings of a buffer that differ between programs: its name in the log, compression and writes to disk."""

    name: str = "push"
    """How its log lines begin."""
    compress: Callable[[bytes], bytes] = _deflated
    writes_all: bool = False
    """Whether each batch goes to disk before `put` returns, also while nothing waits. Then `kill -9` costs none."""
    flushes: bool = True
    """Whether each write is flushed to the disk, so that a power failure costs none."""


PUSH = Variant()


class Buffer:
    """A queue of batches. Thread-safe."""

    def __init__(
        self,
        folder: str,
        most_bytes: int,
        most_age: int,
        memory_bytes: int = MEMORY_BYTES,
        variant: Variant = PUSH,
    ) -> None:
        """Use the folder, or only memory without one. ``most_age`` is in milliseconds."""
        self._folder = folder
        self._most_bytes = most_bytes
        self._most_age = most_age
        self._memory_bytes = memory_bytes
        self._variant = variant
        self._memory: deque[Record] = deque()
        self._number = 1
        self._lock = threading.Condition()
        self._is_woken = False
        self._disk_fails = False
        self.dropped: dict[str, int] = {}
        """Number of samples that the buffer dropped, by reason."""
        self.disk_errors = 0
        self._segments: Segments | None = None
        if folder:
            try:
                size = max(_LEAST_SEGMENT, min(most_bytes // 16, _MOST_SEGMENT))
                self._segments = Segments(folder, size, flushes=variant.flushes)
            except SegmentsError as error:
                self.disk_errors += 1
                _LOG.warning("%s: %s. The buffer is in memory until the next start", variant.name, error)
            else:
                self._number = self._segments.next_number
                self._log_damage()

    @property
    def bytes(self) -> int:
        """Size of the batches in memory and of the files on disk, which may also hold sent batches."""
        with self._lock:
            return self._size_in_memory() + (self._segments.bytes if self._segments else 0)

    @property
    def samples(self) -> int:
        """Number of buffered samples."""
        with self._lock:
            return self._samples()

    def put(self, batch: Batch) -> None:
        """Append a batch, and drop the oldest batches above the limits.

        With a folder, write the batches to disk if an older one is not sent yet, or if the variant writes all.
        """
        with self._lock:
            record = Record(self._variant.compress(batch.body), batch.samples, batch.time, self._number)
            self._number += 1
            self._memory.append(record)
            if self._variant.writes_all or len(self._memory) > 1 or self._segments:
                self._spill()
            self._limit(batch.time)
            self._lock.notify_all()

    def get(self, most_samples: int, most_bytes: int, timeout: float) -> list[Record]:
        """Return the oldest record, and further ones within the bounds; nothing if none came before timeout or `wake`.

        ``most_bytes`` counts compressed bytes; ``timeout`` is in seconds. The records remain in the buffer until
        `remove_through`.
        """
        with self._lock:
            self._lock.wait_for(lambda: self._is_woken or self._memory or self._segments, timeout)
            if self._segments:
                before = self._segments.damaged_bytes
                found = self._segments.oldest(most_samples, most_bytes)
                if self._segments.damaged_bytes != before:
                    self._log_damage()
                if found:
                    return found
            return list(_within(self._memory, most_samples, most_bytes))

    def remove_through(self, number: int) -> None:
        """Remove the records up to and including ``number``: they are sent or rejected."""
        with self._lock:
            if self._segments is not None:
                self._segments.remove_through(number)
            while self._memory and self._memory[0].number <= number:
                self._memory.popleft()

    def is_on_disk(self) -> bool:
        """Return whether all batches are on disk, after another attempt to write those that are not."""
        with self._lock:
            self._spill()
            return self._segments is not None and not self._memory

    def wake(self) -> None:
        """Let `get` return immediately from now on."""
        with self._lock:
            self._is_woken = True
            self._lock.notify_all()

    def close(self) -> None:
        """Write the batches in memory to disk, if there is a folder, and close its files."""
        with self._lock:
            if self._segments is not None:
                self._spill()
                self._segments.close()
                self._segments = None

    def _spill(self) -> None:
        """Move the batches in memory to disk, the oldest first, until the disk fails."""
        if self._segments is None:
            return
        try:
            while self._memory:
                self._segments.append(self._memory[0])
                self._memory.popleft()
        except OSError as error:
            self.disk_errors += 1
            if not self._disk_fails:
                _LOG.warning(
                    "%s: cannot write the buffer to %s: %s; batches remain in memory. Free space, or repair the disk",
                    *(self._variant.name, self._folder, error.strerror),
                )
            self._disk_fails = True
        else:
            if self._disk_fails:
                _LOG.info("%s: the buffer is on disk again", self._variant.name)
            self._disk_fails = False

    def _limit(self, now: int) -> None:
        """Drop the oldest batches above the limits of bytes and age."""
        segments = self._segments
        while segments is not None and (segment := segments.oldest_segment()) is not None:
            is_old = segment.newest < now - self._most_age
            is_full = segments.bytes > self._most_bytes or self._size_in_memory() > self._memory_bytes
            if not (is_old or is_full) or self._samples() - segment.samples < KEPT_SAMPLES:
                break
            self._drop("too_old" if is_old else "buffer_full", segment.samples)
            segments.drop(segment)
            if self._memory:
                self._spill()
        while len(self._memory) > 1:
            oldest = self._memory[0]
            is_old = oldest.time < now - self._most_age
            limit = self._memory_bytes if segments is not None else min(self._memory_bytes, self._most_bytes)
            if not (is_old or self._size_in_memory() > limit):
                break
            if self._samples() - oldest.samples < KEPT_SAMPLES:
                break
            self._drop("too_old" if is_old else "buffer_full", oldest.samples)
            self._memory.popleft()

    def _drop(self, reason: str, samples: int) -> None:
        if reason not in self.dropped:
            limit = f"{self._most_age / 1000:g} s" if reason == "too_old" else self._size_limit()
            _LOG.warning(
                "%s: the buffer drops its oldest samples (%s: above %s). Make the receiver accept samples, "
                "or raise the limit",
                *(self._variant.name, reason, limit),
            )
        self.dropped[reason] = self.dropped.get(reason, 0) + samples

    def _size_limit(self) -> str:
        if self._segments is None:
            return f"{min(self._memory_bytes, self._most_bytes)} bytes in memory"
        return f"{self._most_bytes} bytes on disk or {self._memory_bytes} bytes in memory"

    def _samples(self) -> int:
        in_memory = sum([record.samples for record in self._memory])
        return in_memory + (self._segments.samples if self._segments is not None else 0)

    def _size_in_memory(self) -> int:
        return sum([len(record.data) for record in self._memory])

    def _log_damage(self) -> None:
        if self._segments is None or not self._segments.damaged_bytes:
            return
        self.dropped["damaged"] = self._segments.damaged_samples
        name, size = self._variant.name, self._segments.damaged_bytes
        _LOG.warning("%s: %d bytes of the buffer in %s are damaged and lost; check the disk", name, size, self._folder)


def _within(records: deque[Record], most_samples: int, most_bytes: int) -> Iterator[Record]:
    """Yield the first record, and further ones within the bounds."""
    samples = size = 0
    for record in records:
        samples, size = samples + record.samples, size + len(record.data)
        if record is not records[0] and (samples > most_samples or size > most_bytes):
            return
        yield record
