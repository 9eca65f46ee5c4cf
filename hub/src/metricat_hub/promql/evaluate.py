"""Evaluates a syntax tree. The value of a node has one row for each series and one column for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import InvalidQueryError, QueryError
from metricat_hub.promql import aggregates, binary, functions, label_functions, matchers
from metricat_hub.promql.evaluate_calls import CallEvaluator
from metricat_hub.promql.evaluate_ranges import general_text
from metricat_hub.promql.invariance import is_invariant
from metricat_hub.promql.nodes import (
    COMPARISONS,
    Aggregate,
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
    unwrapped,
)
from metricat_hub.promql.vector import (
    Grid,
    Vector,
)

if TYPE_CHECKING:
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.evaluate_selectors import Value


class Evaluator(CallEvaluator):
    """Evaluates nodes at the evaluation times of a query or subquery."""

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
        """Add a warning for each ratio outside -1 to 1; raise `QueryError` if a ratio is NaN."""
        if bool(np.isnan(ratio).any()):
            raise QueryError("Ratio value is NaN. Use a number from -1 to 1.")
        for value, limit in ((float(ratio.max()), 1), (float(ratio.min()), -1)):
            if abs(value) > 1 and value * limit > 0:
                self.context.annotations.warn(
                    f"ratio value should be between -1 and 1, got {general_text(value)}, capping to {limit}", position
                )


def _bounds(parameter: Values) -> Values:
    """Return the values of a parameter that warnings may name: NaN if any, the greatest and the least."""
    nan = np.isnan(parameter)
    found = [np.nan] if bool(nan.any()) else []
    if not bool(nan.all()):
        found += [float(np.nanmax(parameter)), float(np.nanmin(parameter))]
    return np.array(found)


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
