"""Settings of the shipped alerts, from which the rules are generated."""

from collections.abc import Mapping
from dataclasses import dataclass

from metricat_rules.alert import Severity


@dataclass(frozen=True)
class LevelSettings:
    """Settings of one level of an alert."""

    enabled: bool = True
    """Whether the level can fire."""
    duration: str = "0s"
    """How long the expression must be true before the level fires (`for`)."""
    threshold: float | None = None
    """None if the level has no threshold, or if only explicit thresholds are requested and the spec sets none."""


@dataclass(frozen=True)
class AlertSettings:
    """Settings of one alert: of each level, and the labels that the user adds."""

    levels: Mapping[Severity, LevelSettings]
    labels: Mapping[str, str]


SettingsByAlert = Mapping[str, AlertSettings]
"""Settings by name of the alert."""
