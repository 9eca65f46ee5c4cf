"""The function `info`: adds labels of info series, such as `target_info`, to other series."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import re2

from metricat_hub.model.errors import QueryError
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Matcher
from metricat_hub.promql import matchers
from metricat_hub.promql.nodes import (
    Aggregate,
    Binary,
    Call,
    Negation,
    Paren,
    RangeSelector,
    Selector,
    Subquery,
    kind,
)
from metricat_hub.promql.vector import Vector, changed, get, merged

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.promql.evaluate_selectors import SelectorEvaluator
    from metricat_hub.promql.nodes import At, Node
    from metricat_hub.promql.vector import Indices, Mask

_IDENTIFYING: Final = ("instance", "job")
_TARGET_INFO: Final = Matcher(NAME, "=", "target_info")


@dataclass(frozen=True, slots=True)
class _Reference:
    """The `@` modifier and the offset that selectors of the first argument share."""

    at: At
    offset: int


def enriched(evaluator: SelectorEvaluator, node: Call) -> Vector:
    """Return the first argument's series with the labels of matching info series.

    Raises:
        QueryError: several info series have the same name, `instance` and `job` at one time, or their labels conflict.
    """
    base = evaluator.vector(node.arguments[0])
    selector = node.arguments[1] if len(node.arguments) > 1 else None
    given = list(selector.matchers) if isinstance(selector, Selector) else [_TARGET_INFO]
    names = _name_matchers([matcher for matcher in given if matcher.name == NAME])
    data = [matcher for matcher in given if matcher.name != NAME]
    holds = [matchers.predicate(matcher) for matcher in names]
    ignored = [all(check(get(labels, NAME)) for check in holds) for labels in base.labels]
    found = _info_series(evaluator, node.arguments[0], base, ignored, [*data, *names])
    return _Combination(base, ignored, data, *found).result()


def _name_matchers(given: list[Matcher]) -> list[Matcher]:
    """Return the matchers of the info metric's name."""
    if any(matcher.operator in {"=", "=~"} for matcher in given):
        return given
    return [Matcher(NAME, "=~", ".+_info"), *given] if given else [_TARGET_INFO]


def _info_series(
    evaluator: SelectorEvaluator, argument: Node, base: Vector, ignored: Sequence[bool], wanted: Sequence[Matcher]
) -> tuple[Vector, np.ndarray]:
    """Return the info series with the identifying labels of the base series, and the times of their samples."""
    reference = _shared_reference(evaluator, argument)
    vectors, seconds = [], []
    for identifying in _identifying_matchers(base, ignored):
        selector = Selector((*identifying, *wanted), reference.offset, reference.at)
        vector, times = evaluator.instant_with_times(selector, "info")
        vectors.append(vector)
        seconds.append(times)
    if not vectors:
        return Vector.empty(evaluator.steps), np.empty((0, evaluator.steps))
    whole = Vector.of(
        [labels for vector in vectors for labels in vector.labels],
        np.concatenate([vector.values for vector in vectors]),
        np.concatenate([vector.present for vector in vectors]),
    )
    return whole, np.concatenate(seconds)


def _identifying_matchers(base: Vector, ignored: Sequence[bool]) -> Iterator[list[Matcher]]:
    """Yield matchers of the identifying labels, for each combination of present labels."""
    groups: dict[tuple[bool, ...], list[set[str]]] = {}
    for labels, skip in zip(base.labels, ignored, strict=True):
        values = [get(labels, name) for name in _IDENTIFYING]
        if skip or not any(values):
            continue
        sets = groups.setdefault(tuple(bool(value) for value in values), [set(), set()])
        for found, value in zip(sets, values, strict=True):
            found.add(value)
    for present in sorted(groups):
        yield [
            Matcher(name, "=~", "|".join(re2.escape(value) for value in sorted(values)))
            if is_present
            else Matcher(name, "=", "")
            for name, values, is_present in zip(_IDENTIFYING, groups[present], present, strict=True)
        ]


def _shared_reference(evaluator: SelectorEvaluator, argument: Node) -> _Reference:
    """Return the reference that all selectors of the argument share; the time of evaluation if they differ."""
    effective: set[tuple[int | None, int]] = set()
    first: _Reference | None = None
    for reference in _references(argument, ()):
        if reference is None:
            return _Reference(None, 0)
        first = first or reference
        at = evaluator.context.time(reference.at)
        effective.add((None, reference.offset) if at is None else (at - reference.offset, 0))
    return first if first is not None and len(effective) == 1 else _Reference(None, 0)


