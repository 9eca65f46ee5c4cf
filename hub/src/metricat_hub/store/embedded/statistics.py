"""Statistics of the store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.model.self_metrics import Sample
from metricat_hub.store.embedded.windows import LAYOUTS, window_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.model.ports import Tier
    from metricat_hub.store.embedded.core import Core


@dataclass(frozen=True, slots=True)
class TierStatistics:
    """Start and end of one tier's stored windows in milliseconds; None: the tier has no chunks."""

    oldest: int | None
    newest: int | None


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counts of the store's content, and of samples rejected since it was opened."""

    active_series: int
    idle_series: int
    series_limit: int
    refused_series: int
    head_samples: int
    """Samples in memory, which are not yet in segments."""
    rejected_samples: Mapping[str, int]
    """By reason."""
    file_bytes: int
    wal_bytes: int
    tiers: Mapping[Tier, TierStatistics]


def collect(core: Core) -> Statistics:
    """Return the statistics. They have no number of chunks, because counting would read the whole file."""
    core.check_open()
    tiers: dict[Tier, TierStatistics] = {}
    with core.readers.borrow() as connection:
        for layout in LAYOUTS:
            # One subquery for each end: SQLite finds only a single minimum or maximum without a scan.
            low, high = connection.execute(
                f"SELECT (SELECT min(id) FROM {layout.table}), (SELECT max(id) FROM {layout.table})"  # noqa: S608
            ).fetchone()
            oldest = None if low is None else layout.base(window_of(low))
            newest = None if high is None else layout.end(window_of(high))
            tiers[layout.tier] = TierStatistics(oldest, newest)
        idle = connection.execute("SELECT count(*) FROM series WHERE idle").fetchone()[0]
    size = core.path.stat().st_size
    with core.mutex:
        return Statistics(
            len(core.index),
            idle,
            core.settings.series_limit,
            core.refused_series,
            core.head.samples + core.packing.samples,
            dict(core.rejected),
            size,
            core.wal_size(),
            tiers,
        )


def as_metrics(statistics: Statistics) -> list[Sample]:
    """Return the statistics as metrics of the hub."""
    found = [
        Sample(
            "metricat_hub_store_series", "Active series, which received samples recently.", statistics.active_series
        ),
        Sample(
            "metricat_hub_store_series_limit", "Limit of active series (store.max-series).", statistics.series_limit
        ),
        Sample(
            "metricat_hub_store_head_samples",
            "Samples in memory that are not yet in segments or chunks.",
            statistics.head_samples,
        ),
        Sample(
            "metricat_hub_store_file_bytes",
            "Size of the store's file in bytes, without its write-ahead log.",
            statistics.file_bytes,
        ),
        Sample("metricat_hub_store_wal_bytes", "Size of the write-ahead log in bytes.", statistics.wal_bytes),
        Sample(
            "metricat_hub_store_refused_series",
            "Series that the store rejected because of store.max-series.",
            statistics.refused_series,
            is_counter=True,
        ),
    ]
    text = "Samples that the store rejected, by reason."
    for reason, count in statistics.rejected_samples.items():
        labels = {"reason": reason}
        found.append(Sample("metricat_hub_store_rejected_samples", text, count, is_counter=True, labels=labels))
    text = "Start of the oldest stored chunks by resolution, in seconds since 1970-01-01 UTC."
    name = "metricat_hub_store_oldest_timestamp_seconds"
    found += [
        Sample(name, text, one.oldest / 1000, labels={"tier": tier})
        for tier, one in statistics.tiers.items()
        if one.oldest is not None
    ]
    return found
