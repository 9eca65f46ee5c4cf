"""The layout of a scrape response: all text but the numbers, with each series and each name once. Pure.

This package calls the body of a scrape response a page. The official parsers reject a whole page that has a series
twice, a family in two places, or two families that share a name. So a layout has one group of lines for each family,
and each series once. See docs/design/0005-agent-exposition-writer.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from metricat_agent.exposition.model import BOUNDS, Family
from metricat_agent.exposition.text import head_text, label_text, number_text, openmetrics_head_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Format = Literal["text", "openmetrics"]
Shape = list["Family | tuple[str, ...]"]
"""Families, each followed by the label values of its series."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The template of a part of a scrape response, with ``%s`` for each number."""

    template: str
    order: tuple[int, ...] | None
    """Positions of the numbers in the shape, in the order of the template; None if they are all numbers in order."""
    series: int
    """Number of series in the template."""
    names: frozenset[str]
    """Names that the other families of the page must not use."""
    duplicates: Mapping[str, int]
    """Number of series, by family, that are not in the template: the page has the series or its name already."""


@dataclass(slots=True)
class _Group:
    """A family and its lines, by the text that identifies a series."""

    family: Family
    lines: dict[tuple[str, ...], tuple[str, int]]
    duplicates: int = 0


def lay_out(shape: Shape, fmt: Format, taken: frozenset[str], unknown: frozenset[str]) -> Layout:
    """Return the layout of a shape: families, each followed by the label values of its series.

    Raise ValueError if the number of label values differs from the family's.

    Of equal series the last one counts: the kernel lists a device twice if it changes while the table is read.
    ``taken`` are the names of other families on the page. Counters in ``unknown`` have the type unknown in OpenMetrics.
    """
    names: set[str] = set()
    kept: list[_Group] = []
    duplicates: dict[str, int] = {}
    for group in _groups(shape, fmt):
        page_names = group.family.page_names
        number = group.duplicates
        if names.isdisjoint(page_names) and taken.isdisjoint(page_names):
            names.update(page_names)
            kept.append(group)
        else:
            number += len(group.lines)
        if number:
            duplicates[group.family.name] = number
    parts: list[str] = []
    order: list[int] = []
    for group in kept:
        family = group.family
        short = family.openmetrics_names
        if not (names.isdisjoint(short) and taken.isdisjoint(short)):
            short = ()
        names.update(short)
        typed = family.kind != "counter" or bool(short and family.name not in unknown)
        head = head_text(family) if fmt == "text" else openmetrics_head_text(family, typed=typed)
        parts.append(head.replace("%", "%%"))
        for line, position in group.lines.values():
            parts.append(line)
            order.append(position)
    in_order = not duplicates and order == sorted(order)
    return Layout(
        template="".join(parts),
        order=None if in_order else tuple(order),
        series=len(order),
        names=frozenset(names),
        duplicates=duplicates,
    )


def _groups(shape: Shape, fmt: Format) -> Iterable[_Group]:
    """Group the series of a shape by the name of their family."""
    groups: dict[str, _Group] = {}
    position = 0
    for item in shape:
        if isinstance(item, Family):
            family = item
            group = groups.setdefault(family.name, _Group(family, {}))
            is_other = family.kind != group.family.kind and (family.kind in BOUNDS or group.family.kind in BOUNDS)
            continue
        suffix, pairs = series_pairs(family, item, fmt)
        key = (suffix, *sorted([pair for pair in pairs if not pair.endswith('=""')]))
        if is_other or key in group.lines:
            group.duplicates += 1
        if not is_other:
            line = series_line(family.name + suffix, pairs).replace("%", "%%")
            group.lines[key] = (f"{line}%s\n", position)
        position += 1
    return groups.values()


def series_pairs(family: Family, values: tuple[str, ...], fmt: Format) -> tuple[str, list[str]]:
    """Return the suffix of a series and its labels as text. OpenMetrics requires the bounds of buckets as floats."""
    if family.kind not in BOUNDS:
        return "", [f'{label}="{label_text(value)}"' for label, value in zip(family.labels, values, strict=True)]
    *values_of_labels, part = values
    shown = {label: value for label, value in zip(family.labels, values_of_labels, strict=True) if value}
    bound = BOUNDS[family.kind]
    if fmt == "openmetrics" and bound in shown:
        shown[bound] = number_text(float(shown[bound]))
    return part, [f'{label}="{label_text(value)}"' for label, value in shown.items()]


def series_line(name: str, pairs: list[str]) -> str:
    """Return a line up to its number."""
    return f"{name}{{{','.join(pairs)}}} " if pairs else f"{name} "
