"""Instant vectors at all steps of a query: one row of values for each series, one column for each step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from metricat_hub.model.errors import QueryError
from metricat_hub.model.labels import NAME
from metricat_hub.promql.label_memo import remembered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values

Mask: TypeAlias = "NDArray[np.bool_]"
Indices: TypeAlias = "NDArray[np.intp]"
METADATA = frozenset({NAME, "__type__", "__unit__"})
"""Labels that operations on values remove, because the result is no longer the same metric."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The evaluation times of a query: from start to end, `step` milliseconds apart."""

    start: int
    end: int
    step: int

    @property
    def steps(self) -> int:
        """The number of evaluations."""
        return (self.end - self.start) // self.step + 1 if self.end >= self.start else 0

    @property
    def times(self) -> Times:
        """The times of the evaluations."""
        return self.start + self.step * np.arange(self.steps, dtype=np.int64)


@dataclass(slots=True)
class Vector:
    """Values with one row for each series and one column for each step. A value exists where `present` is true."""

    labels: list[Labels]
    values: Values
    present: Mask
    drops: list[bool]
    """For each row, whether the end of the query removes the metric name (delayed name removal)."""

    @classmethod
    def empty(cls, steps: int) -> Vector:
        """Return a vector without series."""
        return cls([], np.empty((0, steps)), np.empty((0, steps), dtype=bool), [])

    @classmethod
    def of(cls, labels: list[Labels], values: Values, present: Mask) -> Vector:
        """Return a vector in which `drops` is False for all rows."""
        return cls(labels, values, present, [False] * len(labels))

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.labels)

    def rows(self, chosen: Sequence[int] | Indices) -> Vector:
        """Return the selected rows."""
        index = np.asarray(chosen, dtype=np.intp)
        return Vector(
            [self.labels[i] for i in index],
            self.values[index],
            self.present[index],
            [self.drops[i] for i in index],
        )

    def with_values(self, values: Values) -> Vector:
        """Return the vector with other values."""
        return Vector(self.labels, values, self.present, self.drops)

    def without_absent(self) -> Vector:
        """Return the rows with a value at one or more steps."""
        any_value = any_step(self.present)
        return self if bool(any_value.all()) else self.rows(np.flatnonzero(any_value))


def any_series(present: Mask) -> Mask:
    """Return for each step whether any series has a value."""
    return np.asarray(present.any(axis=0))


def any_step(present: Mask) -> Mask:
    """Return for each series whether it has a value at any step."""
    return np.asarray(present.any(axis=1))


def without_metadata(labels: Labels) -> Labels:
    """Return the labels without the metric name, type and unit."""
    return tuple(pair for pair in labels if pair[0] not in METADATA)


def all_without_metadata(labels: Sequence[Labels]) -> Sequence[Labels]:
    """Return the labels of each series without the metric name, type and unit."""
    return remembered("without metadata", labels, lambda: tuple(map(without_metadata, labels)))


def all_distinct(labels: Sequence[Labels]) -> bool:
    """Return whether no two series have the same labels."""
    return remembered("distinct", labels, lambda: len(set(labels)) == len(labels))


def changed(labels: Labels, name: str, value: str) -> Labels:
    """Return the labels with one label set, or removed if the value is empty."""
    others = [pair for pair in labels if pair[0] != name]
    return tuple(sorted([*others, (name, value)])) if value else tuple(others)


def get(labels: Labels, name: str) -> str:
    """Return the value of a label; empty if it is missing."""
    return next((value for label, value in labels if label == name), "")


def same_labels() -> QueryError:
    """Return the error for two series with the same labels at one time."""
    return QueryError(
        "vector cannot contain metrics with the same labelset."
        " Keep a label that distinguishes the series, or aggregate them."
    )


def merged(vector: Vector) -> Vector:
    """Return the vector with rows of the same labels merged.

    Raises:
        QueryError: two rows with the same labels have a value at the same step.
    """
    if all_distinct(vector.labels):
        return vector
    first: dict[Labels, int] = {}
    values, present = vector.values.copy(), vector.present.copy()
    keep = []
    for row, labels in enumerate(vector.labels):
        target = first.setdefault(labels, row)
        if target == row:
            keep.append(row)
            continue
        if bool((present[target] & present[row]).any()):
            raise same_labels()
        np.copyto(values[target], values[row], where=present[row])
        present[target] |= present[row]
    return Vector(vector.labels, values, present, vector.drops).rows(keep)
