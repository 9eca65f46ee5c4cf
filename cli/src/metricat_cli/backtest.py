"""Backtest: evaluate the alerts of a MonitoringTarget on the history in Prometheus.

The rules are exactly those that the operator would generate for the target. They compare recorded series, so history
starts when Metricat's recording rules first ran.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metricat_cli import files, rendering
from metricat_cli.episodes import Episode, Timing, episodes
from metricat_cli.prometheus import PrometheusClient
from metricat_operator import naming
from metricat_rules.durations import prometheus_seconds

HISTORY = "metricat:node_cpu_usage:percent"
"""A series that Prometheus records for every node at every evaluation."""


@dataclass(frozen=True)
class AlertRule:
    """The rule of one severity of an alert."""

    alert: str
    severity: str
    expr: str
    timing: Timing


@dataclass(frozen=True)
class Firing:
    """A period in which a rule would have fired, for one series."""

    rule: AlertRule
    labels: Mapping[str, str]
    episode: Episode


@dataclass(frozen=True)
class Target:
    """A target's name and the alert rules that it would have."""

    namespace: str
    name: str
    rules: tuple[AlertRule, ...]


def read(file: Path, step: float, namespace: str = "default") -> Target:
    """Return the rules of the only MonitoringTarget in a YAML file.

    `step` is the evaluation interval, in seconds, of groups without an interval.

    Raises:
        CommandError: the file does not hold exactly one MonitoringTarget, or its spec is not valid.
    """
    found = files.one(str(file))
    place = found.namespace(namespace)
    groups = [
        group
        for manifest in rendering.children(found.name, place, found.manifest.get("spec") or {}, "")
        if manifest["kind"] == "PrometheusRule"
        for group in manifest["spec"]["groups"]
    ]
    return Target(place, found.name, tuple(_rules(groups, step)))


def _rules(groups: Iterable[Mapping[str, Any]], step: float) -> Iterable[AlertRule]:
    for group in groups:
        every = prometheus_seconds(group["interval"]) if "interval" in group else step
        for rule in group["rules"]:
            if "alert" in rule:
                for_, keep_firing_for = (
                    prometheus_seconds(rule.get(field, "0s")) for field in ("for", "keep_firing_for")
                )
                timing = Timing(every, for_, keep_firing_for)
                yield AlertRule(rule["alert"], rule.get("labels", {}).get("severity", ""), rule["expr"], timing)


def begins(prometheus: PrometheusClient, target: Target, start: float, end: float, step: float) -> float | None:
    """Return the first time from start to end with a series of the target's recording rules, or None (in seconds)."""
    selector = f'namespace="{target.namespace}",service="{naming.child(target.name)}"'
    found = prometheus.evaluations(f"count({HISTORY}{{{selector}}})", start, end, step)
    return min((times[0] for times in found.values()), default=None)


def firings(prometheus: PrometheusClient, rule: AlertRule, start: float, end: float) -> list[Firing]:
    """Return each period from start to end (in seconds) in which the rule would have fired, the earliest first."""
    found = [
        Firing(rule, dict(labels), episode)
        for labels, times in prometheus.evaluations(rule.expr, start, end, rule.timing.step).items()
        for episode in episodes(times, rule.timing, end)
    ]
    return sorted(found, key=lambda firing: firing.episode.start)
