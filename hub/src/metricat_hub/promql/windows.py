"""The samples of range selectors: blocks of series with the same timestamps, with a window of samples for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from metricat_hub.model.ports import SampleBlock
from metricat_hub.model.samples import is_stale

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from metricat_hub.model.ports import SampleBlocks, Series
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.vector import Indices, Mask

_BLOCK = 1 << 20
"""The most values of a block, so that a block and its intermediate results fit into a CPU cache."""


@dataclass(frozen=True, slots=True)
class Block:
    """Series with the same timestamps. Column i of a result is computed from the samples ``low[i]:high[i]``."""

    rows: Indices
    """The rows of the result."""
    times: Times
    values: Values
    """A row for each series, a column for each time."""
    low: Indices
    high: Indices
    starts: Times
    """The start of each window in milliseconds, exclusive."""
    ends: Times
    """The end of each window in milliseconds, inclusive."""

    @property
    def counts(self) -> Indices:
        """The number of samples in each window."""
        return self.high - self.low

    def split(self, columns: int) -> Iterator[tuple[slice, Block]]:
        """Split the block into blocks of at most `columns` windows; yield each with the slice of its windows."""
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
        """Yield windows padded to equal length: columns, values (series, windows, samples), mask, sample indices."""
        longest = int(self.counts.max(initial=0))
        columns = max(1, _BLOCK // max(1, longest * len(self.values)))
        for part, block in self.split(columns):
            width = int(block.counts.max(initial=0))
            index = block.low[:, None] + np.arange(width)
            valid = index < block.high[:, None]
            index = np.where(valid, index, 0)
            yield part, block.values[:, index], valid, index


def of_blocks(found: SampleBlocks, starts: Times, ends: Times) -> Iterator[Block]:
    """Yield blocks of series that a store returned as blocks, without staleness markers."""
    for one in found.blocks:
        stale = is_stale(one.values)
        for rows, times, values in (
            _without_stale(one, stale) if bool(stale.any()) else ((one.rows, one.times, one.values),)
        ):
            low = np.searchsorted(times, starts, side="right")
            high = np.maximum(low, np.searchsorted(times, ends, side="right"))
            yield Block(rows, times, values, low, high, starts, ends)


def _without_stale(block: SampleBlock, stale: Mask) -> Iterator[tuple[Indices, Times, Values]]:
    """Yield rows, times and values of the series that have staleness markers at the same times."""
    groups: dict[bytes, list[int]] = {}
    for row, mask in enumerate(stale):
        groups.setdefault(mask.tobytes(), []).append(row)
    for rows in groups.values():
        kept = ~stale[rows[0]]
        if bool(kept.any()):
            yield block.rows[rows], block.times[kept], block.values[rows][:, kept]


@dataclass(slots=True)  # not frozen: a frozen object takes three times as long to create
class MergedBlocks:
    """The samples of several blocks in one window that has the same number of samples of each series.

    Each scrape target has its own timestamps, so there are many blocks. A function computes all of them at once.
    """

    rows: Indices
    """The rows of the result."""
    times: Times
    """A row for each block."""
    blocks: Indices
    """For each series, the index of its row in `times`."""
    values: Values
    """A row for each series, a column for each sample."""
    starts: Times
    """The start of the window: one element."""
    ends: Times

    def chosen(self, mask: Mask) -> MergedBlocks:
        """Return the series whose rows of the result are marked."""
        inside = mask[self.rows]
        if bool(inside.all()):
            return self
        return MergedBlocks(
            self.rows[inside], self.times, self.blocks[inside], self.values[inside], self.starts, self.ends
        )


_Part: TypeAlias = "tuple[Indices, Times, Values]"
"""Rows, times and values of series with the same timestamps."""


def one_window(found: SampleBlocks, start: int, end: int) -> list[MergedBlocks]:
    """Return the samples in one window of blocks that a store returned, without staleness markers.

    The series of blocks with the same number of samples are merged. Series without a sample are left out.
    """
    by_width: dict[int, list[_Part]] = {}
    for one in found.blocks:
        low, high = one.times.searchsorted((start, end), "right").tolist()
        if low >= high:
            continue
        times, values = one.times[low:high], one.values[:, low:high]
        stale = is_stale(values)
        if bool(stale.any()):
            for part in _without_stale(SampleBlock(one.rows, times, values), stale):
                by_width.setdefault(len(part[1]), []).append(part)
        else:
            by_width.setdefault(high - low, []).append((one.rows, times, values))
    return list(_merged(by_width, np.array([start]), np.array([end])))


def merge_blocks(found: Iterable[Block]) -> Iterator[MergedBlocks]:
    """Merge blocks whose windows have the same number of samples, and yield each merged group.

    Each block must have exactly one window. Blocks with an empty window are left out.
    """
    by_width: dict[int, list[_Part]] = {}
    block = None
    for block in found:
        low, high = int(block.low[0]), int(block.high[0])
        if low < high:
            by_width.setdefault(high - low, []).append((block.rows, block.times[low:high], block.values[:, low:high]))
    if block is not None:
        yield from _merged(by_width, block.starts, block.ends)


def _merged(by_width: dict[int, list[_Part]], starts: Times, ends: Times) -> Iterator[MergedBlocks]:
    """Merge the samples of parts with the same number of samples, by this number."""
    for width, same in by_width.items():
        if len(same) == 1:
            [(rows, times, values)] = same
            yield MergedBlocks(rows, times[None], np.zeros(len(rows), np.intp), values, starts, ends)
            continue
        most = max(1, _BLOCK // (width * max(len(rows) for rows, _, _ in same)))
        for at in range(0, len(same), most):
            each_rows, each_times, each_values = zip(*same[at : at + most], strict=True)
            yield MergedBlocks(
                np.concatenate(each_rows),
                np.stack(each_times),
                np.repeat(np.arange(len(each_rows)), list(map(len, each_rows))),
                np.concatenate(each_values),
                starts,
                ends,
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
