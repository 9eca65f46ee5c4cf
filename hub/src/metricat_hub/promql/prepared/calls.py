"""Functions of instant vectors and scalars in prepared queries, such as `abs`, `clamp` and `label_replace`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.promql import functions, label_functions
from metricat_hub.promql.nodes import Text, unwrapped
from metricat_hub.promql.prepared.columns import NOTHING, Column, Derived, LabelSets, all_without_metadata
from metricat_hub.promql.prepared.steps import Step, names_read_by
from metricat_hub.promql.vector import Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Call
    from metricat_hub.promql.prepared.steps import Round


class Mathematical(Step):
    """A function of each value, such as `abs`."""

    __slots__ = ("_child", "_dropped", "_function")

    def __init__(self, node: Call, child: Step) -> None:
        super().__init__(child.names, can_fail=child.can_fail or not child.is_distinct, is_distinct=True)
        self._function = functions.MATH[node.name]
        self._child = child
        self._dropped = Derived(all_without_metadata)

    def compute(self, round_: Round) -> Column:
        """Return the results."""
        column = self._child.column(round_)
        if not len(column.labels):
            return NOTHING
        return Column(self._dropped.of(column.labels), self._function(column.values))


class Clamped(Step):
    """The functions `clamp`, `clamp_min` and `clamp_max`."""

    __slots__ = ("_child", "_dropped", "_high", "_low")

    def __init__(self, node: Call, child: Step, bounds: Sequence[Step]) -> None:
        can_fail = not child.is_distinct or any(one.can_fail for one in (child, *bounds))
        super().__init__(names_read_by(child, *bounds), can_fail=can_fail, is_distinct=True)
        self._child = child
        self._low = None if node.name == "clamp_max" else bounds[0]
        self._high = None if node.name == "clamp_min" else bounds[-1]
        self._dropped = Derived(all_without_metadata)

    def compute(self, round_: Round) -> Column:
        """Return the clamped values; an empty vector for an empty range."""
        column = self._child.column(round_)
        low = np.array([-np.inf]) if self._low is None else self._low.scalar(round_)
        high = np.array([np.inf]) if self._high is None else self._high.scalar(round_)
        if not len(column.labels) or bool((high < low)[0]):
            return NOTHING
        return Column(self._dropped.of(column.labels), functions.clamped(column.values, low, high))


class Relabelled(Step):
    """The functions `label_replace` and `label_join`."""

    __slots__ = ("_changed", "_child")

    def __init__(self, node: Call, child: Step) -> None:
        super().__init__(child.names)
        texts = [argument.value for argument in map(unwrapped, node.arguments[1:]) if isinstance(argument, Text)]
        self._child = child
        self._changed = Derived(partial(_relabelled, node.name, texts))

    def compute(self, round_: Round) -> Column:
        """Return the vector with changed labels."""
        column = self._child.column(round_)
        return Column(self._changed.of(column.labels), column.values)


def _relabelled(name: str, texts: Sequence[str], labels: LabelSets) -> LabelSets:
    shape = (len(labels), 1)
    vector = Vector.of(list(labels), np.zeros(shape), np.ones(shape, dtype=bool))
    if name == "label_join":
        return tuple(label_functions.joined(vector, texts[0], texts[1], texts[2:]).labels)
    return tuple(label_functions.replaced(vector, *texts).labels)


class Absent(Step):
    """The function `absent`."""

    __slots__ = ("_child", "_labels")

    def __init__(self, node: Call, child: Step) -> None:
        super().__init__(child.names, can_fail=child.can_fail, is_distinct=True)
        self._child = child
        self._labels: LabelSets = (label_functions.absent_labels(unwrapped(node.arguments[0])),)

    def compute(self, round_: Round) -> Column:
        """Return 1 if the vector is empty, otherwise an empty vector."""
        return NOTHING if len(self._child.column(round_).labels) else Column(self._labels, np.ones(1))


class AsScalar(Step):
    """The function `scalar`."""

    __slots__ = ("_child",)

    def __init__(self, child: Step) -> None:
        super().__init__(child.names, can_fail=child.can_fail)
        self._child = child

    def compute(self, round_: Round) -> Values:
        """Return the value of the only series; NaN if there is not exactly one."""
        column = self._child.column(round_)
        return column.values if len(column.labels) == 1 else np.array([np.nan])


class AsVector(Step):
    """The function `vector`."""

    __slots__ = ("_child",)
    _LABELS: LabelSets = ((),)

    def __init__(self, child: Step) -> None:
        super().__init__(child.names, can_fail=child.can_fail, is_distinct=True)
        self._child = child

    def compute(self, round_: Round) -> Column:
        """Return the scalar as a series without labels."""
        return Column(self._LABELS, self._child.scalar(round_))


class Now(Step):
    """The function `time`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(frozenset(), can_fail=False)

    def compute(self, round_: Round) -> Values:
        """Return the time of the evaluation in seconds."""
        return round_.evaluator.times / 1000
