"""Thresholds of measures in a short form, and the alerting rules that they become.

cpu_usage: {threshold: 80, duration: 5m, severity: warning}
filesystem_usage_percent:
- {threshold: 85, operator: ">=", for_duration_minutes: 30, cooldown_minutes: 60}
- {threshold: 95, severity: critical, match: {mountpoint: /}}
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, cast, get_args

from metricat_hub.config.sections import Section, is_list, mapping
from metricat_hub.evaluation.measure_texts import first_step, processes
from metricat_hub.model.durations import format_go_duration, parse_duration
from metricat_hub.model.measures import BY_NAME, SHORT_NAMES
from metricat_hub.model.ports import Matcher
from metricat_rules.alert import Severity
from metricat_rules.groups import number

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from metricat_agent.config.yaml_text import Node
    from metricat_hub.model.measures import Measure

COOLDOWN = "cooldown"
"""The annotation with the cooldown, which `dispatch` reads."""
GROUP = "thresholds"
"""The name of the group of these rules."""
Operator: TypeAlias = Literal[">", "<", ">=", "<=", "==", "!="]
OPERATORS: tuple[Operator, ...] = get_args(Operator)
SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_WORDS: Mapping[Operator, str] = {
    ">": "High",
    ">=": "High",
    "<": "Low",
    "<=": "Low",
    "==": "Equal",
    "!=": "NotEqual",
}
_PART = "{{ with $labels.device }} {{ . }}{{ end }}{{ with $labels.mountpoint }} {{ . }}{{ end }}"
"""A template for the device or mount point of a series."""
_LABEL = re.compile(r"[a-zA-Z_]\w*", re.ASCII)
_MOST_MINUTES = 366 * 1440
_KEYS = (
    *("threshold", "operator", "duration", "for_duration_minutes", "severity", "cooldown_minutes", "enabled"),
    *("name", "match", "labels"),
)


NAMES = (*BY_NAME, *SHORT_NAMES)
"""All names of measures in rules: full names, and names without the unit."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A rule in the short form: a measure is compared with a threshold. Durations are in milliseconds."""

    measure: Measure
    threshold: float
    operator: Operator = ">"
    severity: Severity = "warning"
    hold: int = 0
    """How long the comparison must be true before the alert fires."""
    cooldown: int = 0
    """The least time between two notifications if the alert resolves and fires again."""
    name: str = ""
    """The name of the alert; empty: derived from measure and operator."""
    match: Mapping[str, str] = field(default_factory=dict)
    """Label values that select the series, for example of `pool` or `node`."""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def alert(self) -> str:
        """The name of the alert."""
        words = self.measure.name.removesuffix("_percent").split("_")
        return self.name or f"{''.join(word.capitalize() for word in words)}{_WORDS[self.operator]}"

    def rule(self, window: int) -> dict[str, Any]:
        """Convert the threshold to a rule in Prometheus' format. `window` is the rate window in milliseconds."""
        matchers = [Matcher(name, "=", value) for name, value in sorted(self.match.items())]
        unit = "%" if self.measure.unit == "percent" else self.measure.unit
        shown = {"bytes": "humanize1024", "bytes/second": "humanize1024"}.get(unit, 'printf "%.4g"')
        place = f"{{{{ $labels.node }}}}{_PART}"
        limit = number(self.threshold)
        action = first_step(self.measure, self.operator)
        return {
            "alert": self.alert,
            "expr": f"({self.measure.expression(window, matchers)}) {self.operator} {limit}",
            "for": format_go_duration(self.hold),
            "labels": {"resource": f"{self.measure.title}{_PART}", "severity": self.severity, **self.labels},
            "annotations": {
                **({COOLDOWN: format_go_duration(self.cooldown)} if self.cooldown else {}),
                "summary": f"{self.measure.title} on {place} is {{{{ $value | {shown} }}}} {unit}",
                "description": f"{self.measure.title} of {place} is {{{{ $value | {shown} }}}} {unit} "
                f"(alert if {self.operator} {limit} {unit}).{processes(self.measure)}",
                **({"action": action} if action else {}),
            },
        }


def measure_of(name: str) -> Measure:
    """Return the measure with a full or short name; raise ValueError for an unknown name."""
    found = BY_NAME.get(name) or SHORT_NAMES.get(name)
    if found is None:
        from difflib import get_close_matches  # noqa: PLC0415 -- needed only for an error

        near = get_close_matches(name, NAMES, 1, 0.6)
        hint = f"did you mean {near[0]}? " if near else ""
        raise ValueError(
            f"no measure has the name '{name[:100]}'; {hint}list the measures with: GET /api/v1/metrics/measures"
        )
    return found


def read(node: Node, path: str, file: str) -> list[Threshold]:
    """Return the thresholds of a mapping from measures to one threshold or a list, without those with `enabled: false`.

    Raises:
        ConfigFileError: a key or a value is not valid.
    """
    found = []
    section = Section(node, path, file, NAMES)
    for name, value in section.values.items():
        items = section.items(name) if is_list(value) else [value]
        for place, item in enumerate(items):
            key = f"{path}{name}[{place}]." if is_list(value) else f"{path}{name}."
            mapping(item, key, file)
            one = _threshold(measure_of(name), Section(item, key, file, _KEYS))
            if one is not None:
                found.append(one)
    return found


def _threshold(measure: Measure, section: Section) -> Threshold | None:
    if "threshold" not in section.values or section.values["threshold"].is_null:
        section.fail("threshold", "missing; write a number, for example 80")
    if section.text("duration") and section.text("for_duration_minutes"):
        section.fail("for_duration_minutes", "both duration and for_duration_minutes are set; remove one of them")
    for key in ("match", "labels"):
        for name in section.pairs(key):
            if not _LABEL.fullmatch(name):
                section.fail(key, f"invalid name '{name}'; use letters, digits and _")
    threshold = section.parsed("threshold", parse_number, 0.0)
    if not section.switch("enabled", default=True):
        return None
    return Threshold(
        measure,
        threshold,
        cast("Operator", section.choice("operator", OPERATORS, ">")),
        cast("Severity", section.choice("severity", SEVERITIES, "warning")),
        section.parsed("duration", parse_duration, 0) or section.parsed("for_duration_minutes", parse_minutes, 0),
        section.parsed("cooldown_minutes", parse_minutes, 0),
        section.text("name"),
        section.pairs("match"),
        section.pairs("labels"),
    )


def parse_number(text: str) -> float:
    """Parse a finite number; raise ValueError for any other text."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ValueError(f"invalid number '{text[:100]}'; write for example 80 or 0.5")
    return found


def parse_minutes(text: str) -> int:
    """Parse a number of minutes; return milliseconds. Raise ValueError for any other text."""
    found = parse_number(text)
    if not 0 <= found <= _MOST_MINUTES:
        raise ValueError(f"{text[:100]} minutes is outside of 0 to {_MOST_MINUTES}; write for example 5")
    return round(found * 60_000)
