"""The PrometheusRules: Metricat's own, and the user's."""

from metricat_operator import naming
from metricat_operator.alerts import rules
from metricat_operator.api.fields import seconds
from metricat_operator.manifests.context import Context
from metricat_operator.observed import Manifest


def prometheus_rule(context: Context) -> Manifest:
    """The recording rules and the catalogue's alerts, set as the target says, over this target's series only."""
    spec = context.spec
    scope = rules.Scope(
        namespace=context.namespace,
        service=naming.child(context.name),
        extra_labels=spec.agent.extra_labels,
        window_seconds=max(60, int(4 * seconds(spec.monitor.interval))),
    )
    settings = spec.alerts.rules.model_dump(by_alias=True)
    return _rule(
        context,
        naming.child(context.name),
        [
            rules.recording_group(f"metricat-{context.name}-recording", scope),
            rules.alert_group(f"metricat-{context.name}-alerts", scope, settings, spec.alerts.runbook_base_url),
        ],
    )


def extra_prometheus_rule(context: Context) -> Manifest:
    """The user's own groups, as they were written."""
    groups = [
        group.model_dump(by_alias=True, exclude_none=True, exclude_defaults=True, mode="json")
        for group in context.spec.alerts.extra_groups
    ]
    return _rule(context, naming.extra_rules(context.name), groups)


def _rule(context: Context, name: str, groups: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": context.metadata("rules", name=name, labels=context.spec.alerts.labels),
        "spec": {"groups": groups},
    }
