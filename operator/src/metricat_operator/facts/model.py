"""Facts about the cluster, as frozen types. Pure: the package `cluster` gathers them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metricat_operator.conditions import Reason
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator
from metricat_operator.facts.prometheus_query import Endpoint, PrometheusPod, QueryResult, Rejection

Manifest = dict[str, Any]
"""A Kubernetes object as JSON: the edge where dicts are allowed."""


@dataclass(frozen=True, order=True)
class ObjectKey:
    """The kind and name of an object in its namespace."""

    kind: str
    name: str


@dataclass(frozen=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        """Return the taint as kubectl writes it."""
        return f"{self.key}{'=' if self.value else ''}{self.value}:{self.effect}"


@dataclass(frozen=True)
class Node:
    """A node of the cluster."""

    name: str
    linux: bool = True
    ready: bool = True
    why: str = ""
    """The message of the node's Ready condition while it is not ready."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    pressures: tuple[str, ...] = ()
    """The conditions, such as `DiskPressure`, under which the kubelet evicts pods."""
    problems: tuple[tuple[str, str], ...] = ()
    """Further conditions that report a problem, each with its reason."""
    created: float = 0.0
    """Unix time."""
    unschedulable: bool = False
    deleted: bool = False
    """Whether the node is being deleted."""

    @property
    def virtual(self) -> bool:
        """Whether the node is virtual, for example Fargate: it runs no DaemonSets."""
        return (
            self.labels.get("type") == "virtual-kubelet"
            or self.labels.get("eks.amazonaws.com/compute-type") == "fargate"
        )


@dataclass(frozen=True)
class AgentPod:
    """The pod of an agent; `reason` and `message` state why it is not ready."""

    name: str
    node: str
    ready: bool
    reason: str = ""
    message: str = ""
    uid: str = ""


@dataclass(frozen=True)
class Event:
    """The latest event of a controller or a kubelet about an object; the writer repeats it while the cause persists."""

    reason: str
    message: str


@dataclass(frozen=True)
class ChildError:
    """The error of a child object that could not be applied. `reason` is a `Reason`, or that of the API server."""

    kind: str
    name: str
    reason: str
    message: str
    temporary: bool = False
    retry_after: float = 0.0
    """Least delay before the next attempt in seconds, as the API server requests."""


@dataclass(frozen=True)
class OperatorClaim:
    """The operator that manages a target, and the reason. An operator is identified by NAMESPACE/NAME of its Lease.

    `mine` is True if it is this operator. `others` are other operators that run and may write the target. `not_found`
    is an operator that the target names and that does not run, or may not write the target. `stored` is whether the CRD
    has the field that holds the claim.
    """

    operator: str = ""
    mine: bool = True
    reason: Reason = Reason.CLAIMED
    others: tuple[str, ...] = ()
    not_found: str = ""
    stored: bool = True


@dataclass(frozen=True)
class DefaultLabels:
    """The labels of the objects for which the target's spec has no labels, so that a Prometheus selects the objects."""

    monitor: Mapping[str, str] = field(default_factory=dict)
    rules: Mapping[str, str] = field(default_factory=dict)


Selector = Mapping[str, Any] | None
"""A metav1.LabelSelector. None means that it is not set, which differs from an empty selector."""


@dataclass(frozen=True, eq=False)
class PrometheusInstance:
    """An object that the Prometheus Operator runs: a Prometheus, PrometheusAgent, ThanosRuler or Alertmanager.

    `selectors` holds, by selected kind, the selector of objects and the selector of namespaces. `fields` holds the
    names of both fields. `servers` are its pods, and `web` is the configuration of their API. `account` is the
    ServiceAccount with which it discovers targets. `retention` is the time for which it keeps samples, in Prometheus'
    notation; it is empty if only size limits them. `operators` are the Prometheus Operators that manage it; None if no
    Prometheus Operator was found in the cluster.
    """

    kind: str
    resource: str
    namespace: str
    name: str
    selectors: Mapping[str, tuple[Selector, Selector]]
    fields: Mapping[str, tuple[str, str]]
    web: Endpoint = field(default_factory=Endpoint)
    account: str = "default"
    servers: tuple[PrometheusPod, ...] = ()
    retention: str = ""
    operators: tuple[PrometheusOperator, ...] | None = None
    paused: bool = False
    """Whether the Prometheus Operator does not update it (`spec.paused`)."""

    def __str__(self) -> str:
        """Return the kind, namespace and name, as messages show them."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Facts:
    """The facts that are relevant to one target.

    `nodes` are those that meet the target's selector, `all_nodes` those of the cluster.
    `children` are the live objects that the target owns. `unserved` are the optional kinds that the API server lacks.
    `instances` are all objects that the Prometheus Operator runs. `namespace_labels` are the labels of the target's
    namespace. `rejections` are the Prometheus Operator's rejections of the current children. `query_results` are the
    results of the instances that were queried. `events` are the latest warnings about some objects, by UID, if they
    were requested. `claim` states which operator manages the target.
    """

    children: Mapping[ObjectKey, Manifest] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    all_nodes: tuple[Node, ...] = ()
    pods: tuple[AgentPod, ...] = ()
    unserved: frozenset[str] = frozenset()
    instances: tuple[PrometheusInstance, ...] = ()
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    query_results: tuple[QueryResult, ...] = ()
    events: Mapping[str, Event] = field(default_factory=dict)
    claim: OperatorClaim = field(default_factory=OperatorClaim)
