"""Binary operators between instant vectors: matching of series, and set operators."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from metricat_hub.model.columns import distinct
from metricat_hub.model.errors import QueryError
from metricat_hub.model.labels import NAME
from metricat_hub.promql import functions
from metricat_hub.promql.label_memo import remembered
from metricat_hub.promql.nodes import COMPARISONS
from metricat_hub.promql.vector import METADATA, Vector, any_series, changed, get, merged

if TYPE_CHECKING:
    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Binary, Matching
    from metricat_hub.promql.vector import Indices, Mask

Signature: TypeAlias = Hashable


def matching_labels(labels: Labels, matching: Matching) -> Labels:
    """Return those labels of a series that the matching compares."""
    if matching.on:
        return tuple(pair for pair in labels if pair[0] in matching.labels)
    return tuple(pair for pair in labels if pair[0] != NAME and pair[0] not in matching.labels)


@dataclass(slots=True)
class _Side:
    """One side of an operation: its vector, and the number of the match group of each row."""

    vector: Vector
    groups: Indices

    def any_in_group(self, count: int) -> Mask:
        """Return for each match group and step whether a value is present."""
        found = np.zeros((count, self.vector.present.shape[1]), dtype=bool)
        if len(distinct(self.groups)) == len(self.groups):
            found[self.groups] = self.vector.present
        else:
            np.logical_or.at(found, self.groups, self.vector.present)
        return found


def match_groups(left: Sequence[Labels], right: Sequence[Labels], matching: Matching) -> tuple[Indices, Indices, int]:
    """Return the number of the match group of each series of both sides, and the number of groups."""
    numbers: dict[Labels, int] = {}
    one, other = (
        np.array([numbers.setdefault(matching_labels(labels, matching), len(numbers)) for labels in side], np.intp)
        for side in (left, right)
    )
    return one, other, len(numbers)


def _sides(left: Vector, right: Vector, matching: Matching) -> tuple[_Side, _Side, int]:
    one, other, count = remembered(
        ("match", matching.on, matching.labels),
        left.labels,
        lambda: match_groups(left.labels, right.labels, matching),
        right.labels,
    )
    return _Side(left, one), _Side(right, other), count


def matched_pairs(
    node: Binary, left: Sequence[Labels], right: Sequence[Labels], allocate: Callable[[int, int], None]
) -> tuple[Indices, Indices, Sequence[Labels]]:
    """Return the row indices of the matched pairs at one time, and the labels of their results.

    The first indices are rows of the "many" side. All series must have a value. Arguments and errors are as in
    `vector_operation`.
    """
    swapped = node.matching.cardinality == "one-to-many"
    many, single, count = match_groups(*((right, left) if swapped else (left, right)), node.matching)
    both = (right, left) if swapped else (left, right)
    side = Vector.of(list(both[1]), np.zeros((len(both[1]), 1)), np.ones((len(both[1]), 1), dtype=bool))
    _check_single(node, _Side(side, single), np.ones(1, dtype=bool), swapped=swapped)
    allocate(int(np.bincount(single, minlength=count)[many].sum()), 1)
    pairs_many, pairs_single = _pairs(many, single, count)
    rows = _Rows(node, swapped, drop_names=True)
    rows.labels = [
        rows.result_labels(both[0][i], both[1][j])
        for i, j in zip(pairs_many.tolist(), pairs_single.tolist(), strict=True)
    ]
    rows.check_unique(np.ones((len(pairs_many), 1), dtype=bool), many[pairs_many])
    return pairs_many, pairs_single, rows.labels


def set_operation(operator: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """Apply `and`, `or` or `unless` to two vectors."""
    one, other, count = _sides(left, right, matching)
    if operator == "or":
        missing = right.present & ~one.any_in_group(count)[other.groups]
        both = Vector(
            left.labels + right.labels,
            np.concatenate([left.values, right.values]),
            np.concatenate([left.present, missing]),
            left.drops + right.drops,
        )
        return merged(both.without_absent())
    found = other.any_in_group(count)[one.groups]
    present = left.present & (found if operator == "and" else ~found)
    return Vector(left.labels, left.values, present, left.drops).without_absent()


def vector_operation(
    node: Binary, left: Vector, right: Vector, allocate: Callable[[int, int], None], *, drop_names: bool
) -> Vector:
    """Apply an arithmetic operator or a comparison to two vectors.

    Args:
        node: operator, matching and `bool`.
        left: the left side.
        right: the right side.
        allocate: checks the size of the result, given as numbers of series and steps.
        drop_names: remove dropped metric names now; False: the end of the query removes them (delayed name removal).

    Raises:
        QueryError: a match group has several series on the "one" side, or several results that are not distinct.
    """
    matching = node.matching
    swapped = matching.cardinality == "one-to-many"
    one, other, count = _sides(right, left, matching) if swapped else _sides(left, right, matching)
    many, single = one, other
    # As in Prometheus, `fill_right` is for missing series of the "one" side also with `group_right`.
    fill_single, fill_many = matching.fill_right, matching.fill_left
    filled = fill_single is not None or fill_many is not None
    active = any_series(many.vector.present), any_series(single.vector.present)
    steps = active[0] | active[1] if filled else active[0] & active[1]
    _check_single(node, single, steps, swapped=swapped)
    rows = _Rows(node, swapped, drop_names)
    allocate(int(np.bincount(single.groups, minlength=count)[many.groups].sum()), len(steps))
    pairs_many, pairs_single = _pairs(many.groups, single.groups, count)
    rows.add(
        many.vector.values[pairs_many],
        single.vector.values[pairs_single],
        many.vector.present[pairs_many] & single.vector.present[pairs_single],
        [(many.vector.labels[i], single.vector.labels[j]) for i, j in zip(pairs_many, pairs_single, strict=True)],
        many.groups[pairs_many],
    )
    if fill_single is not None:
        unmatched = many.vector.present & ~single.any_in_group(count)[many.groups]
        labels = [(ls, matching_labels(ls, matching)) for ls in many.vector.labels]
        rows.add(many.vector.values, np.full_like(many.vector.values, fill_single), unmatched, labels, many.groups)
    if fill_many is not None:
        unmatched = single.vector.present & ~many.any_in_group(count)[single.groups]
        labels = [(matching_labels(ls, matching), ls) for ls in single.vector.labels]
        rows.add(np.full_like(single.vector.values, fill_many), single.vector.values, unmatched, labels, single.groups)
    return rows.result(many.vector.present.shape[1])


def _pairs(many: Indices, single: Indices, count: int) -> tuple[Indices, Indices]:
    """Return the row numbers of all pairs of the same match group, in the order of the "many" side."""
    order = np.argsort(single, kind="stable")
    sizes = np.bincount(single, minlength=count)
    first = np.cumsum(sizes) - sizes
    repeats = sizes[many]
    left = np.repeat(np.arange(len(many)), repeats)
    within = np.arange(len(left)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return left, order[first[many[left]] + within]


def _check_single(node: Binary, single: _Side, steps: Mask, *, swapped: bool) -> None:
    """Raise an error if two series of the "one" side are in one match group at the same step."""
    if len(distinct(single.groups)) == len(single.groups):
        return
    counts = np.zeros((int(single.groups.max()) + 1, len(steps)), dtype=np.int64)
    np.add.at(counts, single.groups, single.vector.present & steps)
    several = np.argwhere(counts > 1)
    if not len(several):
        return
    group, step = several[0]
    rows = np.flatnonzero((single.groups == group) & single.vector.present[:, step])
    labels = [single.vector.labels[row] for row in rows[:2]]
    match = display(matching_labels(labels[0], node.matching))
    raise QueryError(
        f"found duplicate series for the match group {match} on the {'left' if swapped else 'right'}"
        f" hand-side of the operation: [{', '.join(sorted(map(display, labels)))}];many-to-many matching not allowed:"
        " matching labels must be unique on one side. Add labels to `on`, or aggregate this side."
    )


def display(labels: Labels) -> str:
    """Format labels as in Prometheus' errors, with the metric name as a label."""
    return "{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}"


