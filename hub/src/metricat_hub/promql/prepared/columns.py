"""Instant vectors of one evaluation, and caches of their labels between evaluations.

The series of a rule rarely change, so their labels are the same objects at each evaluation. All classes here compare
sequences of labels by identity, and compute new labels only after a change.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import compress
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

from metricat_hub.promql.vector import same_labels, without_metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.vector import Mask

LabelSets: TypeAlias = "tuple[Labels, ...]"
"""The labels of each series of a vector."""
MOST_REMEMBERED: Final = 50_000
"""The most labels that are cached. Those of longer vectors are computed each time, to limit memory."""
MOST_KEPT_VALUES: Final = 1000
"""The most values of a vector that is cached. Longer ones are computed each time, to limit memory."""


@dataclass(slots=True)
class Column:
    """An instant vector at one time: a value for each series."""

    labels: LabelSets
    values: Values


NOTHING: Final = Column((), np.empty(0))


class Stable:
    """Returns the previous object for equal labels, so that later steps can compare labels by identity."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: LabelSets = ()

    def __call__(self, labels: Sequence[Labels]) -> LabelSets:
        """Return the labels as a tuple: the object of the last call if it is equal."""
        if labels is not self._last:
            found = tuple(labels)
            if found == self._last:
                return self._last
            self._last = found if len(found) <= MOST_REMEMBERED else ()
            return found
        return self._last


class Unchanged:
    """Returns the previous vector if labels and values are the same, so that later steps return their last results."""

    __slots__ = ("_bits", "_last")

    def __init__(self) -> None:
        self._last = NOTHING
        self._bits = b""
        """The values of the last vector. Equal bits are equal values, also of NaN."""

    def of(self, column: Column) -> Column:
        """Return an equal vector: that of the last call if nothing has changed."""
        values = column.values
        if len(values) > MOST_KEPT_VALUES:
            return column
        bits = values.tobytes()
        if column.labels is not self._last.labels or bits != self._bits:
            # The values may be a part of a large array, which the copy does not keep in memory.
            self._last = column if values.base is None else Column(column.labels, values.copy())
            self._bits = bits
        return self._last


class Rows:
    """Selects rows of vectors. The same selection from the same labels returns the same label objects."""

    __slots__ = ("_from", "_kept", "_mask")

    def __init__(self) -> None:
        self._from: LabelSets | None = None
        self._mask = b""
        self._kept: LabelSets = ()

    def chosen(self, labels: LabelSets, values: Values, mask: Mask) -> Column:
        """Return the rows where the mask is true."""
        key = mask.tobytes()
        if b"\0" not in key:
            return Column(labels, values)
        if b"\1" not in key:
            return NOTHING
        if labels is not self._from or key != self._mask:
            kept = tuple(compress(labels, mask.tolist()))
            if len(labels) > MOST_REMEMBERED:
                return Column(kept, values[mask])
            self._from, self._mask, self._kept = labels, key, kept
        return Column(self._kept, values[mask])


class Derived:
    """Labels that a function computes from other labels, cached until those change."""

    __slots__ = ("_compute", "_from", "_stable", "_to")

    def __init__(self, compute: Callable[[LabelSets], Iterable[Labels]]) -> None:
        self._compute = compute
        self._from: LabelSets | None = None
        self._to: LabelSets = ()
        self._stable = Stable()

    def of(self, labels: LabelSets) -> LabelSets:
        """Return the derived labels.

        Raises:
            QueryError: two series would have the same labels.
        """
        if labels is not self._from:
            found = self._stable(tuple(self._compute(labels)))
            check_distinct(found)
            if len(labels) > MOST_REMEMBERED:
                return found
            self._from, self._to = labels, found
        return self._to


def check_distinct(labels: LabelSets) -> None:
    """Raise an error if two series have the same labels."""
    if len(set(labels)) < len(labels):
        raise same_labels()


def all_without_metadata(labels: LabelSets) -> Iterable[Labels]:
    """Return the labels of each series without metric name, type and unit."""
    return map(without_metadata, labels)
