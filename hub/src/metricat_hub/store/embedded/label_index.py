"""The index of active series in memory: numbers of series by labels, and by each pair of label and value."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from dataclasses import dataclass, replace
from operator import is_
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from metricat_hub.model.columns import distinct
from metricat_hub.model.labels import NAME, metric_name
from metricat_hub.promql.matchers import predicate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Matcher

Found: TypeAlias = "NDArray[np.int32]"

_EMPTY: Found = np.zeros(0, np.int32)
_MOST_KEPT, _MOST_KEPT_RESULTS = 50_000, 1000
"""Series of all results of `match_labels` that are kept, and the number of results."""
_MOST_KEPT_TOGETHER = 50
_MOST_CHANGED_NAMES = 10_000
_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]()]")


@dataclass(frozen=True, slots=True)
class Matches:
    """The distinct series that match at least one of several selectors."""

    selectors: tuple[tuple[Matcher, ...], ...]
    numbers: Found
    """In ascending order."""
    labels: tuple[Labels, ...]
    places: tuple[NDArray[np.intp], ...]
    """The indices of the series of each selector."""
    each: tuple[Found, ...]
    """The series of each selector."""
    version: int
    """The version of the index."""


class LabelIndex:
    """The index of active series. Not thread-safe: the owner must lock it."""

    def __init__(self) -> None:
        self.numbers: dict[Labels, int] = {}
        self.labels: dict[int, Labels] = {}
        self._postings: dict[str, dict[str, array[int]]] = {}
        self._pairs: dict[tuple[str, str], tuple[str, str]] = {}
        self._all: Found | None = None
        self._version = 0
        """The number of changes: series that were added or removed."""
        self._changed_names: dict[str, int] = {}
        """The version of the last change of each metric name."""
        self._unchanged_since = 0
        """Names without an entry in `_changed_names` have not changed since this version."""
        self._matched: dict[tuple[Matcher, ...], tuple[Found, dict[int, Labels], int]] = {}
        """Results of `match_labels`, with their version. Rules and dashboards repeat the same selectors."""
        self._kept = 0
        self._matched_together: dict[int, Matches] = {}
        """Results of `match_many`, by the identity of the selectors."""

    def __len__(self) -> int:
        """Return the number of series."""
        return len(self.labels)

    def add(self, labels: Labels, number: int) -> None:
        """Add a series. Equal pairs of label and value share one object, because most series repeat them."""
        labels = tuple(self._pairs.setdefault(pair, pair) for pair in labels)
        self.numbers[labels] = number
        self.labels[number] = labels
        self._changed(labels)
        for name, value in labels:
            numbers = self._postings.setdefault(name, {}).setdefault(value, array("i"))
            if not numbers or numbers[-1] < number:
                numbers.append(number)
            else:
                numbers.insert(bisect_left(numbers, number), number)

    def remove(self, number: int) -> None:
        """Remove a series."""
        labels = self.labels.pop(number)
        del self.numbers[labels]
        self._changed(labels)
        for name, value in labels:
            values = self._postings[name]
            numbers = values[value]
            del numbers[bisect_left(numbers, number)]
            if not numbers:
                del values[value]
                self._pairs.pop((name, value), None)
                if not values:
                    del self._postings[name]

    def _changed(self, labels: Labels) -> None:
        self._all = None
        self._version += 1
        if len(self._changed_names) >= _MOST_CHANGED_NAMES:
            self._changed_names, self._unchanged_since = {}, self._version
        self._changed_names[metric_name(labels)] = self._version

    def _is_current(self, matchers: Sequence[Matcher], version: int) -> bool:
        """Return whether the selector matches the same series as in this version."""
        if version == self._version:
            return True
        name = next((one.value for one in matchers if one.name == NAME and one.operator == "="), None)
        return name is not None and version >= self._changed_names.get(name, self._unchanged_since)

    def names(self) -> list[str]:
        """Return the label names, not sorted."""
        return list(self._postings)

    def values(self, name: str) -> list[str]:
        """Return the values of a label, not sorted."""
        return list(self._postings.get(name, ()))

    def match_labels(self, matchers: Sequence[Matcher]) -> tuple[Found, dict[int, Labels]]:
        """Return the numbers of the series that match every matcher, in ascending order, and their labels.

        The caller must not change the results.
        """
        key = tuple(matchers)
        known = self._matched.get(key)
        if known is not None:
            if self._is_current(key, known[2]):
                return known[:2]
            del self._matched[key]
            self._kept -= len(known[0])
        found = self.match(matchers)
        labels = {number: self.labels[number] for number in found.tolist()}
        if len(found) <= _MOST_KEPT // 4:
            if self._kept + len(found) > _MOST_KEPT or len(self._matched) >= _MOST_KEPT_RESULTS:
                self._matched, self._kept = {}, 0
            self._matched[key] = found, labels, self._version
            self._kept += len(found)
        return found, labels

    def match_many(self, selectors: tuple[tuple[Matcher, ...], ...]) -> Matches:
        """Return the series that match at least one of the selectors. The caller must not change the result."""
        known = self._matched_together.get(id(selectors))
        if known is None or known.version != self._version:
            known = self._match_selectors(selectors, known)
            if len(self._matched_together) >= _MOST_KEPT_TOGETHER:
                self._matched_together = {}
            self._matched_together[id(selectors)] = known
        return known

    def _match_selectors(self, selectors: tuple[tuple[Matcher, ...], ...], before: Matches | None) -> Matches:
        """Return the series that several selectors match. What is the same as before is the same object."""
        if before is None:
            each = tuple(self.match(one) for one in selectors)
        else:
            each = tuple(
                known if self._is_current(one, before.version) else self.match(one)
                for one, known in zip(selectors, before.each, strict=True)
            )
            if all(map(is_, each, before.each)):
                return replace(before, version=self._version)
        numbers = distinct(np.concatenate(each)) if each else _EMPTY
        places = tuple(np.searchsorted(numbers, one) for one in each)
        if before is not None:
            places = tuple(
                last if np.array_equal(now, last) and own is known else now
                for now, last, own, known in zip(places, before.places, each, before.each, strict=True)
            )
        labels = tuple(map(self.labels.__getitem__, numbers.tolist()))
        return Matches(selectors, numbers, labels, places, each, self._version)

    def match(self, matchers: Sequence[Matcher]) -> Found:
        """Return the numbers of the series that match every matcher, in ascending order."""
        found: Found | None = None
        for matcher in sorted(matchers, key=self._cost):
            found = self._all_numbers() if found is None and predicate(matcher)("") else found
            found = self._narrow(found, matcher)
            if not len(found):
                break
        return self._all_numbers() if found is None else found

    def _cost(self, matcher: Matcher) -> tuple[int, int]:
        """Return the sort key of a matcher: selective equalities first, matchers that accept an empty value last."""
        if predicate(matcher)(""):
            return 2, 0
        if matcher.operator == "=":
            return 0, len(self._postings.get(matcher.name, {}).get(matcher.value, ()))
        return 1, len(self._postings.get(matcher.name, ()))

    def _narrow(self, found: Found | None, matcher: Matcher) -> Found:
        """Return those of the found series that match; None: of all series."""
        values = self._postings.get(matcher.name, {})
        accepts = predicate(matcher)
        if found is not None and len(found) <= len(values):
            name = matcher.name
            kept = [at for at in found.tolist() if accepts(_value(self.labels[at], name))]
            return np.array(kept, np.int32)
        if accepts(""):
            without = self._union_of(values, (value for value in values if not accepts(value)))
            return _EMPTY if found is None else found[~_among(found, without)]
        if matcher.operator == "=":
            matched = _as_array(values[matcher.value]) if matcher.value in values else _EMPTY
        elif matcher.operator == "=~" and not _SPECIAL.search(matcher.value):
            plain = sorted(set(matcher.value.split("|")))
            matched = self._union_of(values, (value for value in plain if value in values))
        else:
            matched = self._union_of(values, (value for value in values if accepts(value)))
        return matched if found is None else found[_among(found, matched)]

    @staticmethod
    def _union_of(values: dict[str, array[int]], chosen: Iterable[str]) -> Found:
        arrays = [_as_array(values[value]) for value in chosen]
        if len(arrays) < 2:
            return arrays[0] if arrays else _EMPTY
        return np.sort(np.concatenate(arrays))

    def _all_numbers(self) -> Found:
        if self._all is None:
            self._all = np.sort(np.fromiter(self.labels, np.int32, len(self.labels)))
        return self._all


def _value(labels: Labels, name: str) -> str:
    return next((value for label, value in labels if label == name), "")


def _as_array(numbers: array[int]) -> Found:
    return np.array(numbers, np.int32)


def _among(numbers: Found, others: Found) -> NDArray[np.bool_]:
    """Return for each number whether it is among the others. Both are sorted."""
    if not len(others):
        return np.zeros(len(numbers), np.bool_)
    at = np.searchsorted(others, numbers)
    at[at == len(others)] = 0
    among: NDArray[np.bool_] = others[at] == numbers
    return among
