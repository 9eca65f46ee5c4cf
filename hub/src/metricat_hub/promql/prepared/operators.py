"""Operators in prepared queries. They keep the matching of two vectors until the labels of one vector change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.promql import binary, functions
from metricat_hub.promql.nodes import COMPARISONS
from metricat_hub.promql.prepared.columns import (
    MOST_REMEMBERED,
    NOTHING,
    Column,
    Derived,
    LabelSets,
    Rows,
    Stable,
    all_without_metadata,
    check_distinct,
)
from metricat_hub.promql.prepared.steps import OfTwoVectors, OfVector, Step, names_read_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Binary
    from metricat_hub.promql.prepared.steps import Round
    from metricat_hub.promql.vector import Indices


class Negated(OfVector):
    """The unary minus of a vector."""

    __slots__ = ("_dropped",)

    def __init__(self, child: Step) -> None:
        super().__init__(child, can_fail=not child.is_distinct, is_distinct=True)
        self._dropped = Derived(all_without_metadata)

    def of(self, column: Column, _: Sequence[Values]) -> Column:
        """Return the negative values."""
        return Column(self._dropped.of(column.labels), -column.values)


class NegatedScalar(Step):
    """The unary minus of a scalar."""

    __slots__ = ("_child",)

    def __init__(self, child: Step) -> None:
        super().__init__(child.names, can_fail=child.can_fail)
        self._child = child

    def compute(self, round_: Round) -> Values:
        """Return the negative value."""
        return -self._child.scalar(round_)


class OfScalars(Step):
    """An operator between two scalars."""

    __slots__ = ("_left", "_operator", "_right")

    def __init__(self, node: Binary, left: Step, right: Step) -> None:
        super().__init__(names_read_by(left, right), can_fail=left.can_fail or right.can_fail)
        self._operator = node.operator
        self._left, self._right = left, right

    def compute(self, round_: Round) -> Values:
        """Return the result; for a comparison 1 or 0."""
        left, right = self._left.scalar(round_), self._right.scalar(round_)
        if self._operator in COMPARISONS:
            return functions.compared(self._operator, left, right).astype(np.float64)
        return functions.arithmetic(self._operator, left, right)


class OfVectorAndScalar(OfVector):
    """An operator between a vector and a scalar, on either side."""

    __slots__ = (
        "_compares",
        "_dropped",
        "_node",
        "_operation",
        "_rows",
        "_vector_left",
    )

    def __init__(self, node: Binary, vector: Step, scalar: Step, *, vector_left: bool) -> None:
        compares = node.operator in COMPARISONS and not node.return_bool
        is_distinct = not compares or vector.is_distinct
        super().__init__(vector, scalar, can_fail=not (compares or vector.is_distinct), is_distinct=is_distinct)
        self._node = node
        self._compares = node.operator in COMPARISONS
        self._operation = functions.operation(node.operator)
        self._vector_left = vector_left
        self._rows = Rows()
        self._dropped = Derived(all_without_metadata)

    def of(self, vector: Column, scalars: Sequence[Values]) -> Column:
        """Return the result for each series; for a comparison without `bool`, the series for which it is true."""
        if not vector.labels:
            return NOTHING
        [scalar] = scalars
        left, right = (vector.values, scalar) if self._vector_left else (scalar, vector.values)
        found = self._operation(left, right)
        if not self._compares:
            return Column(self._dropped.of(vector.labels), found)
        if self._node.return_bool:
            return Column(self._dropped.of(vector.labels), found.astype(np.float64))
        return self._rows.chosen(vector.labels, vector.values, found)


@dataclass(slots=True)
class _Pairs:
    """The pairs of series that match, and the labels of their results."""

    left: Indices | None
    """The rows of the left side; None: all, in order."""
    right: Indices | None
    labels: LabelSets
    is_distinct: bool


class OfVectors(OfTwoVectors):
    """An arithmetic operator or a comparison between two vectors, without `fill`."""

    __slots__ = ("_matched", "_node", "_pairs", "_rows", "_stable")

    def __init__(self, node: Binary, left: Step, right: Step) -> None:
        matching = node.matching
        of_all_labels = matching.cardinality == "one-to-one" and not matching.on and not matching.labels
        is_distinct = of_all_labels and left.is_distinct and right.is_distinct
        super().__init__(left, right, can_fail=not is_distinct, is_distinct=is_distinct)
        self._node = node
        self._matched: tuple[LabelSets, LabelSets] | None = None
        """The labels of the vectors in `pairs`."""
        self._pairs = _Pairs(None, None, (), is_distinct=True)
        self._stable = Stable()
        self._rows = Rows()

    def of(self, left: Column, right: Column, round_: Round) -> Column:
        """Return the result of each matching pair of series; for a comparison without `bool`, only of true pairs."""
        if not len(left.labels) or not len(right.labels):
            return NOTHING
        known = self._matched
        if known is None or left.labels is not known[0] or right.labels is not known[1]:
            self._match(left.labels, right.labels, round_)
        pairs, node = self._pairs, self._node
        one = left.values if pairs.left is None else left.values[pairs.left]
        other = right.values if pairs.right is None else right.values[pairs.right]
        if node.operator not in COMPARISONS:
            result = Column(pairs.labels, functions.arithmetic(node.operator, one, other))
        else:
            holds = functions.compared(node.operator, one, other)
            if node.return_bool:
                result = Column(pairs.labels, holds.astype(np.float64))
            else:
                result = self._rows.chosen(pairs.labels, one, holds)
        if not pairs.is_distinct:
            check_distinct(result.labels)
        return result

    def _match(self, left: LabelSets, right: LabelSets, round_: Round) -> None:
        many, single, labels = binary.matched_pairs(self._node, left, right, round_.context.usage.allocate)
        swapped = self._node.matching.cardinality == "one-to-many"
        one, other = (single, many) if swapped else (many, single)
        known = self._stable(labels)
        is_distinct = len(set(known)) == len(known)
        self._pairs = _Pairs(_in_order(one, len(left)), _in_order(other, len(right)), known, is_distinct)
        self._matched = (left, right) if len(left) + len(right) <= MOST_REMEMBERED else None


class Intersection(OfTwoVectors):
    """The set operators `and` and `unless`."""

    __slots__ = ("_chosen", "_intersects", "_labels", "_matched", "_matching", "_stable")

    def __init__(self, node: Binary, left: Step, right: Step) -> None:
        super().__init__(left, right, can_fail=False, is_distinct=left.is_distinct)
        self._matching = node.matching
        self._intersects = node.operator == "and"
        self._matched: tuple[LabelSets, LabelSets] | None = None
        """The labels of the vectors from which `chosen` was computed."""
        self._chosen: Indices | None = None
        self._labels: LabelSets = ()
        self._stable = Stable()

    def compute(self, round_: Round) -> Column:
        """Return the left series with a match on the right side (`and`), or without a match (`unless`)."""
        left = self._left.column(round_)
        if not len(left.labels):
            if self._right.can_fail:
                self._right.column(round_)
            return NOTHING
        right = self._right.column(round_)
        if not len(right.labels):
            return NOTHING if self._intersects else left
        return self.kept(left, right, round_)

    def of(self, left: Column, right: Column, _: Round) -> Column:
        """Return the left series with or without a match, of vectors that are not empty."""
        known = self._matched
        if known is None or left.labels is not known[0] or right.labels is not known[1]:
            one, other, count = binary.match_groups(left.labels, right.labels, self._matching)
            found = np.zeros(count, dtype=bool)
            found[other] = True
            chosen = np.flatnonzero(found[one] if self._intersects else ~found[one])
            self._chosen = _in_order(chosen, len(left.labels))
            self._labels = left.labels if self._chosen is None else self._stable([left.labels[i] for i in chosen])
            total = len(left.labels) + len(right.labels)
            self._matched = (left.labels, right.labels) if total <= MOST_REMEMBERED else None
        return left if self._chosen is None else Column(self._labels, left.values[self._chosen])


class Union(OfTwoVectors):
    """The set operator `or`."""

    __slots__ = ("_labels", "_matched", "_matching", "_rows", "_stable")

    def __init__(self, node: Binary, left: Step, right: Step) -> None:
        super().__init__(left, right, is_distinct=left.is_distinct and right.is_distinct)
        self._matching = node.matching
        self._matched: tuple[LabelSets, LabelSets] | None = None
        """The labels of the vectors from which `rows` was computed."""
        self._rows: Indices = np.empty(0, np.intp)
        self._labels: LabelSets = ()
        self._stable = Stable()

    def of(self, left: Column, right: Column, _: Round) -> Column:
        """Return the left series, and the right series without a match on the left side."""
        if not len(left.labels):
            return right
        if not len(right.labels):
            return left
        known = self._matched
        if known is None or left.labels is not known[0] or right.labels is not known[1]:
            one, other, count = binary.match_groups(left.labels, right.labels, self._matching)
            found = np.zeros(count, dtype=bool)
            found[one] = True
            self._rows = np.flatnonzero(~found[other])
            self._labels = self._stable(left.labels + tuple(right.labels[i] for i in self._rows))
            check_distinct(self._labels)
            total = len(left.labels) + len(right.labels)
            self._matched = (left.labels, right.labels) if total <= MOST_REMEMBERED else None
        if not len(self._rows):
            return left
        return Column(self._labels, np.concatenate([left.values, right.values[self._rows]]))


def _in_order(rows: Indices, count: int) -> Indices | None:
    """Return None for the rows 0, 1, ..., count - 1, the rows themselves otherwise."""
    return None if len(rows) == count and bool((rows == np.arange(count)).all()) else rows