class _Rows:
    """Collects the rows of the result, and checks that the matches are unique."""

    def __init__(self, node: Binary, swapped: bool, drop_names: bool) -> None:  # noqa: FBT001 # private
        self.node = node
        self.swapped = swapped
        self.drop_names = drop_names
        self.compares = node.operator in COMPARISONS
        self.labels: list[Labels] = []
        self.values: list[Values] = []
        self.matched: list[Mask] = []
        self.kept: list[Mask] = []
        self.groups: list[Indices] = []

    def add(
        self, many: Values, single: Values, present: Mask, labels: list[tuple[Labels, Labels]], groups: Indices
    ) -> None:
        left, right = (single, many) if self.swapped else (many, single)
        if self.compares:
            holds = functions.compared(self.node.operator, left, right)
            values = holds.astype(np.float64) if self.node.return_bool else left
            kept = present if self.node.return_bool else present & holds
        else:
            values = functions.arithmetic(self.node.operator, left, right)
            kept = present
        self.labels += self.all_result_labels(labels)
        self.values.append(values)
        self.matched.append(present)
        self.kept.append(kept)
        self.groups.append(groups)

    def all_result_labels(self, pairs: list[tuple[Labels, Labels]]) -> Sequence[Labels]:
        return remembered(
            ("result", self.node.matching, self.compares, self.node.return_bool, self.drop_names),
            [many for many, _ in pairs],
            lambda: tuple(self.result_labels(*pair) for pair in pairs),
            [single for _, single in pairs],
        )

    def result_labels(self, many: Labels, single: Labels) -> Labels:
        matching = self.node.matching
        labels = many
        if not self.compares or (self.node.return_bool and self.drop_names):
            labels = tuple(pair for pair in labels if pair[0] not in METADATA)
        if matching.cardinality == "one-to-one":
            if matching.on:
                labels = tuple(pair for pair in labels if pair[0] in matching.labels)
            elif matching.labels:
                labels = tuple(pair for pair in labels if pair[0] not in matching.labels)
        for name in matching.include:
            labels = changed(labels, name, get(single, name))
        return labels

    def result(self, steps: int) -> Vector:
        if not self.labels:
            return Vector.empty(steps)
        matched, groups = np.concatenate(self.matched), np.concatenate(self.groups)
        self.check_unique(matched, groups)
        drops = [self.node.return_bool and not self.drop_names] * len(self.labels)
        vector = Vector(self.labels, np.concatenate(self.values), np.concatenate(self.kept), drops)
        return merged(vector.without_absent())

    def check_unique(self, matched: Mask, groups: Indices) -> None:
        """Raise an error if a match group gives two results (one-to-one), or two with the same labels, at one step."""
        one_to_one = self.node.matching.cardinality == "one-to-one"
        if len(distinct(groups)) == len(groups):
            return
        numbers: dict[Hashable, int] = {}
        keys = [
            numbers.setdefault(group if one_to_one else (group, labels), len(numbers))
            for group, labels in zip(groups.tolist(), self.labels, strict=True)
        ]
        if len(numbers) == len(keys):
            return
        counts = np.zeros((len(numbers), matched.shape[1]), dtype=np.int64)
        np.add.at(counts, np.array(keys, dtype=np.intp), matched)
        if bool((counts > 1).any()):
            if one_to_one:
                raise QueryError(
                    "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)."
                    " Add `group_left` or `group_right`, or more labels to `on`."
                )
            raise QueryError(
                "multiple matches for labels: grouping labels must ensure unique matches."
                " Add labels to the group modifier."
            )


def scalar_operation(node: Binary, vector: Vector, scalar: Values, *, vector_left: bool) -> Vector:
    """Apply an operator to a vector and a scalar. The result keeps the metric names; the caller drops them."""
    left, right = (vector.values, scalar) if vector_left else (scalar, vector.values)
    if node.operator not in COMPARISONS:
        return vector.with_values(functions.arithmetic(node.operator, left, right))
    holds = functions.compared(node.operator, left, right)
    if node.return_bool:
        return vector.with_values(holds.astype(np.float64))
    return Vector(vector.labels, vector.values, vector.present & holds, vector.drops).without_absent()
