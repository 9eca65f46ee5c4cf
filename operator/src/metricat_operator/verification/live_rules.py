"""What is read of our objects as they live: those of a paused target may hold whatever their schemas let pass."""

from collections.abc import Sequence

from metricat_operator.facts.model import Manifest


def groups(rules: Manifest) -> dict[str, Sequence[Manifest]]:
    """The rules of each group of a PrometheusRule, by its name; a rule without a name is none."""
    found = rules["spec"].get("groups") or []
    return {group["name"]: [one for one in group.get("rules") or [] if name_of(one)] for group in found}


def name_of(rule: Manifest) -> str:
    """The name of an alert or of what is recorded; empty where there is none."""
    return str(rule.get("alert") or rule.get("record") or "")


def interval(monitor: Manifest) -> str:
    """How often a ServiceMonitor has its first endpoint scraped; empty where it does not say."""
    endpoints = monitor["spec"].get("endpoints") or [{}]
    return str(endpoints[0].get("interval") or "")
