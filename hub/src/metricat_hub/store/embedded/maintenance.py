"""Maintenance, in the order in which each part needs the others: packing, downsampling, retention, checkpoint."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.store.embedded import downsampling, packing, registry, retention
from metricat_hub.store.embedded.settings import MINUTE
from metricat_hub.store.embedded.windows import RAW

if TYPE_CHECKING:
    from metricat_hub.store.embedded.core import Core

_IDLE_CHECK = 10 * MINUTE
_LATE = 5 * MINUTE
"""Late samples of windows that are in chunks wait this long for more of them."""
_CHECKPOINT_BYTES = 4 << 20
_TRUNCATE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Maintained:
    """The result of one round of maintenance."""

    packed_samples: int = 0
    downsampled_windows: int = 0
    outdated_chunks: int = 0
    dropped_chunks: int = 0
    idle_series: int = 0


class Maintenance:
    """Rounds of maintenance, one at a time."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._mutex = threading.Lock()
        self._idle_checked = 0
        self._spilled = -_LATE
        self._unsampled_below = 0
        """Series with a lower number existed at the check before."""

    def run(self, now: int, *, pack_all: bool = False) -> Maintained:
        """Run each part of maintenance that is due.

        Raises:
            StoreUnavailableError: the disk is full or fails. No sample is lost; a later round continues.
        """
        core = self._core
        with self._mutex:
            core.check_open()
            try:
                packed = self._pack(now, pack_all=pack_all)
                downsampled = downsampling.downsample_complete(core, now)
                outdated = downsampling.downsample_outdated(core)
                dropped = retention.drop_old(core, now) + retention.drop_above_limit(core)
                idle = self._remove_idle(now)
                retention.shrink(core)
                self._checkpoint()
            except sqlite3.Error as error:
                raise core.unavailable(error) from error
        return Maintained(packed, downsampled, outdated, dropped, idle)

    def _pack(self, now: int, *, pack_all: bool) -> int:
        """Write the head into segments if it is due, and segments of complete windows into chunks."""
        core = self._core
        packed = 0
        if pack_all or self._spill_due(now):
            packed = packing.spill(core, now)
            self._spilled = now
        with core.mutex:
            windows = core.segments.windows()
        for window in windows:
            if pack_all or self._is_complete(window, now):
                packing.pack_window(core, window, now)
        return packed

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

    def _remove_idle(self, now: int) -> int:
        core = self._core
        if now < self._idle_checked + _IDLE_CHECK:
            return 0
        settings = core.settings
        removed = registry.remove_idle(core, now, self._unsampled_below)
        longest = max(settings.raw_retention, settings.minute_retention, settings.hour_retention)
        # A window is dropped when all of it is old, so samples stay for one window longer.
        registry.delete_expired(core, now - longest - 31 * 24 * 60 * MINUTE)
        self._idle_checked = now
        with core.mutex:
            self._unsampled_below = len(core.times.active)
        return removed

    def _checkpoint(self) -> None:
        core = self._core
        size = core.wal_size()
        if size >= _CHECKPOINT_BYTES:
            retention.checkpoint(core)
        if size >= _TRUNCATE_BYTES:
            retention.truncate_wal(core)
