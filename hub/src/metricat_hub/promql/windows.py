"""The samples of range selectors: blocks of series with the same timestamps, and a window of them for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.samples import is_stale

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metricat_hub.model.ports import SampleBlocks, Series
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.vector import Indices, Mask

_BLOCK = 1 << 20
"""The most values of a block. A block and its intermediate results should fit a processor's cache."""


@dataclass(frozen=True, slots=True)
class Block:
    """Series with the same timestamps. Column i of a result is computed from the samples ``low[i]:high[i]``."""

    rows: Indices
    """The rows of the result."""
    times: Times
    values: Values
    low: Indices
    high: Indices
    starts: Times
    """The start of each window. A sample at the start is outside."""
    ends: Times
    """The end of each window. A sample at the end is inside."""

    @property
    def counts(self) -> Indices:
        """The number of samples in each window."""
        return self.high - self.low

    def split(self, columns: int) -> Iterator[tuple[slice, Block]]:
        """Yield parts of the block with a limited number of columns each."""
        for first in range(0, len(self.low), columns):
            part = slice(first, first + columns)
            yield (
                part,
                Block(
                    self.rows,
                    self.times,
                    self.values,
                    self.low[part],
                    self.high[part],
                    self.starts[part],
                    self.ends[part],
                ),
            )

    def padded(self) -> Iterator[tuple[slice, Values, Mask, Indices]]:
        """Yield windows of one length: columns, values (series, windows, samples), validity and sample indices."""
        longest = int(self.counts.max(initial=0))
        columns = max(1, _BLOCK // max(1, longest * len(self.values)))
        for part, block in self.split(columns):
            width = int(block.counts.max(initial=0))
            index = block.low[:, None] + np.arange(width)
            valid = index < block.high[:, None]
            index = np.where(valid, index, 0)
            yield part, block.values[:, index], valid, index


def of_blocks(found: SampleBlocks, starts: Times, ends: Times) -> Iterator[Block] | None:
    """Yield blocks of series that a store returned as blocks; None: some of them have staleness markers."""
    if any(bool(is_stale(one.values).any()) for one in found.blocks):
        return None
    return (
        Block(
            one.rows,
            one.times,
            one.values,
            low := np.searchsorted(one.times, starts, side="right"),
            np.maximum(low, np.searchsorted(one.times, ends, side="right")),
            starts,
            ends,
        )
        for one in found.blocks
    )


def joined(found: Iterable[Block]) -> Iterator[Block]:
    """Yield blocks with one window each; those with as many samples as one block, whose times are not theirs.

    For functions that do not depend on the times. Each scrape target has its own timestamps, so there are many blocks.
    """
    by_width: dict[int, list[Block]] = {}
    for block in found:
        by_width.setdefault(int(block.high[0] - block.low[0]), []).append(block)
    for width, same in by_width.items():
        most = max(1, _BLOCK // max(1, width * max(len(one.rows) for one in same)))
        for at in range(0, len(same), most):
            part = same[at : at + most]
            yield Block(
                np.concatenate([one.rows for one in part]),
                np.arange(width),
                np.concatenate([one.values[:, one.low[0] : one.high[0]] for one in part]),
                np.zeros(1, np.intp),
                np.full(1, width),
                part[0].starts,
                part[0].ends,
            )


def without_stale(series: Sequence[Series]) -> list[tuple[Times, Values]]:
    """Return times and values of each series without staleness markers."""
    result = []
    for one in series:
        stale = is_stale(one.values)
        if bool(stale.any()):
            keep = ~stale
            result.append((one.times[keep], one.values[keep]))
        else:
            result.append((one.times, one.values))
    return result


def grouped(columns: Sequence[Times]) -> list[list[int]]:
    """Return the indices of columns with the same timestamps, group by group.

    Stores often return one array for all series of a scrape target, which makes the comparison cheap.
    """
    groups: list[list[int]] = []
    by_identity: dict[int, list[int]] = {}
    by_bounds: dict[tuple[int, int, int], list[list[int]]] = {}
    for index, times in enumerate(columns):
        group = by_identity.get(id(times))
        if group is None:
            bounds = (len(times), int(times[0]), int(times[-1])) if len(times) else (0, 0, 0)
            candidates = by_bounds.setdefault(bounds, [])
            group = next((c for c in candidates if np.array_equal(columns[c[0]], times)), None)
            if group is None:
                group = []
                candidates.append(group)
                groups.append(group)
            by_identity[id(times)] = group
        group.append(index)
    return groups


def blocks(series: Sequence[tuple[Times, Values]], starts: Times, ends: Times) -> Iterator[Block]:
    """Yield blocks of series with windows ``(starts[i], ends[i]]``."""
    for group in grouped([times for times, _ in series]):
        times = series[group[0]][0]
        if len(times) == 0:
            continue
        low = np.searchsorted(times, starts, side="right")
        high = np.searchsorted(times, ends, side="right")
        high = np.maximum(low, high)
        size = max(1, _BLOCK // len(times))
        for first in range(0, len(group), size):
            rows = group[first : first + size]
            values = np.stack([series[row][1] for row in rows])
            yield Block(np.array(rows, dtype=np.intp), times, values, low, high, starts, ends)
