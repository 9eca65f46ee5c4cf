"""All child objects of a target, in the order in which the operator applies them."""

from collections.abc import Callable, Mapping

from metricat_operator import child_kinds
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.alertmanager_config import alertmanager_config
from metricat_operator.manifests.context import Context
from metricat_operator.manifests.daemon_set import daemon_set
from metricat_operator.manifests.prometheus_rule import all_prometheus_rules
from metricat_operator.manifests.service import service
from metricat_operator.manifests.service_account import service_account
from metricat_operator.manifests.service_monitor import service_monitor

BUILDERS: Mapping[child_kinds.ChildKind, Callable[[Context], list[Manifest]]] = {
    child_kinds.SERVICE_ACCOUNT: lambda context: [service_account(context)],
    child_kinds.DAEMON_SET: lambda context: [daemon_set(context, pool) for pool in context.pools],
    child_kinds.SERVICE: lambda context: [service(context)],
    child_kinds.SERVICE_MONITOR: lambda context: [service_monitor(context)],
    child_kinds.PROMETHEUS_RULE: all_prometheus_rules,
    child_kinds.ALERTMANAGER_CONFIG: lambda context: [alertmanager_config(context)],
}
"""The builder of each child kind."""


def build_children(context: Context) -> list[Manifest]:
    """Return the child objects that the target should have; the operator deletes other objects that the target owns."""
    kinds = child_kinds.wanted_kinds(context.spec)
    return [manifest for kind in kinds for manifest in BUILDERS[kind](context)]
