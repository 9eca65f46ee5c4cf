"""Rules and intervals of live child objects. Those of a paused target may hold anything that their schemas accept."""

from collections.abc import Sequence

from metricat_operator.facts.model import Manifest
from metricat_rules.durations import DurationError, prometheus_seconds


def groups(rules: Manifest) -> dict[str, Sequence[Manifest]]:
    """Return the rules of a PrometheusRule by the name of their group, without groups that have no name."""
    found = rules["spec"].get("groups") or []
    return {group["name"]: [one for one in group.get("rules") or [] if name_of(one)] for group in found}


def name_of(rule: Manifest) -> str:
    """Return the name of the alert or of the recorded series; empty if the rule has none."""
    return str(rule.get("alert") or rule.get("record") or "")


def for_seconds(rule: Manifest) -> float | None:
    """Return the `for` of an alert, 0 where it has none; None where it is not a duration."""
    return seconds(rule.get("for") or "0s")


def interval_seconds(monitor: Manifest) -> float | None:
    """Return the scrape interval of a ServiceMonitor's first endpoint; None where it has none, or not a duration."""
    endpoints = monitor["spec"].get("endpoints") or [{}]
    return seconds(endpoints[0].get("interval") or "")


def seconds(text: object) -> float | None:
    """Return the seconds of a duration of Prometheus; None where the text is not one."""
    try:
        return prometheus_seconds(str(text))
    except DurationError:
        return None
