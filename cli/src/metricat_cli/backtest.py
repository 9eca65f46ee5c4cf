"""What the alerts of a MonitoringTarget would have done on the history that a Prometheus has.

The rules are those that the operator would ship for the target, to the letter; what they compare was recorded by the
rules that run already, so history begins where Metricat's recording rules do.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metricat_cli.episodes import Episode, Timing, episodes
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import Prometheus
from metricat_operator import naming
from metricat_operator.api.parse import parse
from metricat_operator.durations import prometheus_seconds
from metricat_operator.manifests import Context, build_children

HISTORY = "metricat:node_cpu_usage:percent"
"""Recorded for every node at every evaluation."""


@dataclass(frozen=True)
class Rule:
    """One level of an alert, as Prometheus would run it."""

    alert: str
    severity: str
    expr: str
    timing: Timing


@dataclass(frozen=True)
class Firing:
    """When one level of an alert would have fired for one series."""

    rule: Rule
    labels: Mapping[str, str]
    episode: Episode


@dataclass(frozen=True)
class Target:
    """A target's name, and the rules that it would have."""

    namespace: str
    name: str
    rules: tuple[Rule, ...]


def read(file: Path, step: float, namespace: str = "default") -> Target:
    """The only MonitoringTarget of a YAML file; `step` is the evaluation interval of groups that name none.

    Raises:
        CommandError: there is none, or its spec is refused.
    """
    try:
        found = [one for one in yaml.safe_load_all(file.read_text()) if one and one.get("kind") == naming.KIND]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise CommandError(f"cannot read {file}: {error}") from error
    if len(found) != 1:
        raise CommandError(f"{file} holds {len(found)} objects of kind {naming.KIND}; give a file with one")
    metadata, parsed = found[0].get("metadata") or {}, parse(found[0].get("spec") or {})
    if not metadata.get("name"):
        raise CommandError(f"{file}: the {naming.KIND} has no metadata.name; give it that of the one that runs")
    if parsed.spec is None or parsed.errors:
        raise CommandError(f"{file}: " + "; ".join(parsed.errors))
    namespace = metadata.get("namespace", namespace)
    context = Context(metadata["name"], namespace, uid="", spec=parsed.spec, agent_image="")
    groups = [
        group
        for manifest in build_children(context)
        if manifest["kind"] == "PrometheusRule"
        for group in manifest["spec"]["groups"]
    ]
    return Target(namespace, metadata["name"], tuple(_rules(groups, step)))


def _rules(groups: Iterable[Mapping[str, Any]], step: float) -> Iterable[Rule]:
    for group in groups:
        every = prometheus_seconds(group["interval"]) if "interval" in group else step
        for rule in group["rules"]:
            if "alert" in rule:
                hold, keep = (prometheus_seconds(rule.get(field, "0s")) for field in ("for", "keep_firing_for"))
                timing = Timing(every, hold, keep)
                yield Rule(rule["alert"], rule.get("labels", {}).get("severity", ""), rule["expr"], timing)


def begins(prometheus: Prometheus, target: Target, start: float, end: float, step: float) -> float | None:
    """The first instant of the range at which the target's recording rules had run; None if they never had."""
    selector = f'namespace="{target.namespace}",service="{naming.child(target.name)}"'
    found = prometheus.instants(f"count({HISTORY}{{{selector}}})", start, end, step)
    return min((instants[0] for instants in found.values()), default=None)


def firings(prometheus: Prometheus, rule: Rule, start: float, end: float) -> list[Firing]:
    """Every time that the rule would have fired between start and end, the earliest first."""
    found = [
        Firing(rule, dict(labels), episode)
        for labels, instants in prometheus.instants(rule.expr, start, end, rule.timing.step).items()
        for episode in episodes(instants, rule.timing, end)
    ]
    return sorted(found, key=lambda firing: firing.episode.start)
