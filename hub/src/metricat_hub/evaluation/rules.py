"""Rules and groups of rules, as Prometheus defines them. Durations and times are in milliseconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping

    from metricat_hub.evaluation.templates import Template
    from metricat_rules.alert_state import Timing


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """A rule that stores the result of an expression as series with a new name."""

    name: str
    expression: str
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AlertingRule:
    """A rule whose expression has a result for each alert that is active."""

    name: str
    expression: str
    timing: Timing
    labels: Mapping[str, Template] = field(default_factory=dict)
    annotations: Mapping[str, Template] = field(default_factory=dict)


Rule: TypeAlias = RecordingRule | AlertingRule


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated one after the other, at one interval."""

    name: str
    file: str
    interval: int
    rules: tuple[Rule, ...]
    limit: int = 0
    """The most alerts or series of one rule; 0: no limit."""
    query_offset: int = 0
    """Milliseconds by which the time of the evaluation is shifted to the past."""
