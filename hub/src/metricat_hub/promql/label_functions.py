"""Functions that only change or compare labels."""

from __future__ import annotations

import re
from functools import cmp_to_key
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.model.labels import NAME
from metricat_hub.promql import matchers
from metricat_hub.promql.label_memo import remembered
from metricat_hub.promql.nodes import RangeSelector, Selector
from metricat_hub.promql.vector import Vector, changed, get, merged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Values
    from metricat_hub.promql.nodes import Node

_CHUNK = re.compile(r"[0-9]+|[^0-9]+")


def quoted(text: str) -> str:
    """Return a text in double quotes; bytes that are not valid UTF-8 as escape sequences."""
    shown = "".join(f"\\x{ord(c) & 0xFF:02x}" if 0xDC80 <= ord(c) <= 0xDCFF else c for c in text)
    return f'"{shown}"'


def _check_name(name: str, what: str, function: str) -> None:
    if not matchers.is_label_name(name):
        raise InvalidQueryError(
            f"invalid {what} label name in {function}(): {name!r}. Use valid UTF-8 that is not empty."
        )


def replaced(vector: Vector, target: str, replacement: str, source: str, pattern: str) -> Vector:
    """Apply `label_replace`: where the source label matches, set the target label to the replacement."""
    compiled = matchers.compiled(pattern)
    _check_name(target, "destination", "label_replace")

    def compute() -> tuple[tuple[Labels, ...], tuple[bool, ...]]:
        found = [compiled.fullmatch(get(old, source)) for old in vector.labels]
        labels = (
            old if match is None else changed(old, target, matchers.expanded(replacement, match))
            for old, match in zip(vector.labels, found, strict=True)
        )
        return tuple(labels), tuple(match is not None for match in found)

    labels, matched = remembered(("replace", target, replacement, source, pattern), vector.labels, compute)
    drops = [drop and not (match and target == NAME) for drop, match in zip(vector.drops, matched, strict=True)]
    return merged(Vector(list(labels), vector.values, vector.present, drops))


def joined(vector: Vector, target: str, separator: str, sources: Sequence[str]) -> Vector:
    """Apply `label_join`: set the target label to the joined values of the source labels."""
    for source in sources:
        _check_name(source, "source", "label_join")
    _check_name(target, "destination", "label_join")
    labels = [changed(old, target, separator.join(get(old, source) for source in sources)) for old in vector.labels]
    drops = [drop and target != NAME for drop in vector.drops]
    return merged(Vector(labels, vector.values, vector.present, drops))


def absent_labels(node: Node) -> Labels:
    """Return the labels that have one `=` matcher and no other matcher in a selector."""
    selector = node.selector if isinstance(node, RangeSelector) else node
    if not isinstance(selector, Selector):
        return ()
    labels: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == NAME:
            continue
        if matcher.operator == "=" and matcher.name not in seen:
            labels[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            labels.pop(matcher.name, None)
    return tuple(sorted((name, value) for name, value in labels.items() if value))


def natural_order(labels: Sequence[Labels], names: Sequence[str], *, descending: bool) -> list[int]:
    """Return the indices of series in natural order (node2 before node10) of the labels `names`, then of all labels."""

    def compare(one: int, other: int) -> int:
        for name in names:
            left, right = get(labels[one], name), get(labels[other], name)
            if left != right:
                return -1 if _naturally_before(left, right) else 1
        return (labels[one] > labels[other]) - (labels[one] < labels[other])

    order = sorted(range(len(labels)), key=cmp_to_key(compare))
    return order[::-1] if descending else order


def _naturally_before(one: str, other: str) -> bool:
    left, right = _CHUNK.findall(one), _CHUNK.findall(other)
    for a, b in zip(left, right, strict=False):
        numeric = a[0].isdigit() and b[0].isdigit()
        if a != b and not (numeric and int(a) == int(b)):
            return int(a) < int(b) if numeric else a < b
    return len(left) <= len(right)


def labelled_by_value(vector: Vector, label: str, value: Values) -> list[Vector]:
    """Return the vector with the value of a scalar as a label, split into one vector for each distinct value."""
    parts = []
    for one in np.unique(value).tolist():  # NaN is one value here
        same = np.isnan(value) if np.isnan(one) else value == one
        labels = [changed(old, label, _openmetrics(one)) for old in vector.labels]
        parts.append(Vector(labels, vector.values, vector.present & same, vector.drops).without_absent())
    return parts


def concatenated(parts: Sequence[Vector], steps: int) -> Vector:
    """Return one vector with the rows of all vectors."""
    if not parts:
        return Vector.empty(steps)
    return merged(
        Vector(
            [labels for part in parts for labels in part.labels],
            np.concatenate([part.values for part in parts]),
            np.concatenate([part.present for part in parts]),
            [drop for part in parts for drop in part.drops],
        )
    )


def _openmetrics(value: float) -> str:
    """Return a number as OpenMetrics writes it: whole numbers with `.0`."""
    if np.isnan(value):
        return "NaN"
    if np.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    exponent = np.floor(np.log10(abs(value))) if value else 0
    if exponent < -4 or exponent >= 21:
        mantissa, _, power = np.format_float_scientific(value, trim="-").partition("e")
        return f"{mantissa}e{power}"
    return np.format_float_positional(value, trim="0")
