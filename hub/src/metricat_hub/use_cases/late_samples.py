"""Detects late samples, which make cached responses about their time range stale."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.ports import Writer
    from metricat_hub.model.samples import Appended, Batch, Numbers

SETTLED = 30_000
"""Milliseconds after which a time range counts as finished. Samples that arrive later are late."""
_MOST = 10_000


class LateSamples:
    """Records when late samples arrived, and their timestamps. Thread-safe."""

    def __init__(self, now: Callable[[], int]) -> None:
        """`now` returns milliseconds."""
        self._now = now
        self._lock = threading.Lock()
        self._count = 0
        self._numbers: list[int] = []
        self._times: list[int] = []
        self._lost = 0

    @property
    def count(self) -> int:
        """A number that grows with each batch of samples."""
        return self._count

    def note(self, oldest: int) -> None:
        """Record a stored batch; `oldest` is the time of its oldest sample in milliseconds."""
        with self._lock:
            self._count += 1
            if oldest > self._now() - SETTLED:
                return
            # An earlier batch with newer samples makes no further answer stale: both lists ascend.
            while self._times and self._times[-1] >= oldest:
                self._times.pop()
                self._numbers.pop()
            self._numbers.append(self._count)
            self._times.append(oldest)
            if len(self._times) > _MOST:
                self._lost = self._numbers[_MOST // 2 - 1]
                del self._numbers[: _MOST // 2], self._times[: _MOST // 2]

    def reached(self, count: int, end: int) -> bool:
        """Return whether a sample at or before `end` has arrived since the batch with the number `count`."""
        with self._lock:
            if count < self._lost:
                return True
            first = bisect_right(self._numbers, count)
            return first < len(self._times) and self._times[first] <= end


class WatchedWriter:
    """A `Writer` that records each stored batch in `LateSamples`."""

    def __init__(self, writer: Writer, late: LateSamples) -> None:
        self._writer = writer
        self._late = late

    @property
    def generation(self) -> int:
        """See `Writer.generation`."""
        return self._writer.generation

    def resolve(self, labels: Sequence[Labels]) -> Numbers:
        """Return the number of each series. See `Writer.resolve`."""
        return self._writer.resolve(labels)

    def append(self, batch: Batch) -> Appended:
        """Store samples. See `Writer.append`."""
        try:
            return self._writer.append(batch)
        finally:
            if len(batch.times):
                self._late.note(int(batch.times.min()))

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Store the metadata of metrics. See `Writer.set_metadata`."""
        self._writer.set_metadata(metadata)
