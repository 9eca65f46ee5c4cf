"""Limits the number of series of one collector. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.exposition.model import size

if TYPE_CHECKING:
    from metricat_agent.exposition.model import Metrics

DEFAULT_LIMIT = 5_000
"""Maximum number of series of a collector that is neither essential nor bounded by the number of CPUs."""


def limit_series(metrics: Metrics, limit: int | None) -> tuple[Metrics, int, int]:
    """Return the metrics within the limit (None: all), their number of series, and the number of dropped series.

    Series with the same first label (a device, a CPU) form a group, which is kept or dropped as a whole. Series without
    labels form one group, which is kept first. Groups with the fewest series whose value is not 0 are dropped first;
    among equals, the groups that the kernel lists last, which are mostly the newest. Of a group that is larger than the
    limit, only as many series are kept as the other groups leave.
    """
    total = size(metrics)
    if limit is None or total <= limit:
        return metrics, total, 0
    counts: dict[str | None, int] = {}
    nonzero_count: dict[str | None, int] = {}
    for _, samples in metrics:
        for labels, value in samples:
            group = labels[0] if labels else None
            counts[group] = counts.get(group, 0) + 1
            nonzero_count[group] = nonzero_count.get(group, 0) + (value != 0)
    left = limit
    quota: dict[str | None, int] = {}
    # a stable sort keeps the kernel's order among equals
    for group in sorted(counts, key=lambda group: (counts[group] > limit, group is not None, -nonzero_count[group])):
        if counts[group] <= left or counts[group] > limit:
            quota[group] = min(counts[group], left)
            left -= quota[group]
    within: Metrics = []
    for family, samples in metrics:
        kept = []
        for sample in samples:
            group = sample[0][0] if sample[0] else None
            if quota.get(group):
                quota[group] -= 1
                kept.append(sample)
        within.append((family, kept))
    kept_series = size(within)
    return within, kept_series, total - kept_series
