"""The registry of child kinds: every kind of object that the operator creates for a MonitoringTarget. Pure.

A new kind is one entry in `CHILD_KINDS` and one builder in `manifests/build.py`. Caches, apply, prune, drift and status
read the registry. Tests compare it with the chart's RBAC and policies, the golden manifests and the recorded objects.
See docs/contributing/child-kind.md.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from metricat_operator.api.v1alpha1 import Spec

ANY_VALUE: Final = object()
"""As a default: the API server chooses the value."""

FieldPath = tuple[str, ...]
"""The path of a field without the positions in lists: `("spec", "ports", "port")`."""


def _always(_: Spec) -> bool:
    return True


@dataclass(frozen=True)
class ChildKind:
    """One kind of child object."""

    api_version: str
    name: str
    plural: str
    optional: bool = False
    """Whether a cluster may lack the kind: its CRD comes with the Prometheus Operator."""

    wanted: Callable[[Spec], bool] = field(default=_always, compare=False)
    """Whether a target with this spec has objects of the kind."""

    author_must_create: bool = True
    """Whether the chart's authorization policy requires that the target's author may create the kind."""

    merge_keys: tuple[str, ...] = ()
    """Keys of the kind's associative lists (`x-kubernetes-list-map-keys`), the most specific first.

    A list whose items have none of these keys is compared as an atomic list.
    """

    defaults: Mapping[FieldPath, object] = field(default_factory=dict, compare=False)
    """Values that the API server adds to the kind's `spec`; `ANY_VALUE` matches every value."""


_POD: FieldPath = ("spec", "template", "spec")

SERVICE_ACCOUNT = ChildKind(
    "v1",
    "ServiceAccount",
    "serviceaccounts",
    author_must_create=False,  # the account has no permissions and no token
)
DAEMON_SET = ChildKind(
    "apps/v1",
    "DaemonSet",
    "daemonsets",
    merge_keys=("containerPort", "mountPath", "name"),
    defaults={
        ("spec", "revisionHistoryLimit"): 10,
        ("spec", "updateStrategy", "rollingUpdate", "maxSurge"): 0,
        (*_POD, "containers", "livenessProbe", "successThreshold"): 1,
        (*_POD, "containers", "readinessProbe", "successThreshold"): 1,
        (*_POD, "containers", "terminationMessagePath"): "/dev/termination-log",
        (*_POD, "dnsPolicy"): "ClusterFirst",
        (*_POD, "restartPolicy"): "Always",
        (*_POD, "schedulerName"): "default-scheduler",
        (*_POD, "serviceAccount"): ANY_VALUE,  # the API server copies serviceAccountName
        (*_POD, "volumes", "secret", "defaultMode"): 0o644,
    },
)
SERVICE = ChildKind(
    "v1",
    "Service",
    "services",
    author_must_create=False,  # a headless Service of the agents gives its author no access
    merge_keys=("port",),
    defaults={
        ("spec", "clusterIPs"): ANY_VALUE,  # the API server copies clusterIP
        ("spec", "internalTrafficPolicy"): "Cluster",
        ("spec", "ipFamilies"): ANY_VALUE,  # depends on the cluster; has no effect on a headless Service
        ("spec", "ipFamilyPolicy"): ANY_VALUE,
        ("spec", "sessionAffinity"): "None",
        ("spec", "type"): "ClusterIP",
    },
)
SERVICE_MONITOR = ChildKind(
    "monitoring.coreos.com/v1",
    "ServiceMonitor",
    "servicemonitors",
    optional=True,
)
PROMETHEUS_RULE = ChildKind(
    "monitoring.coreos.com/v1",
    "PrometheusRule",
    "prometheusrules",
    optional=True,
    wanted=lambda spec: spec.alerts.enabled or bool(spec.alerts.extra_groups),
    merge_keys=("name",),
)
ALERTMANAGER_CONFIG = ChildKind(
    "monitoring.coreos.com/v1alpha1",
    "AlertmanagerConfig",
    "alertmanagerconfigs",
    optional=True,
    wanted=lambda spec: bool(spec.notifications.receivers),
    merge_keys=("name",),
)

CHILD_KINDS = (
    SERVICE_ACCOUNT,
    DAEMON_SET,
    SERVICE,
    SERVICE_MONITOR,
    PROMETHEUS_RULE,
    ALERTMANAGER_CONFIG,
)
"""Every kind of child object, in the order in which the operator applies them."""

BY_NAME: Mapping[str, ChildKind] = {kind.name: kind for kind in CHILD_KINDS}


def wanted_kinds(spec: Spec | None) -> tuple[ChildKind, ...]:
    """Return the kinds of the objects that a target with this spec has; all kinds if the spec is invalid (None)."""
    return tuple(kind for kind in CHILD_KINDS if spec is None or kind.wanted(spec))
