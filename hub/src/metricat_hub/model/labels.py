"""Label sets. Labels identify a series. The metric name is the label `__name__`."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

NAME = "__name__"
Labels: TypeAlias = tuple[tuple[str, str], ...]
"""Labels and their values, sorted by label. Values are not empty: an empty label equals a missing label."""


def from_mapping(pairs: Mapping[str, str]) -> Labels:
    """Convert a mapping to a label set: sorted, without empty values."""
    return tuple(sorted((name, value) for name, value in pairs.items() if value))


def metric_name(labels: Labels) -> str:
    """Return the metric name; empty if the labels have none."""
    return next((value for name, value in labels if name == NAME), "")


def text(labels: Labels) -> str:
    """Format labels in Prometheus' notation, such as `up{job="nodes"}`."""
    inner = ",".join(f'{name}="{_escaped(value)}"' for name, value in labels if name != NAME)
    return f"{metric_name(labels)}{{{inner}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
