"""Keeps a collector's series within a number, whatever the node has thousands of. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.families import size

if TYPE_CHECKING:
    from metricat_agent.families import Metrics

SERIES = 5_000
"""Series of one collector: more than 256 CPUs or 200 network devices have."""


def cut(metrics: Metrics, limit: int) -> tuple[Metrics, int, int]:
    """Return the metrics within the limit, how many series they are, and how many were dropped.

    Series of one thing (a device, a CPU: the first label) stay or go together. Things that did nothing go first: those
    with fewer series that are not 0; among equals those that the kernel lists last, as it does with what came last.
    """
    total = size(metrics)
    if total <= limit:
        return metrics, total, 0
    counts: dict[str, int] = {}
    worth: dict[str, int] = {}
    left = limit
    for _, samples in metrics:
        for labels, value in samples:
            if labels:
                counts[labels[0]] = counts.get(labels[0], 0) + 1
                worth[labels[0]] = worth.get(labels[0], 0) + (value != 0)
            else:
                left -= 1
    kept = set()
    for thing in sorted(counts, key=lambda thing: -worth[thing]):  # stable: the kernel's order among equals
        if counts[thing] <= left:
            left -= counts[thing]
            kept.add(thing)
    within: Metrics = [
        (family, [sample for sample in samples if not sample[0] or sample[0][0] in kept]) for family, samples in metrics
    ]
    kept_series = size(within)
    return within, kept_series, total - kept_series
