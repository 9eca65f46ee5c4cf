"""The kinds that the operator reads and writes, and their API paths."""

from dataclasses import dataclass

from metricat_operator import naming
from metricat_operator.child_kinds import CHILD_KINDS


@dataclass(frozen=True)
class Kind:
    """A kind of object.

    Attributes:
        optional: the API server may not serve it, because its CRD may be missing.
        bookmarks: whether watches get bookmarks. Without them (the API server has no cache of the kind), a working
            watch may receive nothing for hours.
    """

    api_version: str
    name: str
    plural: str
    optional: bool = False
    namespaced: bool = True
    bookmarks: bool = True

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of the collection or of one object. Without a namespace, it covers all namespaces."""
        root = "api" if self.api_version == "v1" else "apis"
        parts = [root, self.api_version]
        if namespace:
            parts += ["namespaces", namespace]
        return "/" + "/".join([*parts, self.plural, *([name] if name else []), *([subresource] if subresource else [])])

    @property
    def resource(self) -> str:
        """The resource and group as in `kubectl auth can-i`: `daemonsets.apps`."""
        group = self.api_version.rpartition("/")[0]
        return f"{self.plural}.{group}" if group else self.plural


TARGET = Kind(naming.API_VERSION, naming.KIND, naming.PLURAL, optional=True)
NODE = Kind("v1", "Node", "nodes", namespaced=False)
POD = Kind("v1", "Pod", "pods")
EVENT = Kind("v1", "Event", "events", bookmarks=False)

CRD = Kind("apiextensions.k8s.io/v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False)

LEASE = Kind("coordination.k8s.io/v1", "Lease", "leases")
LEADER_FENCE = Kind(naming.API_VERSION, naming.LEADER_FENCE_KIND, naming.LEADER_FENCE_PLURAL, optional=True)
TOKEN_REVIEW = Kind("authentication.k8s.io/v1", "TokenReview", "tokenreviews", namespaced=False)
SUBJECT_ACCESS_REVIEW = Kind("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", namespaced=False)

NAMESPACE = Kind("v1", "Namespace", "namespaces", namespaced=False)

MONITOR_FIELDS = ("serviceMonitorSelector", "serviceMonitorNamespaceSelector")
RULE_FIELDS = ("ruleSelector", "ruleNamespaceSelector")
CONFIG_FIELDS = ("alertmanagerConfigSelector", "alertmanagerConfigNamespaceSelector")
INSTANCE_KINDS = {
    Kind("monitoring.coreos.com/v1", "Prometheus", "prometheuses", optional=True): {
        "ServiceMonitor": MONITOR_FIELDS,
        "PrometheusRule": RULE_FIELDS,
    },
    Kind("monitoring.coreos.com/v1alpha1", "PrometheusAgent", "prometheusagents", optional=True): {
        "ServiceMonitor": MONITOR_FIELDS,
    },
    Kind("monitoring.coreos.com/v1", "ThanosRuler", "thanosrulers", optional=True): {"PrometheusRule": RULE_FIELDS},
    Kind("monitoring.coreos.com/v1", "Alertmanager", "alertmanagers", optional=True): {
        "AlertmanagerConfig": CONFIG_FIELDS,
    },
}
"""The kinds of instances that the Prometheus Operator manages. For each kind of object that they select: the selector
fields for objects and for namespaces."""

CHILDREN = tuple(Kind(kind.api_version, kind.name, kind.plural, optional=kind.optional) for kind in CHILD_KINDS)
"""Every kind of child object, in the order in which the operator applies them."""

BY_NAME = {kind.name: kind for kind in CHILDREN}
