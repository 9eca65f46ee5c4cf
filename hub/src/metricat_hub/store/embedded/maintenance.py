"""Maintenance of the store: packing, downsampling, retention, removal of idle series, and checkpoints.

The parts run in this order, because each of them uses the results of the parts before.

A complete window is much work: each of its series gets a chunk in each tier. So a round does a part of it, and the next
round continues. An interruption at any moment is safe, so the position in this work is in memory only.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.store.embedded import downsampling, packing, registry, retention
from metricat_hub.store.embedded.settings import MINUTE
from metricat_hub.store.embedded.windows import RAW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_hub.store.embedded.core import Core

_IDLE_CHECK = 10 * MINUTE
_LATE = 5 * MINUTE
"""Late samples of windows that are in chunks wait this long for more of them."""
_CHECKPOINT_BYTES = 4 << 20
_TRUNCATE_BYTES = 64 << 20
_LATE_FACTOR = 4
"""By how much a round is longer while more than one window waits."""


@dataclass(frozen=True, slots=True)
class Maintained:
    """The result of one run of maintenance."""

    packed_samples: int
    """Samples that moved from memory into segments."""
    is_complete: bool
    """Whether the round wrote all chunks that are due. If not, the next round continues."""


class Maintenance:
    """Runs maintenance, one run at a time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._mutex = threading.Lock()
        self._chunks: Iterator[None] | None = None
        """The rest of the work on chunks."""
        self._idle_checked = 0
        self._spilled = -_LATE
        self._unsampled_below = 0
        """Series with a lower number existed at the check before."""

    def run(self, now: int, *, pack_all: bool = False) -> Maintained:
        """Run each part of maintenance that is due.

        Raises:
            StoreUnavailableError: the disk is full or fails. No sample is lost; a later run continues.
        """
        core = self._core
        with self._mutex:
            core.check_open()
            try:
                packed = self._spill(now, pack_all=pack_all)
                self._write_chunks(now, pack_all=pack_all)
                retention.drop_old(core, now)
                retention.drop_above_limit(core)
                self._remove_idle(now)
                retention.shrink(core)
                self._checkpoint()
            except sqlite3.Error as error:
                raise core.unavailable(error) from error
        return Maintained(packed, self._chunks is None)

    def _spill(self, now: int, *, pack_all: bool) -> int:
        """Write the head into segments if it is due. Return the number of samples."""
        if not pack_all and not self._spill_due(now):
            return 0
        packed = packing.spill(self._core, now)
        self._spilled = now
        return packed

    def _write_chunks(self, now: int, *, pack_all: bool) -> None:
        """Continue the work on chunks, or begin it, for the time of a round. With `pack_all`, finish it."""
        core = self._core
        seconds = core.settings.round_seconds
        if downsampling.due(core, now) > core.progress.by_minute + RAW.size:
            seconds *= _LATE_FACTOR
        chunks, self._chunks = self._chunks, None
        if chunks is None or pack_all:
            chunks = self._chunk_work(now, pack_all=pack_all)
        end = time.thread_time() + seconds
        for _ in chunks:
            if not pack_all and time.thread_time() >= end:
                self._chunks = chunks
                return

    def _chunk_work(self, now: int, *, pack_all: bool) -> Iterator[None]:
        """Write segments of complete windows into chunks, and chunks into those of coarser tiers."""
        core = self._core
        with core.mutex:
            windows = core.segments.windows()
        for window in windows:
            if pack_all or self._is_complete(window, now):
                yield from packing.pack_window(core, window, now)
        yield from downsampling.downsample_complete(core, now)
        yield from downsampling.downsample_outdated(core)

    def _spill_due(self, now: int) -> bool:
        """Return whether the head is large, or has samples of a window that is complete."""
        core = self._core
        with core.mutex:
            parts = core.head.snapshot()
            if core.head.samples >= core.settings.head_samples:
                return True
        earliest = RAW.window(min((part.first for part in parts), default=now))
        if not self._is_complete(earliest, now):
            return False
        # Samples that come late change chunks again, so they wait for more of them.
        return RAW.end(earliest) > core.progress.by_minute or not 0 <= now - self._spilled < _LATE

    def _is_complete(self, window: int, now: int) -> bool:
        return RAW.end(window) + self._core.settings.out_of_order <= now

    def _remove_idle(self, now: int) -> None:
        core = self._core
        if now < self._idle_checked + _IDLE_CHECK:
            return
        settings = core.settings
        registry.remove_idle(core, now, self._unsampled_below)
        longest = max(settings.raw_retention, settings.minute_retention, settings.hour_retention)
        # A window is dropped when all of it is old, so samples stay for one window longer.
        registry.delete_expired(core, now - longest - 31 * 24 * 60 * MINUTE)
        self._idle_checked = now
        with core.mutex:
            self._unsampled_below = len(core.times.active)

    def _checkpoint(self) -> None:
        core = self._core
        size = core.wal_size()
        if size >= _CHECKPOINT_BYTES:
            retention.checkpoint(core)
        if size >= _TRUNCATE_BYTES:
            retention.truncate_wal(core)
