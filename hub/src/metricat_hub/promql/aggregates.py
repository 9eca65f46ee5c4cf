"""Aggregations over the series of an instant vector."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from metricat_hub.model.errors import QueryError
from metricat_hub.model.labels import NAME
from metricat_hub.promql import heap, label_hash, sums
from metricat_hub.promql.label_memo import remembered
from metricat_hub.promql.rollups import quantile, running_mean, running_sum
from metricat_hub.promql.vector import Vector, changed, merged

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Aggregate
    from metricat_hub.promql.vector import Indices, Mask

_INT64 = 2.0**63


@dataclass(slots=True)
class Groups:
    """The rows of a vector sorted by group. The groups are in the order of their first series."""

    vector: Vector
    labels: list[Labels]
    """The labels of each group."""
    order: Indices
    """The index of each sorted row in the vector before sorting."""
    starts: Indices
    """The index of the first sorted row of each group."""

    @property
    def counts(self) -> Values:
        """The number of values of each group at each step."""
        return np.add.reduceat(self.vector.present, self.starts, axis=0, dtype=np.int64).astype(np.float64)

    def result(self, values: Values, present: Mask) -> Vector:
        """Return a vector with one row for each group; `present` masks the steps with a value."""
        drops = np.logical_or.reduceat(np.array(self.vector.drops), self.starts)
        return Vector(self.labels, values, present, [bool(drop) for drop in drops]).without_absent()

    def column(self, group: int, column: int) -> Values:
        """Return the values of a group at one step."""
        rows = self.each()[group]
        return self.vector.values[rows, column][self.vector.present[rows, column]]

    def each(self) -> list[slice]:
        """Return the sorted rows of each group."""
        ends = np.append(self.starts[1:], len(self.order))
        return [slice(int(first), int(last)) for first, last in zip(self.starts, ends, strict=True)]


def group_labels(labels: Labels, node: Aggregate) -> Labels:
    """Return the labels of the group that a series belongs to."""
    if node.without:
        return tuple(pair for pair in labels if pair[0] != NAME and pair[0] not in node.labels)
    return tuple(pair for pair in labels if pair[0] in node.labels)


def grouped(vector: Vector, node: Aggregate) -> Groups:
    """Group the rows of a vector, which must not be empty, by the labels of an aggregation."""
    labels, order, starts, in_order = remembered(
        ("group", node.without, node.labels), vector.labels, lambda: groups_of(vector.labels, node)
    )
    return Groups(vector if in_order else vector.rows(order), list(labels), order, starts)


def groups_of(series: Sequence[Labels], node: Aggregate) -> tuple[tuple[Labels, ...], Indices, Indices, bool]:
    """Group series by labels.

    Returns:
        The labels of each group, the rows sorted by group, the index of each group's first row, and whether the
        rows were already sorted.
    """
    numbers: dict[Labels, int] = {}
    group = np.array([numbers.setdefault(group_labels(labels, node), len(numbers)) for labels in series], dtype=np.intp)
    order = np.argsort(group, kind="stable")
    in_order = bool((order[1:] > order[:-1]).all())
    return tuple(numbers), order, np.searchsorted(group[order], np.arange(len(numbers))), in_order


def _sum(groups: Groups, _: Values) -> Values:
    total = sums.groups(groups.vector.values, groups.vector.present, groups.starts)
    result = total.total()
    for group, column in zip(*np.nonzero(total.overflowed()), strict=True):
        result[group, column] = running_sum(groups.column(group, column))
    return result


def _avg(groups: Groups, _: Values) -> Values:
    counts = np.maximum(groups.counts, 1)
    total = sums.groups(groups.vector.values, groups.vector.present, groups.starts)
    mean = total.mean(counts)
    for group, column in zip(*np.nonzero(total.overflowed()), strict=True):
        mean[group, column] = running_mean(groups.column(group, column))
    return mean


def _count(groups: Groups, _: Values) -> Values:
    return groups.counts


def _group(groups: Groups, _: Values) -> Values:
    return np.ones_like(groups.counts)


def _min(groups: Groups, _: Values) -> Values:
    return np.fmin.reduceat(np.where(groups.vector.present, groups.vector.values, np.nan), groups.starts, axis=0)


def _max(groups: Groups, _: Values) -> Values:
    return np.fmax.reduceat(np.where(groups.vector.present, groups.vector.values, np.nan), groups.starts, axis=0)


def _variance(groups: Groups, _: Values) -> Values:
    counts = np.maximum(groups.counts, 1)
    values, present = groups.vector.values, groups.vector.present
    mean = sums.groups(values, present, groups.starts).mean(counts)
    sizes = np.diff(np.append(groups.starts, len(values)))
    deviation = np.where(present, values - np.repeat(mean, sizes, axis=0), 0.0)
    return sums.groups(deviation * deviation, present, groups.starts).mean(counts)


def _deviation(groups: Groups, parameter: Values) -> Values:
    return np.sqrt(_variance(groups, parameter))


def _quantile(groups: Groups, parameter: Values) -> Values:
    values, present = groups.vector.values, groups.vector.present
    result = np.empty((len(groups.labels), values.shape[1]))
    for group, rows in enumerate(groups.each()):
        inside = present[rows].T
        found = values[rows].T
        nans = (np.isnan(found) & inside).sum(axis=-1)
        ascending = np.sort(np.where(inside, found, np.nan), axis=-1)
        result[group] = quantile(parameter, ascending, inside.sum(axis=-1) - nans, nans)
    return result


REDUCTIONS: Final[dict[str, Callable[[Groups, Values], Values]]] = {
    "avg": _avg,
    "count": _count,
    "group": _group,
    "max": _max,
    "min": _min,
    "quantile": _quantile,
    "stddev": _deviation,
    "stdvar": _variance,
    "sum": _sum,
}


def reduced(vector: Vector, node: Aggregate, parameter: Values) -> Vector:
    """Return one value for each group: `sum`, `avg`, `quantile` and others."""
    if not len(vector):
        return vector
    groups = grouped(vector, node)
    values = REDUCTIONS[node.operator](groups, parameter)
    return groups.result(values, groups.counts > 0)


def check_count(parameter: Values) -> None:
    """Raise an error if the parameter of `topk`, `bottomk` or `limitk` is not a number of series."""
    if bool(np.isnan(parameter).any()):
        raise QueryError("Parameter value is NaN. Use a number of series.")
    for value in (float(parameter.min()), float(parameter.max())):
        if value <= -_INT64 or value >= _INT64:
            flow = "underflows" if value < 0 else "overflows"
            raise QueryError(f"Scalar value {value:g} {flow} int64. Use a number of series.")


def selected(vector: Vector, node: Aggregate, parameter: Values) -> Vector:
    """Return the selected series of each group unchanged: `topk`, `bottomk`, `limitk` and `limit_ratio`."""
    if not len(vector):
        return vector
    if node.operator == "limit_ratio":
        return _limit_ratio(vector, parameter)
    count = np.clip(parameter, 0, len(vector)).astype(np.int64)
    groups = grouped(vector, node)
    if node.operator == "limitk":
        chosen = np.zeros_like(vector.present)
        for rows in groups.each():
            present = groups.vector.present[rows]
            chosen[groups.order[rows]] = present & (np.cumsum(present, axis=0) <= count)
        return Vector(vector.labels, vector.values, chosen, vector.drops).without_absent()
    return _top(vector, groups, count, largest=node.operator == "topk")


def _top(vector: Vector, groups: Groups, count: Indices, *, largest: bool) -> Vector:
    """Return the `count` greatest or least values of each group and step. NaN is last.

    With one step, the rows of each group are sorted by value, as Prometheus returns them.
    """
    chosen = np.zeros_like(vector.present)
    ranked: list[int] = []
    for rows in groups.each():
        original = groups.order[rows]
        values, present = groups.vector.values[rows], groups.vector.present[rows]
        key = np.where(np.isnan(values), np.inf, -values if largest else values)
        order = np.lexsort((key, np.isnan(values), ~present), axis=0)
        rank = np.empty_like(order)
        np.put_along_axis(rank, order, np.arange(len(order))[:, None], axis=0)
        inside = present & (rank < count)
        _settle_ties(values, present, order, count, inside, largest=largest)
        chosen[original] = inside
        if values.shape[1] == 1:
            ranked += [int(original[i]) for i in order[:, 0] if inside[i, 0]]
    result = Vector(vector.labels, vector.values, chosen, vector.drops)
    return result.rows(ranked) if vector.values.shape[1] == 1 else result.without_absent()


def _settle_ties(  # noqa: PLR0913 # private
    values: Values, present: Mask, order: Indices, count: Indices, inside: Mask, *, largest: bool
) -> None:
    """Where the last chosen value equals the first refused one, choose the series that Prometheus' heap keeps."""
    for column in np.flatnonzero((count > 0) & (count < present.sum(axis=0))):
        last, following = order[count[column] - 1, column], order[count[column], column]
        first, second = values[last, column], values[following, column]
        if first == second or (np.isnan(first) and np.isnan(second)):
            rows = np.flatnonzero(present[:, column])
            kept = heap.kept(values[rows, column].tolist(), int(count[column]), largest=largest)
            inside[:, column] = False
            inside[rows[kept], column] = True


