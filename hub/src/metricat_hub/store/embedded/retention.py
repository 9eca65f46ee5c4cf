"""Retention: drops windows that are too old, and the oldest windows while the store is too large."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from metricat_hub.store.embedded.database import BUSY_TIMEOUT, transaction
from metricat_hub.store.embedded.windows import BY_HOUR, BY_MINUTE, LAYOUTS, RAW, identity, times_identity, window_of

if TYPE_CHECKING:
    from metricat_hub.store.embedded.core import Core
    from metricat_hub.store.embedded.windows import Layout

_AT_ONCE = 2000
"""The number of rows that one transaction deletes."""
_PAGES_AT_ONCE = 2000
_WAIT_FOR_READERS = 200
"""Milliseconds."""
_FREE_SHARE = 0.1
"""The share of free pages above which the file shrinks."""


def drop_old(core: Core, now: int) -> int:
    """Drop windows with only samples older than the retention of their tier; return the number of dropped chunks."""
    settings = core.settings
    kept = {RAW: settings.raw_retention, BY_MINUTE: settings.minute_retention, BY_HOUR: settings.hour_retention}
    return sum(_drop_until(core, layout, layout.base(layout.window(now - kept[layout]))) for layout in LAYOUTS)


def drop_above_limit(core: Core) -> int:
    """Drop the oldest windows while the store is above its size limit; return the number of dropped chunks.

    The order keeps history as long as possible: downsampled raw windows, downsampled windows of the tier 1m, windows of
    the tier 1h, other windows of the tier 1m, other raw windows.
    """
    dropped = 0
    limit = core.settings.max_bytes
    if limit and core.size() > limit:
        truncate_wal(core)
    while limit and core.size() > limit:
        candidates = (
            (RAW, core.progress.by_minute),
            (BY_MINUTE, core.progress.by_hour),
            (BY_HOUR, core.progress.by_hour - 1),
            (BY_MINUTE, core.progress.by_minute),
            (RAW, core.clock() - RAW.size),
        )
        for layout, until in candidates:
            oldest = oldest_window(core, layout)
            if oldest is not None and layout.end(oldest) <= until:
                dropped += _drop_until(core, layout, layout.end(oldest))
                break
        else:
            return dropped
        shrink(core, all_pages=True)
        truncate_wal(core)
    return dropped


def oldest_window(core: Core, layout: Layout) -> int | None:
    """Return the number of the oldest window of a tier with a chunk; None without chunks."""
    with core.readers.borrow() as connection:
        row = connection.execute(f"SELECT min(id) FROM {layout.table}").fetchone()  # noqa: S608 -- a constant
    return None if row[0] is None else window_of(row[0])


def shrink(core: Core, *, all_pages: bool = False) -> None:
    """Return free pages to the filesystem, in several transactions.

    Without `all_pages`, do so only if at least a tenth of the pages are free.
    """
    while True:
        with core.mutex:
            free = int(core.writer.execute("PRAGMA freelist_count").fetchone()[0])
            pages = int(core.writer.execute("PRAGMA page_count").fetchone()[0])
            if free == 0 or (not all_pages and free < pages * _FREE_SHARE):
                return
            # Each row of the result frees one page.
            core.writer.execute(f"PRAGMA incremental_vacuum({_PAGES_AT_ONCE})").fetchall()
            if int(core.writer.execute("PRAGMA freelist_count").fetchone()[0]) >= free:
                return
        checkpoint(core)


def checkpoint(core: Core) -> None:
    """Write the WAL back to the file, so that SQLite can reuse the WAL from its start."""
    with core.mutex:
        core.writer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def truncate_wal(core: Core) -> None:
    """Write the WAL back to the file, and truncate the WAL. Wait up to 200 ms for readers, and block appending."""
    with core.mutex:
        core.writer.execute(f"PRAGMA busy_timeout = {_WAIT_FOR_READERS}")
        try:
            core.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            core.writer.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT}")


def _drop_until(core: Core, layout: Layout, end: int) -> int:
    """Drop the windows that end until a time."""
    field = f"dropped_{layout.tier}"
    if end > getattr(core.progress, field):
        # First store the progress, so that queries use another tier.
        progress = msgspec.structs.replace(core.progress, **{field: end})
        with core.mutex:
            with transaction(core.writer):
                core.save_progress(progress)
            core.progress = progress
    window = layout.window(getattr(core.progress, field) + 1)
    dropped = _delete(core, layout.table, identity(window, 0))
    if layout is RAW:
        _delete(core, "times", times_identity(window, 0))
        _delete(core, "outdated", identity(window, 0))
        _drop_segments(core, window)
    return dropped


def _drop_segments(core: Core, before: int) -> None:
    """Drop the segments of the windows before one."""
    with core.mutex:
        gone = core.segments.before(before)
        if gone:
            with transaction(core.writer):
                core.writer.executemany("DELETE FROM segments WHERE number = ?", [(one.number,) for one in gone])
            core.segments.remove(gone)


def _delete(core: Core, table: str, below: int) -> int:
    """Delete the rows with a lower id, some in each transaction, so that appending continues between them."""
    deleted = 0
    while True:
        with core.mutex:
            rows = core.writer.execute(
                f"DELETE FROM {table} WHERE id IN (SELECT id FROM {table} WHERE id < ? LIMIT ?)",  # noqa: S608
                (below, _AT_ONCE),
            ).rowcount
        deleted += rows
        if rows < _AT_ONCE:
            return deleted
