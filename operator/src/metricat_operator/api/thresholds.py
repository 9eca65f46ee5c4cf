"""Thresholds that contradict each other: the critical alert would fire before its warning.

The two default thresholds of an alert define which direction is worse. For remaining hours, the critical one is lower.
"""

from collections.abc import Iterator
from typing import Literal

from metricat_operator.api.fields import rule
from metricat_rules.catalogue import CATALOGUE, Alert
from metricat_rules.settings import LevelSettings, SettingsByAlert

_LEVELS: tuple[Literal["warning"], Literal["critical"]] = ("warning", "critical")


def rules(alert: Alert) -> Iterator[dict[str, str]]:
    """Return the CEL rule of an alert's settings: two thresholds of the spec must not contradict each other.

    Defaults are not compared: a changed default must not make a valid spec invalid.
    """
    if not _has_both(alert):
        return
    written = " && ".join(
        f"self.?{level}.?threshold.hasValue() && self.?{level}.?enabled.orValue(true)" for level in _LEVELS
    )
    relation, words, worse = ("<=", "at most", "lower") if _falls(alert) else (">=", "at least", "higher")
    yield rule(
        f"!({written}) || self.critical.threshold {relation} self.warning.threshold",
        f"critical.threshold must be {words} warning.threshold, because {worse} values of {alert.name} are worse. "
        "Change one of them, or disable one level with enabled: false.",
    )


def contradictions(settings: SettingsByAlert, where: str) -> Iterator[str]:
    """Return a message for each alert whose two enabled thresholds contradict each other.

    The API server rejects contradicting thresholds of the spec. It cannot compare defaults, or a pool's settings with
    the target's.
    """
    for alert in filter(_has_both, CATALOGUE):
        if alert.name not in settings:
            continue
        warning, critical = (_enabled_threshold(settings[alert.name].levels[level]) for level in _LEVELS)
        if warning is None or critical is None:
            continue
        if critical > warning if _falls(alert) else critical < warning:
            yield (
                f"{where}.{alert.name}: critical.threshold {critical:g} is {'above' if _falls(alert) else 'below'} "
                f"warning.threshold {warning:g}, so the critical alert fires first and inhibits its warning. "
                "Change one of them, or disable one level with enabled: false."
            )


def _enabled_threshold(level: LevelSettings) -> float | None:
    return level.threshold if level.enabled else None


def _has_both(alert: Alert) -> bool:
    return {level.severity for level in alert.levels if level.threshold is not None}.issuperset(_LEVELS)


def _falls(alert: Alert) -> bool:
    """Return whether lower values of the alert are worse."""
    by_level = {level.severity: level.threshold or 0 for level in alert.levels}
    return by_level["critical"] < by_level["warning"]
