"""Evaluation of function calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from metricat_hub.model.errors import UnsupportedQueryError
from metricat_hub.model.labels import NAME
from metricat_hub.promql import functions, histograms, info, label_functions
from metricat_hub.promql.evaluate_ranges import RangeEvaluator
from metricat_hub.promql.nodes import (
    Call,
    Selector,
    Text,
    unwrapped,
)
from metricat_hub.promql.rollups import EXTRAPOLATED, ROLLUPS
from metricat_hub.promql.vector import (
    Vector,
    all_without_metadata,
    any_series,
    merged,
)

if TYPE_CHECKING:
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.evaluate_selectors import Value
    from metricat_hub.promql.vector import Mask

_NATIVE: Final = frozenset(
    {"histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"}
)
_SORTS: Final = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc"})


class CallEvaluator(RangeEvaluator):
    """Evaluates function calls."""

    def call(self, node: Call) -> Value:
        """Return the value of a function call."""
        name = node.name
        if name in ROLLUPS or name in EXTRAPOLATED or name == "predict_linear":
            return self.rollup(node)
        if name in functions.MATH:
            vector = self.vector(node.arguments[0])
            return self.dropped(vector.with_values(functions.MATH[name](vector.values)))
        if name in functions.DATES:
            return self.date(node)
        if name in _NATIVE:
            self.vector(node.arguments[0])
            raise UnsupportedQueryError(
                f"`{name}` works on native histograms, which the hub does not support."
                " Use classic histograms: `_bucket`, `_sum` and `_count` series."
            )
        if name in _SORTS:
            return self.sorted(node)
        method = getattr(self, f"_call_{name}")
        value: Value = method(node)
        return value

    def dropped(self, vector: Vector) -> Vector:
        """Return the vector without metric names. With delayed name removal, only mark the names as dropped."""
        if self.context.delayed_names:
            return Vector(vector.labels, vector.values, vector.present, [True] * len(vector))
        labels = list(all_without_metadata(vector.labels))
        return merged(Vector(labels, vector.values, vector.present, vector.drops))

    def _call_time(self, _: Call) -> Values:
        return self.times / 1000

    def _call_pi(self, _: Call) -> Values:
        return np.full(self.steps, np.pi)

    def _call_start(self, _: Call) -> Values:
        return np.full(self.steps, self.context.query.start / 1000)

    def _call_end(self, _: Call) -> Values:
        return np.full(self.steps, self.context.query.end / 1000)

    def _call_range(self, _: Call) -> Values:
        return np.full(self.steps, (self.context.query.end - self.context.query.start) / 1000)

    def _call_step(self, _: Call) -> Values:
        query = self.context.query
        return np.full(self.steps, query.step / 1000 if query.start != query.end else 0.0)

    def _call_max_of(self, node: Call) -> Values:
        return functions.greater(self.scalar(node.arguments[0]), self.scalar(node.arguments[1]))

    def _call_min_of(self, node: Call) -> Values:
        return functions.lesser(self.scalar(node.arguments[0]), self.scalar(node.arguments[1]))

    def _call_scalar(self, node: Call) -> Values:
        vector = self.vector(node.arguments[0])
        if not len(vector):
            return np.full(self.steps, np.nan)
        row = vector.present.argmax(axis=0)
        value = vector.values[row, np.arange(self.steps)]
        return np.where(vector.present.sum(axis=0) == 1, value, np.nan)

    def _call_vector(self, node: Call) -> Vector:
        values = self.scalar(node.arguments[0])[None]
        return Vector.of([()], values, np.ones_like(values, dtype=bool))

    def _call_timestamp(self, node: Call) -> Vector:
        selector = unwrapped(node.arguments[0])
        if isinstance(selector, Selector) and not selector.modifier:
            vector, seconds = self.instant_with_times(selector, "timestamp")
        else:
            vector = self.vector(selector)
            seconds = np.broadcast_to(self.times / 1000, vector.values.shape)
        return self.dropped(vector.with_values(seconds))

    def _call_start_timestamp(self, node: Call) -> Vector:
        self.vector(node.arguments[0])
        return Vector.empty(self.steps)  # Prometheus without its feature `use-start-timestamps` does the same.

    def _call_clamp(self, node: Call) -> Vector:
        low, high = (self.scalar(argument) for argument in node.arguments[1:])
        return self.clamped(self.vector(node.arguments[0]), low, high)

    def _call_clamp_min(self, node: Call) -> Vector:
        vector, low = self.vector(node.arguments[0]), self.scalar(node.arguments[1])
        return self.clamped(vector, low, np.full(self.steps, np.inf))

    def _call_clamp_max(self, node: Call) -> Vector:
        vector, high = self.vector(node.arguments[0]), self.scalar(node.arguments[1])
        return self.clamped(vector, np.full(self.steps, -np.inf), high)

    def clamped(self, vector: Vector, low: Values, high: Values) -> Vector:
        """Clamp the values between `low` and `high`. A step with `low` above `high` has no values."""
        present = vector.present & ~(high < low)
        values = functions.clamped(vector.values, low, high)
        return self.dropped(Vector(vector.labels, values, present, vector.drops).without_absent())

    def _call_round(self, node: Call) -> Vector:
        nearest = self.scalar(node.arguments[1]) if len(node.arguments) > 1 else np.ones(self.steps)
        vector = self.vector(node.arguments[0])
        return self.dropped(vector.with_values(functions.rounded(vector.values, nearest)))

    def date(self, node: Call) -> Vector:
        """Evaluate a date function, for the values of a vector or for the time of the evaluation."""
        if not node.arguments:
            values = functions.date_part(node.name, (self.times // 1000).astype(np.float64))[None]
            return Vector.of([()], values, np.ones_like(values, dtype=bool))
        vector = self.vector(node.arguments[0])
        return self.dropped(vector.with_values(functions.date_part(node.name, vector.values)))

    def sorted(self, node: Call) -> Vector:
        """Evaluate a sort function. In a range query, add a warning and return the series without sorting them."""
        vector = self.vector(node.arguments[0])
        if self.steps > 1 or self.context.query.start != self.context.query.end:
            self.context.annotations.warn(
                "sort is ineffective for range queries since results are always ordered by labels", node.position
            )
            return vector
        if node.name.startswith("sort_by_label"):
            names = [argument.value for argument in map(unwrapped, node.arguments[1:]) if isinstance(argument, Text)]
            order = label_functions.natural_order(vector.labels, names, descending=node.name.endswith("_desc"))
            return vector.rows(order)
        values = vector.values[:, 0]
        keys = -values if node.name == "sort_desc" else values
        return vector.rows(np.lexsort((keys, np.isnan(values))))

    def _call_absent(self, node: Call) -> Vector:
        vector = self.vector(node.arguments[0])
        present = ~any_series(vector.present)[None] if len(vector) else np.ones((1, self.steps), dtype=bool)
        labels = label_functions.absent_labels(unwrapped(node.arguments[0]))
        return Vector.of([labels], np.ones((1, self.steps)), present).without_absent()

    def _call_label_replace(self, node: Call) -> Vector:
        vector = self.vector(node.arguments[0])
        texts = [argument.value for argument in map(unwrapped, node.arguments[1:]) if isinstance(argument, Text)]
        return label_functions.replaced(vector, *texts)

    def _call_label_join(self, node: Call) -> Vector:
        vector = self.vector(node.arguments[0])
        texts = [argument.value for argument in map(unwrapped, node.arguments[1:]) if isinstance(argument, Text)]
        return label_functions.joined(vector, texts[0], texts[1], texts[2:])

    def _call_info(self, node: Call) -> Vector:
        return info.enriched(self, node)

    def _call_histogram_quantile(self, node: Call) -> Vector:
        q = self.scalar(node.arguments[0])
        self.check_quantile(q, node.arguments[0].position)
        rows = self.quantiles(self.vector(node.arguments[1]), q, node.arguments[1].position)
        return self.dropped(rows)

    def _call_histogram_quantiles(self, node: Call) -> Vector:
        vector = self.vector(node.arguments[0])
        label = unwrapped(node.arguments[1])
        assert isinstance(label, Text)  # noqa: S101 # the parser has checked the types
        parts = []
        for argument in node.arguments[2:]:
            q = self.scalar(argument)
            self.check_quantile(q, argument.position)
            rows = self.quantiles(vector, q, node.arguments[0].position)
            parts += label_functions.labelled_by_value(rows, label.value, q)
        return self.dropped(label_functions.concatenated(parts, self.steps))

    def quantiles(self, vector: Vector, q: Values, position: int) -> Vector:
        """Evaluate `histogram_quantile` for the classic histograms in a vector."""
        annotations, named = self.context.annotations, self.context.delayed_names
        found = histograms.histograms(vector, annotations, position, names=named)
        values, present = np.empty((len(found), self.steps)), np.empty((len(found), self.steps), dtype=bool)
        for row, histogram in enumerate(found):
            forced = np.zeros(self.steps, dtype=bool)
            changes: list[tuple[float, float, float]] = []

            def compute(
                columns: Times,
                bounds: Values,
                counts: Values,
                forced: Mask = forced,
                changes: list[tuple[float, float, float]] = changes,
            ) -> Values:
                part = np.zeros(len(columns), dtype=bool)
                result = histograms.quantile(q[columns], bounds, counts, part, changes)
                forced[columns] = part
                return result

            values[row], present[row] = histograms.evaluated(histogram, compute)
            if changes:
                metric = dict(histogram.labels).get(NAME, "") if named else ""
                annotations.forced_monotonicity(metric, position, histograms.monotonicity(forced, changes, self.times))
        return Vector([h.labels for h in found], values, present, [h.drop for h in found])

    def _call_histogram_fraction(self, node: Call) -> Vector:
        lower, upper = self.scalar(node.arguments[0]), self.scalar(node.arguments[1])
        vector = self.vector(node.arguments[2])
        found = histograms.histograms(
            vector, self.context.annotations, node.arguments[2].position, names=self.context.delayed_names
        )
        values, present = np.empty((len(found), self.steps)), np.empty((len(found), self.steps), dtype=bool)
        for row, histogram in enumerate(found):
            values[row], present[row] = histograms.evaluated(
                histogram,
                lambda columns, bounds, counts: histograms.fraction(lower[columns], upper[columns], bounds, counts),
            )
        return self.dropped(Vector([h.labels for h in found], values, present, [h.drop for h in found]))
