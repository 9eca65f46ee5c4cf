"""Facts gathered from the cluster, as plain frozen types. Pure: how they are gathered is not known here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator
from metricat_operator.facts.prometheus_query import Endpoint, PrometheusPod, QueryResult, Rejection

Manifest = dict[str, Any]
"""A Kubernetes object as JSON: the edge where dicts are allowed."""


@dataclass(frozen=True, order=True)
class ObjectKey:
    """What names an object in its namespace."""

    kind: str
    name: str


@dataclass(frozen=True)
class Taint:
    """A taint of a node."""

    key: str
    value: str = ""
    effect: str = "NoSchedule"

    def __str__(self) -> str:
        """As kubectl writes it."""
        return f"{self.key}{'=' if self.value else ''}{self.value}:{self.effect}"


@dataclass(frozen=True)
class Node:
    """A node of the cluster."""

    name: str
    linux: bool = True
    ready: bool = True
    why: str = ""
    """What the node says of itself while it is not ready."""
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    created: float = 0.0
    """Unix time."""
    unschedulable: bool = False
    deleted: bool = False
    """Whether it is being deleted."""

    @property
    def virtual(self) -> bool:
        """Whether it is a front of something that runs no DaemonSets."""
        return (
            self.labels.get("type") == "virtual-kubelet"
            or self.labels.get("eks.amazonaws.com/compute-type") == "fargate"
        )


@dataclass(frozen=True)
class AgentPod:
    """An agent's pod; `reason` says why it is not ready."""

    name: str
    node: str
    ready: bool
    reason: str = ""
    message: str = ""
    uid: str = ""


@dataclass(frozen=True)
class Event:
    """What a controller or a kubelet said of an object, and will say again while it lasts."""

    reason: str
    message: str


@dataclass(frozen=True)
class ChildError:
    """Why a child is not as it should be."""

    kind: str
    name: str
    reason: str
    message: str
    temporary: bool = False


Selector = Mapping[str, Any] | None
"""A metav1.LabelSelector; None where it is left out, which is not the same as an empty one."""


@dataclass(frozen=True, eq=False)
class PrometheusInstance:
    """What the Prometheus Operator collects others for: a Prometheus, an agent, a ThanosRuler, an Alertmanager.

    `selectors` holds, by the kind that it takes, the selector of objects and that of namespaces; `fields` their names.
    `servers` are its pods, which `web` says how to ask; `account` is the ServiceAccount that it discovers targets by;
    `retention` how long it keeps samples, as Prometheus writes it, where time is what bounds them; `overseers` are the
    Prometheus Operators that configure it, None where not one of them is known in the whole cluster.
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
    """The Prometheus Operator leaves it as it is."""

    def __str__(self) -> str:
        """As a message names it."""
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Facts:
    """What the cluster holds that matters to one target.

    `children` are the live objects that the target owns; `unserved` the optional kinds that the API server lacks;
    `takers` all for which the Prometheus Operator collects, `namespace_labels` the labels of the target's namespace;
    `rejections` what it says of children as they are now, `answers` what those of them that were asked have answered;
    `events` are the latest warnings about some of them, by UID, where they were asked for.
    """

    children: Mapping[ObjectKey, Manifest] = field(default_factory=dict)
    nodes: tuple[Node, ...] = ()
    pods: tuple[AgentPod, ...] = ()
    unserved: frozenset[str] = frozenset()
    instances: tuple[PrometheusInstance, ...] = ()
    namespace_labels: Mapping[str, str] = field(default_factory=dict)
    rejections: tuple[Rejection, ...] = ()
    query_results: tuple[QueryResult, ...] = ()
    events: Mapping[str, Event] = field(default_factory=dict)
