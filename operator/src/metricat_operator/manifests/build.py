"""All children of a target, in the order in which they are applied."""

from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.alertmanager_config import alertmanager_config
from metricat_operator.manifests.context import Context
from metricat_operator.manifests.daemon_set import daemon_set
from metricat_operator.manifests.prometheus_rule import extra_prometheus_rule, prometheus_rules
from metricat_operator.manifests.service import service
from metricat_operator.manifests.service_account import service_account
from metricat_operator.manifests.service_monitor import service_monitor


def build_children(context: Context) -> list[Manifest]:
    """The children that the target should have; what it owns besides is to be pruned."""
    alerts = context.spec.alerts
    children = [
        service_account(context),
        *(daemon_set(context, pool) for pool in context.pools),
        service(context),
        service_monitor(context),
    ]
    if alerts.enabled:
        children += prometheus_rules(context)
    if alerts.extra_groups:
        children.append(extra_prometheus_rule(context))
    if context.spec.notifications.receivers:
        children.append(alertmanager_config(context))
    return children
