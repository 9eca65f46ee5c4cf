"""Keeps a collector's series within a number, whatever the node has thousands of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.exposition.model import size

if TYPE_CHECKING:
    from metricat_agent.exposition.model import Metrics

SERIES = 5_000
"""Series of one collector: more than 256 CPUs or 200 network devices have."""


def cut(metrics: Metrics, limit: int) -> tuple[Metrics, int, int]:
    """Return the metrics within the limit, how many series they are, and how many were dropped.

    Series of one thing (a device, a CPU: the first label) stay or go together. Things that did nothing go first: those
    with fewer series that are not 0; among equals those that the kernel lists last, as it does with what came last. A
    thing too large to stay as a whole gets what the others leave; series without labels count as one thing, the first.
    """
    total = size(metrics)
    if total <= limit:
        return metrics, total, 0
    counts: dict[str | None, int] = {}
    worth: dict[str | None, int] = {}
    for _, samples in metrics:
        for labels, value in samples:
            thing = labels[0] if labels else None
            counts[thing] = counts.get(thing, 0) + 1
            worth[thing] = worth.get(thing, 0) + (value != 0)
    left = limit
    room: dict[str | None, int] = {}
    # stable: the kernel's order among equals
    for thing in sorted(counts, key=lambda thing: (counts[thing] > limit, thing is not None, -worth[thing])):
        if counts[thing] <= left or counts[thing] > limit:
            room[thing] = min(counts[thing], left)
            left -= room[thing]
    within: Metrics = []
    for family, samples in metrics:
        kept = []
        for sample in samples:
            thing = sample[0][0] if sample[0] else None
            if room.get(thing):
                room[thing] -= 1
                kept.append(sample)
        within.append((family, kept))
    kept_series = size(within)
    return within, kept_series, total - kept_series
