"""Evaluation of selectors and subqueries: the samples that a query reads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from metricat_hub.model.ports import NewestSamples, SampleBlocks
from metricat_hub.model.samples import is_stale
from metricat_hub.promql import extended
from metricat_hub.promql.nodes import (
    At,
    Node,
    RangeSelector,
    Selector,
    Subquery,
)
from metricat_hub.promql.vector import (
    Grid,
    Vector,
    any_step,
)
from metricat_hub.promql.windows import Block, grouped, of_blocks, without_stale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Series
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.context import Context

Value: TypeAlias = "Vector | Values | str"
"""A vector, a scalar (one value for each step) or a string."""


class SelectorEvaluator(ABC):
    """Evaluates selectors at the evaluation times of a query or subquery."""

    def __init__(self, context: Context, grid: Grid) -> None:
        self.context = context
        self.grid = grid
        self.times = grid.times
        self.steps = len(self.times)

    @abstractmethod
    def evaluate(self, node: Node) -> Value:
        """Return the value of a node."""

    def vector(self, node: Node) -> Vector:
        """Return the value of a node that is an instant vector."""
        value = self.evaluate(node)
        assert isinstance(value, Vector)  # noqa: S101 # the parser has checked the types
        return value

    def scalar(self, node: Node) -> Values:
        """Return the value of a node that is a scalar."""
        value = self.evaluate(node)
        assert isinstance(value, np.ndarray)  # noqa: S101 # the parser has checked the types
        return value

    def references(self, offset: int, at: At) -> Times:
        """Return the time that a selector refers to at each step, in milliseconds."""
        fixed = self.context.time(at)
        return (self.times if fixed is None else np.full(self.steps, fixed)) - offset

    def instant(self, node: Selector, function: str = "") -> Vector:
        """Return the newest value of each series within the lookback period."""
        return self.instant_with_times(node, function)[0]

    def instant_with_times(self, node: Selector, function: str = "") -> tuple[Vector, Values]:
        """Return the newest value of each series within the lookback period, and the times of these samples in seconds.

        Without `function`, the array of times may be empty.
        """
        references = self.references(node.offset, node.at)
        if self.steps == 0:
            return Vector.empty(0), np.empty((0, 0))
        lookback = self.context.lookback
        ahead = lookback if node.modifier == "smoothed" else 0
        found = self.context.select(
            node.matchers,
            int(references[0]) - lookback + 1,
            int(references[-1]) + ahead,
            step=self.grid.step if self.steps > 1 else 0,
            function=function,
            newest=self.steps == 1 and not ahead,
        )
        self.context.usage.allocate(len(found), self.steps)
        if isinstance(found, NewestSamples):
            return _newest(found)
        lookback = max(lookback, self.context.resolution(found))
        if node.modifier == "smoothed":
            return extended.smoothed(found, references, lookback), np.empty((0, 0))
        values = np.empty((len(found), self.steps))
        present = np.empty((len(found), self.steps), dtype=bool)
        seconds = np.empty((len(found), self.steps)) if function else np.empty((0, 0))
        for group in grouped([series.times for series in found]):
            times = found[group[0]].times
            index = np.searchsorted(times, references, side="right") - 1
            near = np.maximum(index, 0)
            at = times[near]
            fresh = (index >= 0) & (at > references - lookback)
            for row in group:
                np.take(found[row].values, near, out=values[row])
            present[group] = fresh
            if function:
                seconds[group] = at / 1000
        present &= ~is_stale(values)
        any_value = np.flatnonzero(any_step(present))
        vector = Vector.of([series.labels for series in found], values, present)
        if len(any_value) < len(found):
            vector = vector.rows(any_value)
            seconds = seconds[any_value] if function else seconds
        return vector, seconds

    def ranges(self, node: Node, function: str) -> tuple[list[Labels], list[bool], list[tuple[Times, Values]]]:
        """Return labels, dropped names (as booleans) and samples of the series of a range vector."""
        if isinstance(node, Subquery):
            times, vector = self.subquery(node)
            columns = []
            for values, present in zip(vector.values, vector.present, strict=True):
                whole = bool(present.all())
                columns.append((times, values) if whole else (times[present], values[present]))
            return vector.labels, vector.drops, columns
        assert isinstance(node, RangeSelector)  # noqa: S101 # the parser has checked the types
        found = self.range_series(node, function)
        columns = without_stale(found)
        if function == "count_over_time" and self.context.resolution(found):
            # The value of a downsampled point is its number of samples.
            columns = [
                (np.repeat(times, values.astype(int)), np.repeat(values, values.astype(int)))
                for times, values in columns
            ]
        return [series.labels for series in found], [False] * len(found), columns

    def ready_blocks(
        self, node: RangeSelector | Subquery, function: str, starts: Times, ends: Times
    ) -> tuple[list[Labels], Iterator[Block]] | None:
        """Return labels and blocks if the store returns the samples of a selector as blocks; otherwise None."""
        if isinstance(node, Subquery) or node.selector.modifier:
            return None
        found = self.range_series(node, function)
        if not isinstance(found, SampleBlocks):
            return None
        return list(found.labels), of_blocks(found, starts, ends)

    def range_series(self, node: RangeSelector, function: str) -> Sequence[Series]:
        """Return the samples of a range selector, including staleness markers."""
        references = self.references(node.selector.offset, node.selector.at)
        lookback = self.context.lookback
        before = lookback if node.selector.modifier else 0
        after = lookback if node.selector.modifier == "smoothed" else 0
        return self.context.select(
            node.selector.matchers,
            int(references[0]) - node.range - before + 1,
            int(references[-1]) + after,
            step=self.grid.step if self.steps > 1 else 0,
            range_=node.range,
            function=function,
        )

    def subquery(self, node: Subquery) -> tuple[Times, Vector]:
        """Return the times and the values of a subquery's inner expression."""
        fixed = self.context.time(node.at)
        first = self.grid.start if fixed is None else fixed
        last = int(self.times[-1]) if fixed is None else fixed
        step = node.step or self.context.subquery_step
        bound = first - node.offset - node.range
        start = step * int(np.trunc(bound / step))
        start += step if start <= bound else 0
        inner = type(self)(self.context, Grid(start, last - node.offset, step))
        self.context.usage.limits.check_samples(inner.steps)
        if inner.steps == 0:
            return inner.times, Vector.empty(0)
        return inner.times, inner.vector(node.expression)


def _newest(found: NewestSamples) -> tuple[Vector, Values]:
    """Return the values of one step, and the times of the samples in seconds."""
    vector = Vector.of(list(found.labels), found.values[:, None], ~is_stale(found.values)[:, None])
    return vector.without_absent(), (found.times[vector.present[:, 0]] / 1000)[:, None]
