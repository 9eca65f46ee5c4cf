"""Settings of the shipped alerts, as the rules are made from them."""

from collections.abc import Mapping
from dataclasses import dataclass

from metricat_operator.alerts.alert import Severity


@dataclass(frozen=True)
class LevelSettings:
    """Settings of one level of an alert."""

    enabled: bool = True
    """Whether the level can fire."""
    duration: str = "0s"
    """How long the expression must be true before the level fires (`for`)."""
    threshold: float | None = None
    """None where the level has no threshold, or where only written settings are wanted and this one is not written."""


@dataclass(frozen=True)
class AlertSettings:
    """Settings of one alert: those of its levels, and the labels that the user adds to it."""

    levels: Mapping[Severity, LevelSettings]
    labels: Mapping[str, str]


SettingsByAlert = Mapping[str, AlertSettings]
"""Settings by name of the alert."""
