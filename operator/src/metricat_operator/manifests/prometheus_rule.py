"""The PrometheusRules with Metricat's rule groups, and the PrometheusRule with the user's groups."""

import json
from collections.abc import Mapping, Sequence

from metricat_operator import naming
from metricat_operator.api.pools import Pool
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context
from metricat_rules.catalogue import CATALOGUE
from metricat_rules.durations import spec_seconds
from metricat_rules.groups import Scope, alert_group, baseline_group, recording_group, sharded
from metricat_rules.settings import AlertSettings, LevelSettings, SettingsByAlert

_MOST = 400 * 1024
"""Maximum bytes of JSON in one PrometheusRule. The Prometheus Operator rejects rules of 512 KiB of YAML or more."""


def all_prometheus_rules(context: Context) -> list[Manifest]:
    """Return Metricat's PrometheusRules if alerts are enabled, and the user's PrometheusRule if the spec has groups."""
    alerts = context.spec.alerts
    own = prometheus_rules(context) if alerts.enabled else []
    return [*own, extra_prometheus_rule(context)] if alerts.extra_groups else own


def prometheus_rules(context: Context) -> list[Manifest]:
    """Return the recording rules and the alerts with the target's settings, for this target's series only.

    They are one object, or several if the pools' own settings make it too large for the Prometheus Operator.
    """
    groups: list[Manifest] = []
    for labels, pools in _by_extra_labels(context):
        scope = _scope(context, labels, pools)
        groups += sharded(recording_group(_group_name(context, "recording", scope), scope))
        groups.append(baseline_group(_group_name(context, "baseline", scope), scope))
        for settings, members in _by_settings(pools, per_target=False):
            scope = _scope(context, labels, members)
            name = _group_name(context, "alerts", scope)
            groups += sharded(alert_group(name, scope, settings, context.spec.alerts.runbook_base_url))
    for settings, members in _by_settings(context.pools, per_target=True):
        scope = _scope(context, _common(members), members)
        name = _group_name(context, "fleet", scope)
        groups += sharded(alert_group(name, scope, settings, context.spec.alerts.runbook_base_url))
    return [_rule(context, naming.rules(context.name, part), some) for part, some in enumerate(_parts(groups))]


def _parts(groups: Sequence[Manifest]) -> list[list[Manifest]]:
    """Split the groups, in order, into as few parts as possible."""
    parts: list[list[Manifest]] = [[]]
    free = _MOST
    for group in groups:
        size = len(json.dumps(group))
        if size > free and parts[-1]:
            parts.append([])
            free = _MOST
        parts[-1].append(group)
        free -= size
    return parts


def _by_extra_labels(context: Context) -> list[tuple[Mapping[str, str], list[Pool]]]:
    """Return the pools by the extra labels of their series, those of the default pool first."""
    found: dict[tuple[tuple[str, str], ...], list[Pool]] = {}
    for pool in reversed(context.pools):
        found.setdefault(tuple(sorted(pool.agent.extra_labels.items())), []).append(pool)
    return [(dict(labels), pools) for labels, pools in found.items()]


def _common(pools: Sequence[Pool]) -> Mapping[str, str]:
    """Return the extra labels that all pools share."""
    first, *others = (pool.agent.extra_labels for pool in pools)
    return {name: value for name, value in first.items() if all(labels.get(name) == value for labels in others)}


def _by_settings(pools: Sequence[Pool], *, per_target: bool) -> list[tuple[SettingsByAlert, list[Pool]]]:
    """Return the settings of the alerts, each with the pools that have it.

    Pools with the same setting of a level share one rule, so that each rule covers a node once. `per_target` selects
    the levels about all nodes together.
    """
    found: dict[frozenset[str], dict[str, AlertSettings]] = {frozenset(pool.name for pool in pools): {}}
    by_pool = {pool.name: pool.rules.by_alert() for pool in pools}
    for alert in CATALOGUE:
        for level in (level for level in alert.levels if level.per_target == per_target):
            by_settings: dict[tuple[LevelSettings, tuple[tuple[str, str], ...]], set[str]] = {}
            for name, settings in by_pool.items():
                own = settings[alert.name]
                by_settings.setdefault((own.levels[level.severity], tuple(sorted(own.labels.items()))), set()).add(name)
            for (level_settings, labels), names in by_settings.items():
                group = found.setdefault(frozenset(names), {})
                others = group[alert.name].levels if alert.name in group else {}
                group[alert.name] = AlertSettings({**others, level.severity: level_settings}, dict(labels))
    return [(settings, [pool for pool in pools if pool.name in names]) for names, settings in found.items()]


def _scope(context: Context, labels: Mapping[str, str], pools: Sequence[Pool]) -> Scope:
    """Return the scope of these pools' series, without pool names if these are all pools."""
    return Scope(
        namespace=context.namespace,
        target=context.name,
        service=naming.child(context.name),
        pools=() if len(pools) == len(context.pools) else tuple(sorted(pool.name for pool in pools)),
        extra_labels=labels,
        window_seconds=max(60, int(4 * spec_seconds(context.spec.monitor.interval))),
    )


def _group_name(context: Context, what: str, scope: Scope) -> str:
    """Return a unique name, also with the numbers of shards: no pool name has a colon."""
    return ":".join([f"metricat-{context.name}", *scope.pools, what])


def extra_prometheus_rule(context: Context) -> Manifest:
    """Return the PrometheusRule with the user's groups, unchanged."""
    groups = [
        group.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True, mode="json")
        for group in context.spec.alerts.extra_groups
    ]
    return _rule(context, naming.extra_rules(context.name), groups)


def _rule(context: Context, name: str, groups: list[Manifest]) -> Manifest:
    labels = context.spec.alerts.labels
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": context.metadata(
            naming.RULES, name=name, labels=context.default_labels.rules if labels is None else labels
        ),
        "spec": {"groups": groups},
    }
