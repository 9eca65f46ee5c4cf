"""Prepared queries, and their compilation from syntax trees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from metricat_hub.promql import functions, parser
from metricat_hub.promql.aggregates import REDUCTIONS
from metricat_hub.promql.nodes import (
    SET_OPERATORS,
    Aggregate,
    Binary,
    Call,
    Negation,
    Node,
    Number,
    RangeSelector,
    Selector,
    Subquery,
    Text,
    kind,
    unwrapped,
)
from metricat_hub.promql.prepared import calls, operators
from metricat_hub.promql.prepared.aggregation import Aggregation
from metricat_hub.promql.prepared.selections import Rollup, Selection, SharedRange, SharedSamples, names_of
from metricat_hub.promql.prepared.steps import Constant, General, Step
from metricat_hub.promql.printing import text
from metricat_hub.promql.rollups import EXTRAPOLATED, OF_ONE_WINDOW, ROLLUPS

if TYPE_CHECKING:
    from collections.abc import Collection

    from metricat_hub.promql.prepared.steps import Round, Value

_CLAMPS: Final = frozenset({"clamp", "clamp_max", "clamp_min"})
_RELABELS: Final = frozenset({"label_join", "label_replace"})
_NOT_PREPARED: Final = frozenset({"absent_over_time", "count_over_time", "double_exponential_smoothing"})
"""Functions of range vectors that need a special evaluation."""


class Prepared:
    """A query compiled for repeated evaluation, each time at one time. Not thread-safe."""

    def __init__(self, step: Step) -> None:
        self._step = step

    def evaluate(self, round_: Round) -> Value:
        """Return the value of the query at the time of the round. Errors: see `Engine.instant`.

        The caller sets `np.errstate(all="ignore")`, once for all queries of a round.
        """
        round_.context.usage.check()
        return self._step.value(round_)


class Preparation:
    """Compiles queries. Equal parts become one shared step, which is evaluated once for all queries of a `Round`."""

    def __init__(self, recorded: Collection[str] = ()) -> None:
        """Begin without queries. `recorded` has the names of the metrics that the rules of a round record."""
        self._steps: dict[str, Step] = {}
        self._recorded = recorded
        self._shared_samples: dict[int, list[SharedSamples]] = {}
        """By offset."""

    def prepare(self, query: str) -> Prepared | None:
        """Compile a query for repeated evaluation; return None if its value is a range vector.

        Raises:
            InvalidQueryError: the query is not valid.
            UnsupportedQueryError: the query uses native histograms.
            LimitError: the query is too long or nested too deep.
        """
        node = parser.parse(query)
        return None if kind(node) == "matrix" else Prepared(self._step(node))

    def _step(self, node: Node) -> Step:
        node = unwrapped(node)
        key = text(node)
        found = self._steps.get(key)
        if found is None:
            found = self._steps[key] = self._compiled(node)
        found.uses += 1
        return found

    def _compiled(self, node: Node) -> Step:  # noqa: PLR0911 # one case for each kind of node
        match node:
            case Number():
                return Constant(np.array([node.value]))
            case Text():
                return Constant(node.value)
            case Selector(modifier=""):
                return Selection(node)
            case Negation():
                child = self._step(node.expression)
                if isinstance(child, Constant) and not isinstance(child.constant, str):
                    return Constant(-child.constant)
                return (operators.NegatedScalar if kind(node) == "scalar" else operators.Negated)(child)
            case Aggregate() if node.operator in REDUCTIONS:
                parameter = None if node.parameter is None else self._step(node.parameter)
                return Aggregation(node, self._step(node.expression), parameter)
            case Binary():
                return self._binary(node)
            case Call():
                return self._call(node)
            case _:
                return General(node)

    def _binary(self, node: Binary) -> Step:
        if node.matching.fill_left is not None or node.matching.fill_right is not None:
            return General(node)
        left, right = self._step(node.left), self._step(node.right)
        kinds = kind(node.left), kind(node.right)
        if kinds == ("scalar", "scalar"):
            return operators.OfScalars(node, left, right)
        if "scalar" in kinds:
            vector_left = kinds[0] == "vector"
            vector, scalar = (left, right) if vector_left else (right, left)
            return operators.OfVectorAndScalar(node, vector, scalar, vector_left=vector_left)
        if node.operator not in SET_OPERATORS:
            return operators.OfVectors(node, left, right)
        return (operators.Union if node.operator == "or" else operators.Intersection)(node, left, right)

    def _call(self, node: Call) -> Step:  # noqa: PLR0911 # one case for each function
        if node.name in ROLLUPS or node.name in EXTRAPOLATED or node.name == "predict_linear":
            return self._rollup(node)
        if node.name in functions.MATH:
            return calls.Mathematical(node, self._step(node.arguments[0]))
        if node.name in _CLAMPS:
            child, *bounds = map(self._step, node.arguments)
            return calls.Clamped(node, child, bounds)
        if node.name in _RELABELS:
            return calls.Relabelled(node, self._step(node.arguments[0]))
        match node.name:
            case "absent":
                return calls.Absent(node, self._step(node.arguments[0]))
            case "scalar":
                return calls.AsScalar(self._step(node.arguments[0]))
            case "vector":
                return calls.AsVector(self._step(node.arguments[0]))
            case "time":
                return calls.Now()
            case _:
                return General(node)

    def _rollup(self, node: Call) -> Step:
        [argument] = [one for one in map(unwrapped, node.arguments) if kind(one) == "matrix"]
        if isinstance(argument, Subquery) and len(node.arguments) == 1:
            inner = unwrapped(argument.expression)
            is_distinct = isinstance(inner, Selector) and not inner.modifier and names_of(inner.matchers) is not None
            return General(node, can_fail=not is_distinct, is_distinct=is_distinct)
        if not isinstance(argument, RangeSelector) or argument.selector.modifier or node.name in _NOT_PREPARED:
            return General(node)
        scalars = [self._step(one) for one in node.arguments if kind(one) != "matrix"]
        shared = None if scalars else self._shared(node.name, argument)
        return Rollup(node, argument, scalars, shared)

    def _shared(self, function: str, argument: RangeSelector) -> SharedRange | None:
        """Return the selectors that are read with this one; None: its samples may change during the round."""
        selector = argument.selector
        names = names_of(selector.matchers)
        if function not in OF_ONE_WINDOW or selector.at is not None or not names or names & set(self._recorded):
            return None
        samples = self._shared_samples.setdefault(selector.offset, [])
        found = next((range_ for one in samples if (range_ := one.range(argument.range))), None)
        if found is None:
            samples.append(SharedSamples(selector.offset))
            found = samples[-1].range(argument.range)
        return found