def _limit_ratio(vector: Vector, ratio: Values) -> Vector:
    share = np.array([label_hash.share(labels) for labels in vector.labels])[:, None]
    limit = np.clip(ratio, -1, 1)
    inside = np.where(limit >= 0, share < limit, share >= 1.0 + limit)
    return Vector(vector.labels, vector.values, vector.present & inside, vector.drops).without_absent()


def count_values(vector: Vector, node: Aggregate, label: str, allocate: Callable[[int, int], None]) -> Vector:
    """Count the series of each group by value; the value becomes a label.

    `allocate` checks the size of the result, a number of series and steps, while it grows.
    """
    steps = vector.values.shape[1]
    counts: dict[Labels, Values] = {}
    for row, labels in enumerate(vector.labels):
        values, present = vector.values[row], vector.present[row]
        # By bits: -0 and 0 are different values here.
        found, inverse = np.unique(values[present].view(np.int64), return_inverse=True)
        columns = np.flatnonzero(present)
        for index, value in enumerate(found.view(np.float64).tolist()):
            text = number_text(value)
            key = _value_group(changed(labels, label, text), node, label)
            if key not in counts:
                allocate(len(counts) + 1, steps)
                counts[key] = np.zeros(steps)
            counts[key][columns[inverse == index]] += 1
    if not counts:
        return Vector.empty(steps)
    values = np.stack(list(counts.values()))
    return merged(Vector.of(list(counts), values, values > 0))


def _value_group(labels: Labels, node: Aggregate, label: str) -> Labels:
    if node.without:
        return group_labels(labels, node)
    return tuple(pair for pair in labels if pair[0] in node.labels or pair[0] == label)


def number_text(value: float) -> str:
    """Format a number in decimal notation with the fewest digits, as Go's `FormatFloat(v, 'f', -1, 64)`."""
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return np.format_float_positional(value, trim="-")
