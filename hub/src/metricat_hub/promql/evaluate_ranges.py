"""Evaluation of functions of range vectors, such as `rate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from metricat_hub.model.errors import QueryError
from metricat_hub.model.labels import NAME
from metricat_hub.promql import extended, label_functions
from metricat_hub.promql.evaluate_selectors import SelectorEvaluator
from metricat_hub.promql.nodes import (
    Call,
    RangeSelector,
    Selector,
    Subquery,
    kind,
    unwrapped,
)
from metricat_hub.promql.rollups import EXTRAPOLATED, ROLLUPS, Rolled, extrapolated, predict_linear
from metricat_hub.promql.vector import (
    Vector,
    all_distinct,
    all_without_metadata,
    any_series,
    any_step,
    same_labels,
    without_metadata,
)
from metricat_hub.promql.windows import Block, blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.nodes import Modifier
    from metricat_hub.promql.vector import Mask

_COUNTER_SUFFIXES: Final = ("_total", "_sum", "_count", "_bucket")


class RangeEvaluator(SelectorEvaluator):
    """Evaluates functions of range vectors."""

    def rollup(self, node: Call) -> Vector:
        """Evaluate a function of a range vector."""
        name = node.name
        place = next(i for i, argument in enumerate(node.arguments) if kind(argument) == "matrix")
        argument = unwrapped(node.arguments[place])
        scalars = [self.scalar(other) for i, other in enumerate(node.arguments) if i != place]
        modifier: Modifier = argument.selector.modifier if isinstance(argument, RangeSelector) else ""
        extended.check(modifier, name)
        selector = argument.selector if isinstance(argument, RangeSelector) else argument
        assert isinstance(argument, RangeSelector | Subquery)  # noqa: S101 # a range vector is one of both
        assert isinstance(selector, Selector | Subquery)  # noqa: S101 # as above
        ends = self.references(selector.offset, selector.at)
        starts = ends - argument.range
        columns: list[tuple[Times, Values]] = []
        ready = self.ready_blocks(argument, name, starts, ends)
        if ready is None:
            labels, drops, columns = self.ranges(argument, name)
            found = blocks(columns, starts, ends)
        else:
            labels, found = ready
            drops = [False] * len(labels)
        self.context.usage.allocate(len(labels), self.steps)
        values = np.zeros((len(labels), self.steps))
        present = np.zeros((len(labels), self.steps), dtype=bool)
        if modifier:
            extent = extended.Extent(modifier, starts, ends, self.context.lookback)
            for row, (times, samples) in enumerate(columns):
                self.context.usage.check()
                values[row], present[row] = extended.rolled(name, extent, times, samples)
        elif name in EXTRAPOLATED:
            for rows, rolled in extrapolated(name, found):
                self.context.usage.check()
                values[rows], present[rows] = rolled
        else:
            for block in found:
                self.context.usage.check()
                values[block.rows], present[block.rows] = self.rolled(name, block, scalars)
        self.check_parameters(node, name, scalars, present)
        if name == "absent_over_time":
            absent = ~any_series(present)[None] if len(present) else np.ones((1, self.steps), dtype=bool)
            result = Vector.of([label_functions.absent_labels(argument)], np.ones((1, self.steps)), absent)
            return result.without_absent()
        if name in {"rate", "increase"}:
            self.inform_of_gauges(labels, present, argument.position)
        keeps = name in {"first_over_time", "last_over_time"}
        return self.named(Vector(labels, values, present, [drop or not keeps for drop in drops]))

    def rolled(self, name: str, block: Block, scalars: Sequence[Values]) -> Rolled:
        """Evaluate a function of a range vector for one block of series."""
        if name == "predict_linear":
            return predict_linear(block, scalars, self.times)
        return ROLLUPS[name](block, scalars)

    def named(self, vector: Vector) -> Vector:
        """Return the rows that have values. Remove the dropped metric names, unless name removal is delayed.

        Raises:
            QueryError: two rows have the same labels after the removal.
        """
        vector = vector.without_absent()
        if self.context.delayed_names:
            return vector
        labels = (
            list(all_without_metadata(vector.labels))
            if all(vector.drops)
            else [
                without_metadata(labels) if drop else labels
                for labels, drop in zip(vector.labels, vector.drops, strict=True)
            ]
        )
        if not all_distinct(labels):
            raise same_labels()
        return Vector(labels, vector.values, vector.present, [False] * len(labels))

    def check_parameters(self, node: Call, name: str, scalars: Sequence[Values], present: Mask) -> None:
        """Add a warning for each quantile outside 0 to 1; raise `QueryError` for an invalid smoothing factor."""
        used = any_series(present)
        if name == "quantile_over_time":
            self.check_quantile(scalars[0][used], node.arguments[0].position)
        if name == "double_exponential_smoothing" and len(present):
            for factor, what in zip(scalars, ("smoothing", "trend"), strict=True):
                wrong = factor[~((factor > 0) & (factor < 1))]
                if len(wrong):
                    raise QueryError(
                        f"invalid {what} factor. Expected: 0 < {what[0]}f < 1, got: {wrong[0]:f}."
                        " Use a number between 0 and 1."
                    )

    def check_quantile(self, q: Values, position: int) -> None:
        """Add a warning for each quantile outside 0 to 1."""
        for value in dict.fromkeys(q[~((q >= 0) & (q <= 1))].tolist()):
            text = "NaN" if np.isnan(value) else general_text(value)
            self.context.annotations.warn(f"quantile value should be between 0 and 1, got {text}", position)

    def inform_of_gauges(self, labels: Sequence[Labels], present: Mask, position: int) -> None:
        """Add an info for each metric whose name does not look like a counter's name."""
        any_value = any_step(present)
        metrics = dict.fromkeys(dict(one).get(NAME, "") for one, used in zip(labels, any_value, strict=True) if used)
        for metric in metrics:
            if metric and not metric.endswith(_COUNTER_SUFFIXES):
                self.context.annotations.inform(
                    f'metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "{metric}"',
                    position,
                )


def general_text(value: float) -> str:
    """Return a number as Go formats it with ``%g``."""
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    return text.removesuffix(".0")
