"""Aggregations in prepared queries. They keep the groups until the labels of the series change."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.promql import aggregates, sums
from metricat_hub.promql.prepared.columns import MOST_REMEMBERED, NOTHING, Column, LabelSets, Stable
from metricat_hub.promql.prepared.steps import OfVector, Step
from metricat_hub.promql.rollups import quantile
from metricat_hub.promql.vector import METADATA, Vector

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Aggregate
    from metricat_hub.promql.vector import Indices

_OF_ONE = frozenset({"avg", "max", "min", "sum"})
"""Operators that return the value of a group with one series."""
_NO_PARAMETER = np.empty(0)
_SPARSE = 4
"""The most cells of the table of all groups, as a multiple of the number of series."""


class Aggregation(OfVector):
    """One value for each group of series: `sum`, `quantile` and others."""

    __slots__ = (
        "_counts",
        "_grouped",
        "_groups",
        "_node",
        "_order",
        "_places",
        "_stable",
        "_starts",
    )

    def __init__(self, node: Aggregate, child: Step, parameter: Step | None) -> None:
        is_distinct = not node.without and METADATA.isdisjoint(node.labels)
        scalars = () if parameter is None else (parameter,)
        super().__init__(child, *scalars, can_fail=False, is_distinct=is_distinct)
        self._node = node
        self._stable = Stable()
        self._grouped: LabelSets | None = None
        """The labels of the series in the groups."""
        self._groups: LabelSets = ()
        self._order: Indices | None = None
        """The indices of the series in the order of their groups; None: the series are in this order."""
        self._starts: Indices = np.empty(0, np.intp)
        """The position of each group's first series in this order."""
        self._counts: Values = np.empty(0)
        """The number of series of each group."""
        self._places: Indices | None = None
        """A row of series indices for each group, padded with the number of series; None: the sizes differ too much."""

    def of(self, column: Column, scalars: Sequence[Values]) -> Column:
        """Return the value of each group."""
        if not len(column.labels):
            return NOTHING
        if column.labels is not self._grouped:
            self._group(column.labels)
        return Column(self._groups, self._reduced(column.values, scalars[0] if scalars else _NO_PARAMETER))

    def _group(self, labels: LabelSets) -> None:
        groups, order, starts, in_order = aggregates.groups_of(labels, self._node)
        self._groups = self._stable(groups)
        self._order, self._starts = None if in_order else order, starts
        self._grouped = labels if len(labels) <= MOST_REMEMBERED else None
        sizes = np.diff(np.append(starts, len(labels)))
        self._counts = sizes.astype(np.float64)
        widest = int(sizes.max())
        self._places = None
        if widest * len(starts) <= _SPARSE * len(labels):
            within = np.arange(widest)
            self._places = np.where(within < sizes[:, None], starts[:, None] + within, len(labels))

    def _reduced(self, values: Values, parameter: Values) -> Values:
        operator, starts = self._node.operator, self._starts
        if operator == "count":
            return self._counts
        if operator in _OF_ONE and len(starts) == len(values):
            return values
        ordered = values if self._order is None else values[self._order]
        if operator in {"max", "min"}:
            return (np.fmax if operator == "max" else np.fmin).reduceat(ordered, starts)
        if operator in {"sum", "avg"} and self._places is not None:
            total = sums.last_axis(np.append(ordered, 0.0)[self._places])
            if not bool(total.overflowed().any()):
                return total.total() if operator == "sum" else total.mean(self._counts)
        if operator == "quantile" and self._places is not None:
            inside = self._places < len(ordered)
            found = np.append(ordered, np.nan)[self._places]
            nans = (np.isnan(found) & inside).sum(axis=-1)
            return quantile(parameter, np.sort(found, axis=-1), inside.sum(axis=-1) - nans, nans)
        rows = Vector([], ordered[:, None], np.ones((len(ordered), 1), dtype=bool), [])
        groups = aggregates.Groups(rows, list(self._groups), np.arange(len(ordered)), starts)
        return aggregates.REDUCTIONS[operator](groups, parameter)[:, 0]