def _references(node: Node, path: tuple[Subquery, ...]) -> Iterator[_Reference | None]:
    """Yield the reference of each selector; None for a vector that has no selector."""
    if kind(node) not in {"vector", "matrix"}:
        return
    if isinstance(node, RangeSelector):
        node = node.selector
    if isinstance(node, Selector):
        at, offset = node.at, node.offset
        for outer in reversed(path):
            if at is None:
                offset, at = offset + outer.offset, outer.at
        yield _Reference(at, offset)
        return
    children = _children(node)
    inner = (*path, node) if isinstance(node, Subquery) else path
    found = [reference for child in children for reference in _references(child, inner)]
    yield from found or [None]


def _children(node: Node) -> Sequence[Node]:
    match node:
        case Call(name="info"):
            return node.arguments[:1]
        case Call():
            return node.arguments
        case Aggregate():
            return (node.expression,) if node.parameter is None else (node.expression, node.parameter)
        case Binary():
            return (node.left, node.right)
        case Negation() | Paren() | Subquery():
            return (node.expression,)
        case _:
            return ()


def _signature(labels: Labels) -> Labels:
    return tuple(pair for pair in labels if pair[0] in _IDENTIFYING)


@dataclass(slots=True)
class _Combination:
    """Base series and the info series that belong to them."""

    base: Vector
    ignored: Sequence[bool]
    data: Sequence[Matcher]
    """Matchers of the labels to add; without matchers, all labels are added."""
    info: Vector
    seconds: np.ndarray

    def result(self) -> Vector:
        """Return the base series with labels added. Different info series at different steps give several rows."""
        chosen = self.newest()
        metrics = sorted({metric for metric, _ in chosen})
        labels: list[Labels] = []
        rows: list[int] = []
        masks = []
        for row, old in enumerate(self.base.labels):
            sources = [chosen[key] for metric in metrics if (key := (metric, _signature(old))) in chosen]
            if self.ignored[row] or not sources:
                combinations: list[tuple[tuple[int, ...], Mask]] = [((), self.base.present[row])]
            else:
                combinations = list(self.combinations(np.stack(sources), row))
            for infos, mask in combinations:
                if self.ignored[row] or infos or self.may_be_missing():
                    labels.append(old if self.ignored[row] else self.extended(old, infos))
                    rows.append(row)
                    masks.append(mask)
        if not rows:
            return Vector.empty(self.base.values.shape[1])
        drops = [self.base.drops[row] for row in rows]
        return merged(Vector(labels, self.base.values[rows], np.stack(masks), drops).without_absent())

    def newest(self) -> dict[tuple[str, Labels], Indices]:
        """Return the row of the newest info series at each step, for each info metric and signature; -1: no series."""
        rows: dict[tuple[str, Labels], list[int]] = {}
        for row, labels in enumerate(self.info.labels):
            rows.setdefault((get(labels, NAME), _signature(labels)), []).append(row)
        return {key: self.newest_of(same) for key, same in rows.items()}

    def newest_of(self, rows: list[int]) -> Indices:
        seconds = np.where(self.info.present[rows], self.seconds[rows], -np.inf)
        best = seconds.argmax(axis=0)
        newest = seconds.max(axis=0)
        ties = (seconds == newest).sum(axis=0) > 1
        conflict = np.flatnonzero(ties & (newest > -np.inf))
        if len(conflict):
            same = np.flatnonzero(seconds[:, conflict[0]] == newest[conflict[0]])[:2]
            raise QueryError(
                f"found duplicate series for info metric: {dict(self.info.labels[rows[same[0]]])} and"
                f" {dict(self.info.labels[rows[same[1]]])} at {newest[conflict[0]]:g}. Add matchers to `info`."
            )
        return np.where(newest > -np.inf, np.array(rows, dtype=np.intp)[best], -1)

    def combinations(self, sources: Indices, row: int) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
        """Yield the info series of a base series, and the steps that have these."""
        found, inverse = np.unique(sources, axis=1, return_inverse=True)
        for number in range(found.shape[1]):
            infos = tuple(int(one) for one in found[:, number] if one >= 0)
            yield infos, self.base.present[row] & (inverse.reshape(-1) == number)

    def may_be_missing(self) -> bool:
        """Return whether the matchers allow series without info series."""
        return all(matchers.matches_empty(matcher) for matcher in self.data)

    def extended(self, old: Labels, infos: Sequence[int]) -> Labels:
        """Return the labels of a base series with those of its info series."""
        wanted = {matcher.name for matcher in self.data}
        known = {name for name, _ in old}
        added: dict[str, str] = {}
        for row in infos:
            for name, value in self.info.labels[row]:
                if name == NAME or (wanted and name not in wanted):
                    continue
                if added.get(name, value) != value:
                    raise QueryError(
                        f"conflicting label: {name}. Info series have different values of it. Add matchers to `info`."
                    )
                if name not in known:
                    added[name] = value
        labels = old
        for name, value in added.items():
            labels = changed(labels, name, value)
        return labels
