"""Evaluates a syntax tree. The value of a node has one row for each series and one column for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from metricat_hub.model.errors import InvalidQueryError, QueryError, UnsupportedQueryError
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import NewestSamples, SampleBlocks
from metricat_hub.model.samples import is_stale
from metricat_hub.promql import aggregates, binary, extended, functions, histograms, info, label_functions, matchers
from metricat_hub.promql.invariance import is_invariant
from metricat_hub.promql.nodes import (
    COMPARISONS,
    Aggregate,
    At,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    kind,
    unwrapped,
)
from metricat_hub.promql.rollups import EXTRAPOLATED, ROLLUPS, Rolled, extrapolated, predict_linear
from metricat_hub.promql.vector import (
    Grid,
    Vector,
    all_distinct,
    all_without_metadata,
    any_series,
    any_step,
    merged,
    same_labels,
    without_metadata,
)
from metricat_hub.promql.windows import Block, blocks, grouped, of_blocks, without_stale

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Series
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.context import Context
    from metricat_hub.promql.nodes import Modifier
    from metricat_hub.promql.vector import Mask

Value: TypeAlias = "Vector | Values | str"
"""A vector, a scalar (one value for each step) or a string."""

_COUNTER_SUFFIXES: Final = ("_total", "_sum", "_count", "_bucket")
_NATIVE: Final = frozenset(
    {"histogram_avg", "histogram_count", "histogram_sum", "histogram_stddev", "histogram_stdvar"}
)
_SORTS: Final = frozenset({"sort", "sort_desc", "sort_by_label", "sort_by_label_desc"})


class Evaluator:
    """Evaluates nodes at the evaluation times of a query or subquery."""

    def __init__(self, context: Context, grid: Grid) -> None:
        self.context = context
        self.grid = grid
        self.times = grid.times
        self.steps = len(self.times)

    def evaluate(self, node: Node) -> Value:  # noqa: C901, PLR0911 # one case for each kind of node
        """Return the value of a node. A node with the same value at every step is evaluated only once."""
        self.context.usage.check()
        if self.steps > 1 and is_invariant(node) and not isinstance(node, Number | Text):
            once = Evaluator(self.context, Grid(self.grid.start, self.grid.start, self.grid.step))
            return _repeated(once.evaluate(node), self.steps)
        match node:
            case Number():
                return np.full(self.steps, node.value)
            case Text():
                return node.value
            case Paren():
                return self.evaluate(node.expression)
            case Selector():
                return self.instant(node)
            case Negation():
                return self.negation(node)
            case Aggregate():
                return self.aggregate(node)
            case Binary():
                return self.binary(node)
            case Call():
                return self.call(node)
            case RangeSelector() | Subquery():
                raise InvalidQueryError("a range vector has no value at a step. Apply a function, for example `rate`.")

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

    # Selectors

    def references(self, offset: int, at: At) -> Times:
        """Return the times that a selector refers to at each step."""
        fixed = self.context.time(at)
        return (self.times if fixed is None else np.full(self.steps, fixed)) - offset

    def instant(self, node: Selector, function: str = "") -> Vector:
        """Return the newest value of each series within the lookback period."""
        return self.instant_with_times(node, function)[0]

    def instant_with_times(self, node: Selector, function: str = "") -> tuple[Vector, Values]:
        """Return the newest value of each series within the lookback period, and the sample times in seconds."""
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
        inner = Evaluator(self.context, Grid(start, last - node.offset, step))
        self.context.usage.limits.check_samples(inner.steps)
        if inner.steps == 0:
            return inner.times, Vector.empty(0)
        return inner.times, inner.vector(node.expression)

    # Calls

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
        """Evaluate a sort function for an instant query."""
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

    # Histograms

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

    def check_quantile(self, q: Values, position: int) -> None:
        """Add a warning for each quantile outside 0 to 1."""
        for value in dict.fromkeys(q[~((q >= 0) & (q <= 1))].tolist()):
            text = "NaN" if np.isnan(value) else _general(value)
            self.context.annotations.warn(f"quantile value should be between 0 and 1, got {text}", position)

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

    # Functions of range vectors

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
        """Return the rows with values, without dropped metric names, unless name removal is delayed."""
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
        """Add a warning for each scalar argument that is out of range, or raise an error."""
        used = any_series(present)
        if name == "quantile_over_time":
            self.check_quantile(scalars[0][used], node.arguments[0].position)
        if name == "double_exponential_smoothing" and len(present):
            for factor, what in zip(scalars, ("smoothing", "trend"), strict=True):
                wrong = factor[~((factor > 0) & (factor < 1))]
                if len(wrong):
                    raise QueryError(
                        f"invalid {what} factor. Expected: 0 < {what[0]}f < 1, got: {wrong[0]:f}. Use such a number."
                    )

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

    # Operators

    def negation(self, node: Negation) -> Value:
        """Evaluate a negation."""
        value = self.evaluate(node.expression)
        if isinstance(value, Vector):
            return self.dropped(value.with_values(-value.values))
        assert isinstance(value, np.ndarray)  # noqa: S101 # the parser has checked the types
        return -value

    def binary(self, node: Binary) -> Value:
        """Evaluate a binary operator."""
        left, right = self.evaluate(node.left), self.evaluate(node.right)
        if isinstance(left, Vector) and isinstance(right, Vector):
            self.context.usage.check()
            if node.matching.cardinality == "many-to-many":
                return binary.set_operation(node.operator, left, right, node.matching)
            return binary.vector_operation(
                node, left, right, self.context.usage.allocate, drop_names=not self.context.delayed_names
            )
        if isinstance(left, Vector) or isinstance(right, Vector):
            vector, scalar = (left, right) if isinstance(left, Vector) else (right, left)
            assert isinstance(vector, Vector)  # noqa: S101 # one of them is
            assert isinstance(scalar, np.ndarray)  # noqa: S101 # the parser has checked the types
            result = binary.scalar_operation(node, vector, scalar, vector_left=isinstance(left, Vector))
            compares = node.operator in COMPARISONS and not node.return_bool
            return result if compares else self.dropped(result)
        assert isinstance(left, np.ndarray)  # noqa: S101 # the parser has checked the types
        assert isinstance(right, np.ndarray)  # noqa: S101 # the parser has checked the types
        if node.operator in COMPARISONS:
            return functions.compared(node.operator, left, right).astype(np.float64)
        return functions.arithmetic(node.operator, left, right)

    def aggregate(self, node: Aggregate) -> Vector:
        """Evaluate an aggregation."""
        if node.operator == "count_values":
            label = node.parameter and unwrapped(node.parameter)
            assert isinstance(label, Text)  # noqa: S101 # the parser has checked the types
            if not matchers.is_label_name(label.value):
                raise InvalidQueryError(
                    f"invalid label name {label_functions.quoted(label.value)}. Use valid UTF-8 that is not empty."
                )
            vector = self.vector(node.expression)
            return aggregates.count_values(vector, node, label.value, self.context.usage.allocate)
        parameter = np.empty(0) if node.parameter is None else self.scalar(node.parameter)
        vector = self.vector(node.expression)
        self.context.usage.check()
        if node.operator in aggregates.REDUCTIONS:
            if node.operator == "quantile" and node.parameter is not None:
                self.check_quantile(_bounds(parameter), node.parameter.position)
            return aggregates.reduced(vector, node, parameter)
        assert node.parameter is not None  # noqa: S101 # these operators have a parameter
        if node.operator == "limit_ratio":
            self.check_ratio(parameter, node.parameter.position)
        elif self.steps and float(np.fmax.reduce(parameter)) < 1:
            return Vector.empty(self.steps)
        else:
            aggregates.check_count(parameter)
        return aggregates.selected(vector, node, parameter)

    def check_ratio(self, ratio: Values, position: int) -> None:
        """Add a warning for each ratio outside -1 to 1."""
        if bool(np.isnan(ratio).any()):
            raise QueryError("Ratio value is NaN. Use a number from -1 to 1.")
        for value, limit in ((float(ratio.max()), 1), (float(ratio.min()), -1)):
            if abs(value) > 1 and value * limit > 0:
                self.context.annotations.warn(
                    f"ratio value should be between -1 and 1, got {_general(value)}, capping to {limit}", position
                )


def _newest(found: NewestSamples) -> tuple[Vector, Values]:
    """Return the values of one step, and the times of the samples in seconds."""
    vector = Vector.of(list(found.labels), found.values[:, None], ~is_stale(found.values)[:, None])
    return vector.without_absent(), (found.times[vector.present[:, 0]] / 1000)[:, None]


def _bounds(parameter: Values) -> Values:
    """Return the values of a parameter that warnings may name: NaN if any, the greatest and the least."""
    nan = np.isnan(parameter)
    found = [np.nan] if bool(nan.any()) else []
    if not bool(nan.all()):
        found += [float(np.nanmax(parameter)), float(np.nanmin(parameter))]
    return np.array(found)


def _general(value: float) -> str:
    """Return a number as Go formats it with ``%g``."""
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    return text.removesuffix(".0")


def _repeated(value: Value, steps: int) -> Value:
    """Repeat the value of one step for all steps."""
    if isinstance(value, str):
        return value
    if isinstance(value, Vector):
        shape = (len(value), steps)
        return Vector(
            value.labels, np.broadcast_to(value.values, shape), np.broadcast_to(value.present, shape), value.drops
        )
    return np.broadcast_to(value, steps)
