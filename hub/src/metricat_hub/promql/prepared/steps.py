"""The base classes of the steps of prepared queries. A step evaluates one node of the syntax tree."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np

from metricat_hub.promql.prepared.columns import MOST_KEPT_VALUES, NOTHING, Column, Rows, Stable, Unchanged
from metricat_hub.promql.vector import Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import BatchReader, Matcher
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.context import Context
    from metricat_hub.promql.evaluate import Evaluator
    from metricat_hub.promql.limits import Usage
    from metricat_hub.promql.nodes import Node


@runtime_checkable
class NewestReader(Protocol):
    """A reader that keeps the newest samples of all selectors of a round."""

    def newest(self, matchers: tuple[Matcher, ...], start: int, end: int, usage: Usage) -> Column | None:
        """Return the newest sample of each series that has not ended; None: select the samples instead."""
        ...


Value: TypeAlias = "Column | Values | str"
"""A vector, a scalar (an array of one value) or a string."""


@dataclass(slots=True)
class Round:
    """Queries that are evaluated together at one time, such as those of all rules. They share results."""

    context: Context
    """The context of the query that is evaluated now."""
    evaluator: Evaluator
    """Evaluates the parts of queries that have no step of their own."""
    newest: NewestReader | None
    """The reader of the samples, if it is a `NewestReader`."""
    batches: BatchReader | None
    """The reader of the samples, if it is a `BatchReader`."""
    version: int = 0
    """The number of rules that have recorded samples at this time."""
    recorded: dict[str, int] = field(default_factory=dict)
    """The version at which samples were last recorded, by metric name."""

    def end_query(self) -> None:
        """Forget the samples and the usage of a query, because the limits apply to each query."""
        self.context.forget()
        self.context.usage.restart()

    def record(self, name: str) -> None:
        """Invalidate the results that depend on a metric, because a rule has recorded it."""
        self.version += 1
        self.recorded[name] = self.version


class Step(ABC):
    """Evaluates a part of a query. It caches data that rarely changes between evaluations. Not thread-safe."""

    __slots__ = ("_result", "_round", "_version", "can_fail", "is_distinct", "names", "uses")

    def __init__(self, names: frozenset[str] | None, *, can_fail: bool = True, is_distinct: bool = False) -> None:
        self.names = names
        """The names of all metrics that the step reads; None: unknown."""
        self.can_fail = can_fail
        """Whether the evaluation may raise an error. Such a step is evaluated even if its result is not needed."""
        self.is_distinct = is_distinct
        """Whether the series always differ in other labels than the metric name. They stay distinct without names."""
        self.uses = 0
        """The number of steps and queries that use the result of the step."""
        self._round: Round | None = None
        self._version = 0
        self._result: Value = NOTHING

    @abstractmethod
    def compute(self, round_: Round) -> Value:
        """Return the value at the time of the round."""

    def value(self, round_: Round) -> Value:
        """Return the value at the time of the round, computed once for each round."""
        return self.compute(round_) if self.uses < 2 else self._once(round_)

    def _once(self, round_: Round) -> Value:
        if self._round is not round_ or (self._version < round_.version and not self._is_current(round_)):
            self._result = self.compute(round_)
            self._round, self._version = round_, round_.version
        return self._result

    def _is_current(self, round_: Round) -> bool:
        if self.names is None:
            return False
        recorded = round_.recorded
        return all(recorded.get(name, 0) <= self._version for name in self.names)

    def column(self, round_: Round) -> Column:
        """Return the value of a step that is a vector."""
        value = self.compute(round_) if self.uses < 2 else self._once(round_)
        assert isinstance(value, Column)  # noqa: S101 # the parser has checked the types
        return value

    def scalar(self, round_: Round) -> Values:
        """Return the value of a step that is a scalar, as an array of one value."""
        value = self.value(round_)
        assert isinstance(value, np.ndarray)  # noqa: S101 # the parser has checked the types
        return value


class OfVector(Step):
    """A step whose value depends only on a vector and scalars.

    While the vector is the same object and the scalars are constants, the step returns its last value.
    """

    __slots__ = ("_child", "_constants", "_from", "_last", "_scalars")

    def __init__(self, child: Step, *scalars: Step, can_fail: bool = True, is_distinct: bool = False) -> None:
        can_fail = can_fail or child.can_fail or any(one.can_fail for one in scalars)
        super().__init__(names_read_by(child, *scalars), can_fail=can_fail, is_distinct=is_distinct)
        self._child = child
        self._scalars = scalars
        constants = [one.constant for one in scalars if isinstance(one, Constant) and not isinstance(one.constant, str)]
        self._constants = constants if len(constants) == len(scalars) else None
        self._from: Column | None = None
        self._last: Value = NOTHING

    @abstractmethod
    def of(self, column: Column, scalars: Sequence[Values]) -> Value:
        """Return the value for a vector and scalars."""

    def compute(self, round_: Round) -> Value:
        """Return the value at the time of the round."""
        column = self._child.column(round_)
        if self._constants is None:
            return self.of(column, [one.scalar(round_) for one in self._scalars])
        if column is not self._from:
            self._from = None
            self._last = self.of(column, self._constants)
            self._from = column if len(column.labels) <= MOST_KEPT_VALUES else None
        return self._last


class OfTwoVectors(Step):
    """A step whose value depends only on two vectors. While they are the same objects, it returns its last value."""

    __slots__ = ("_from_left", "_from_right", "_last", "_left", "_right")

    def __init__(self, left: Step, right: Step, *, can_fail: bool = True, is_distinct: bool = False) -> None:
        can_fail = can_fail or left.can_fail or right.can_fail
        super().__init__(names_read_by(left, right), can_fail=can_fail, is_distinct=is_distinct)
        self._left, self._right = left, right
        self._from_left: Column | None = None
        self._from_right: Column | None = None
        self._last = NOTHING

    @abstractmethod
    def of(self, left: Column, right: Column, round_: Round) -> Column:
        """Return the value for two vectors."""

    def compute(self, round_: Round) -> Column:
        """Return the value at the time of the round."""
        return self.kept(self._left.column(round_), self._right.column(round_), round_)

    def kept(self, left: Column, right: Column, round_: Round) -> Column:
        """Return the value for two vectors: the last one if they have not changed."""
        if left is not self._from_left or right is not self._from_right:
            self._from_left = self._from_right = None
            self._last = self.of(left, right, round_)
            if len(left.labels) + len(right.labels) <= MOST_KEPT_VALUES:
                self._from_left, self._from_right = left, right
        return self._last


class General(Step):
    """Evaluates a node with the general evaluator for range queries."""

    __slots__ = ("_node", "_rows", "_stable", "_unchanged")

    def __init__(self, node: Node, *, can_fail: bool = True, is_distinct: bool = False) -> None:
        super().__init__(None, can_fail=can_fail, is_distinct=is_distinct)
        self._node = node
        self._stable = Stable()
        self._rows = Rows()
        self._unchanged = Unchanged()

    def compute(self, round_: Round) -> Value:
        """Return the value at the time of the round."""
        value = round_.evaluator.evaluate(self._node)
        if not isinstance(value, Vector):
            return value
        found = self._rows.chosen(self._stable(value.labels), value.values[:, 0], value.present[:, 0])
        return self._unchanged.of(found)


class Constant(Step):
    """A number or a text."""

    __slots__ = ("constant",)

    def __init__(self, constant: Values | str) -> None:
        super().__init__(frozenset(), can_fail=False)
        self.constant = constant

    def compute(self, round_: Round) -> Value:  # noqa: ARG002 # the same in each round
        """Return the value."""
        return self.constant


def names_read_by(*steps: Step) -> frozenset[str] | None:
    """Return the names of all metrics that the steps read; None: unknown."""
    names = [one.names for one in steps]
    known = [one for one in names if one is not None]
    return frozenset().union(*known) if len(known) == len(names) else None
