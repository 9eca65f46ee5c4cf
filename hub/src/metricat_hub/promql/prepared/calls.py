"""Functions of instant vectors and scalars in prepared queries, such as `abs`, `clamp` and `label_replace`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.promql import functions, label_functions
from metricat_hub.promql.nodes import Text, unwrapped
from metricat_hub.promql.prepared.columns import NOTHING, Column, Derived, LabelSets, all_without_metadata
from metricat_hub.promql.prepared.steps import OfVector, Step
from metricat_hub.promql.vector import Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Call
    from metricat_hub.promql.prepared.steps import Round


class Mathematical(OfVector):
    """A function of each value, such as `abs`."""

    __slots__ = ("_dropped", "_function")

    def __init__(self, node: Call, child: Step) -> None:
        super().__init__(child, can_fail=not child.is_distinct, is_distinct=True)
        self._function = functions.MATH[node.name]
        self._dropped = Derived(all_without_metadata)

    def of(self, column: Column, _: Sequence[Values]) -> Column:
        """Return the results."""
        if not len(column.labels):
            return NOTHING
        return Column(self._dropped.of(column.labels), self._function(column.values))


class Clamped(OfVector):
    """The functions `clamp`, `clamp_min` and `clamp_max`."""

    __slots__ = ("_dropped", "_has_high", "_has_low")

    def __init__(self, node: Call, child: Step, bounds: Sequence[Step]) -> None:
        super().__init__(child, *bounds, can_fail=not child.is_distinct, is_distinct=True)
        self._has_low = node.name != "clamp_max"
        self._has_high = node.name != "clamp_min"
        self._dropped = Derived(all_without_metadata)

    def of(self, column: Column, bounds: Sequence[Values]) -> Column:
        """Return the clamped values; an empty vector for an empty range."""
        low = bounds[0] if self._has_low else np.array([-np.inf])
        high = bounds[-1] if self._has_high else np.array([np.inf])
        if not len(column.labels) or bool((high < low)[0]):
            return NOTHING
        return Column(self._dropped.of(column.labels), functions.clamped(column.values, low, high))


class Relabelled(OfVector):
    """The functions `label_replace` and `label_join`."""

    __slots__ = ("_changed",)

    def __init__(self, node: Call, child: Step) -> None:
        super().__init__(child)
        texts = [argument.value for argument in map(unwrapped, node.arguments[1:]) if isinstance(argument, Text)]
        self._changed = Derived(partial(_relabelled, node.name, texts))

    def of(self, column: Column, _: Sequence[Values]) -> Column:
        """Return the vector with changed labels."""
        return Column(self._changed.of(column.labels), column.values)


def _relabelled(name: str, texts: Sequence[str], labels: LabelSets) -> LabelSets:
    shape = (len(labels), 1)
    vector = Vector.of(list(labels), np.zeros(shape), np.ones(shape, dtype=bool))
    if name == "label_join":
        return tuple(label_functions.joined(vector, texts[0], texts[1], texts[2:]).labels)
    return tuple(label_functions.replaced(vector, *texts).labels)


class Absent(OfVector):
    """The function `absent`."""

    __slots__ = ("_labels",)

    def __init__(self, node: Call, child: Step) -> None:
        super().__init__(child, can_fail=False, is_distinct=True)
        self._labels: LabelSets = (label_functions.absent_labels(unwrapped(node.arguments[0])),)

    def of(self, column: Column, _: Sequence[Values]) -> Column:
        """Return 1 if the vector is empty, otherwise an empty vector."""
        return NOTHING if len(column.labels) else Column(self._labels, np.ones(1))


class AsScalar(OfVector):
    """The function `scalar`."""

    __slots__ = ()

    def __init__(self, child: Step) -> None:
        super().__init__(child, can_fail=False)

    def of(self, column: Column, _: Sequence[Values]) -> Values:
        """Return the value of the only series; NaN if there is not exactly one."""
        return column.values if len(column.labels) == 1 else np.array([np.nan])


class AsVector(Step):
    """The function `vector`."""

    __slots__ = ("_child", "_last")
    _LABELS: LabelSets = ((),)

    def __init__(self, child: Step) -> None:
        super().__init__(child.names, can_fail=child.can_fail, is_distinct=True)
        self._child = child
        self._last = NOTHING

    def compute(self, round_: Round) -> Column:
        """Return the scalar as a series without labels."""
        value = self._child.scalar(round_)
        if value is not self._last.values:
            self._last = Column(self._LABELS, value)
        return self._last


class Now(Step):
    """The function `time`."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(frozenset(), can_fail=False)

    def compute(self, round_: Round) -> Values:
        """Return the time of the evaluation in seconds."""
        return round_.evaluator.times / 1000
