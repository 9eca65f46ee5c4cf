"""Statistics of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.store.embedded.windows import LAYOUTS, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.model.ports import Tier
    from metricat_hub.store.embedded.core import Core


@dataclass(frozen=True, slots=True)
class TierStatistics:
    """Statistics of one tier. Times are bounds of windows; None: the tier has no chunk."""

    chunks: int
    oldest: int | None
    newest: int | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """What the store has, and what it rejected since it was opened."""

    active_series: int
    idle_series: int
    series_limit: int
    refused_series: int
    head_samples: int
    """Samples in memory, which are not yet packed."""
    rejected_samples: Mapping[str, int]
    """By reason."""
    file_bytes: int
    wal_bytes: int
    tiers: Mapping[Tier, TierStatistics]


def collect(core: Core) -> Statistics:
    """Return the statistics. They need no scan of the file apart from counting chunks."""
    core.check_open()
    tiers: dict[Tier, TierStatistics] = {}
    with core.readers.borrow() as connection:
        for layout in LAYOUTS:
            count, low, high = connection.execute(
                f"SELECT count(*), min(id), max(id) FROM {layout.table}"  # noqa: S608 -- a constant
            ).fetchone()
            oldest = None if low is None else layout.base(window_of(low))
            newest = None if high is None else layout.end(window_of(high))
            tiers[layout.tier] = TierStatistics(count, oldest, newest)
        idle = connection.execute("SELECT count(*) FROM series WHERE idle").fetchone()[0]
    size = core.path.stat().st_size
    with core.mutex:
        return Statistics(
            len(core.index),
            idle,
            core.settings.series_limit,
            core.refused_series,
            core.head.samples + sum(len(run.series) for run in core.packing),
            dict(core.rejected),
            size,
            core.wal_size(),
            tiers,
        )
