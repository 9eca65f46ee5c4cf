"""Backtest: evaluate the alerts of a MonitoringTarget on the history in Prometheus.

The rules are exactly those that the operator would generate for the target. They compare recorded series, so history
starts when Metricat's recording rules first ran.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from metricat_cli.episodes import Episode, Timing, episodes
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import PrometheusClient
from metricat_operator import naming
from metricat_operator.api.parse import parse
from metricat_operator.manifests import Context, build_children
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
    """One time that a rule would have fired, for one series."""

    rule: AlertRule
    labels: Mapping[str, str]
    episode: Episode


@dataclass(frozen=True)
class Target:
    """A target's name and the alert rules that it would have."""

    namespace: str
    name: str
    rules: tuple[AlertRule, ...]


class _Loader(yaml.SafeLoader):
    """A loader that rejects equal keys, of which YAML would keep the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 -- as in yaml
        """Return a mapping; raise `ConstructorError` for a key that is given twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if twice := [key for at, key in enumerate(keys) if key in keys[:at]]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {twice[0]} is given twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


def read(file: Path, step: float, namespace: str = "default") -> Target:
    """Return the rules of the only MonitoringTarget in a YAML file.

    `step` is the evaluation interval, in seconds, of groups without an interval.

    Raises:
        CommandError: the file does not hold exactly one MonitoringTarget, or its spec is not valid.
    """
    try:
        found = [one for one in yaml.load_all(file.read_text(), _Loader) if one and one.get("kind") == naming.KIND]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError) as error:
        raise CommandError(f"cannot read {file}: {error}. Check the path and the YAML syntax") from error
    if len(found) != 1:
        raise CommandError(f"{file} holds {len(found)} objects of kind {naming.KIND}. Use a file with exactly one")
    metadata, parsed = found[0].get("metadata") or {}, parse(found[0].get("spec") or {})
    if not metadata.get("name"):
        raise CommandError(f"{file}: the {naming.KIND} has no metadata.name. Use the name of the existing target")
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
    """Return the first time in the range with a series of the target's recording rules, or None."""
    selector = f'namespace="{target.namespace}",service="{naming.child(target.name)}"'
    found = prometheus.evaluations(f"count({HISTORY}{{{selector}}})", start, end, step)
    return min((times[0] for times in found.values()), default=None)


def firings(prometheus: PrometheusClient, rule: AlertRule, start: float, end: float) -> list[Firing]:
    """Return every time that the rule would have fired between start and end, the earliest first."""
    found = [
        Firing(rule, dict(labels), episode)
        for labels, times in prometheus.evaluations(rule.expr, start, end, rule.timing.step).items()
        for episode in episodes(times, rule.timing, end)
    ]
    return sorted(found, key=lambda firing: firing.episode.start)
