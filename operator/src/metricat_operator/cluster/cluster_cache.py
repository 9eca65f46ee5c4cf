"""The state of the cluster: one cache per kind, and the facts about one target."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from metricat_operator import naming
from metricat_operator.api.overlap import Claim
from metricat_operator.api.selectors import Requirements
from metricat_operator.cluster import other_operators, prometheus_objects, target_claims
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.compressed import pack, unpack
from metricat_operator.cluster.derived import MemoizedValue
from metricat_operator.cluster.kinds import CHILDREN, EVENT, INSTANCE_KINDS, LEADER_FENCE, NAMESPACE, NODE, POD, TARGET
from metricat_operator.cluster.node_index import NodeIndex, trim_node
from metricat_operator.cluster.pods import agent_pod, condition, trim_pod, why_not_ready
from metricat_operator.cluster.watch import ALL_NAMESPACES, Cache, ignore_restore, kept_metadata
from metricat_operator.facts.model import Facts, Manifest, Node, ObjectKey, PrometheusInstance

Enqueue = Callable[[str, str, float], None]
"""Called with the namespace and the `metricat.dev/target` label of a changed object (empty: any may have changed), and
with the delay until the reconcile in seconds, which combines many changes into one reconcile."""

_CHILD_DELAY = 0.05
_CLUSTER_DELAY = 1.0


def _ignore_deletion(_target: Manifest) -> None:
    """Do nothing when a target is deleted."""


class ClusterCache:
    """Watches nodes, agent pods, children and Prometheus objects, and enqueues the targets that each change affects.

    `namespaces` limits the watches of agent pods and managed objects, `queried_namespaces` those of the pods of
    Prometheus and of the Prometheus Operator. MonitoringTargets are watched in all namespaces.
    """

    def __init__(
        self,
        enqueue: Enqueue,
        namespaces: tuple[str, ...] = ALL_NAMESPACES,
        queried_namespaces: tuple[str, ...] = ALL_NAMESPACES,
        restored: Callable[[], None] = ignore_restore,
        target_deleted: Callable[[Manifest], None] = _ignore_deletion,
    ) -> None:
        self._enqueue = enqueue
        self._target_deleted = target_deleted
        self._namespaces = namespaces

        def within(seconds: float) -> Callable[[Manifest], None]:
            def changed(manifest: Manifest) -> None:
                metadata = manifest.get("metadata", {})
                for label in _owners(metadata):
                    enqueue(metadata.get("namespace", ""), label, seconds)

            return changed

        children, pods = within(_CHILD_DELAY), within(_CLUSTER_DELAY)
        self.nodes = Cache(NODE, changed=lambda _: enqueue("", "", _CLUSTER_DELAY), trim=trim_node)
        self.pods = Cache(POD, changed=pods, labels=naming.MANAGED, trim=trim_pod, namespaces=namespaces)
        self.children = {
            kind.name: Cache(kind, changed=children, labels=naming.MANAGED, trim=pack, namespaces=namespaces)
            for kind in CHILDREN
        }
        self.namespaces = Cache(
            NAMESPACE,
            changed=lambda namespace: enqueue(namespace.get("metadata", {}).get("name", ""), "", _CLUSTER_DELAY),
            trim=lambda namespace: {"metadata": kept_metadata(namespace)},
        )
        # Watch all namespaces: the nodes that a target selects may belong to an older target of another operator.
        self.targets = Cache(TARGET, changed=self._on_target_changed, trim=target_claims.trim, restored=restored)
        self.fences = Cache(
            LEADER_FENCE, changed=lambda _: enqueue("", "", _CHILD_DELAY), trim=other_operators.trim_fence
        )
        self.rejections = Cache(
            EVENT,
            changed=lambda event: enqueue(event.get("metadata", {}).get("namespace", ""), "", _CLUSTER_DELAY),
            fields=prometheus_objects.REJECTIONS,
            trim=prometheus_objects.trim_rejection,
            namespaces=namespaces,
        )
        self.servers = Cache(
            POD,
            changed=lambda _: enqueue("", "", _CLUSTER_DELAY),
            labels=prometheus_objects.PROMETHEUS_PODS,
            trim=_trim_server,
            namespaces=queried_namespaces,
        )
        self.operators = Cache(
            POD,
            changed=lambda _: enqueue("", "", _CLUSTER_DELAY),
            labels=prometheus_objects.PROMETHEUS_OPERATORS,
            trim=prometheus_objects.trim_operator,
            namespaces=queried_namespaces,
        )
        self._nodes = MemoizedValue(self.nodes, NodeIndex)
        self._agents = MemoizedValue(self.pods, _by_target)
        self._owned = [MemoizedValue(cache, _by_owner) for cache in self.children.values()]
        self.instances = [
            Cache(kind, changed=lambda _: enqueue("", "", _CLUSTER_DELAY), trim=trim_instance)
            for kind in INSTANCE_KINDS
        ]

    @property
    def caches(self) -> tuple[Cache, ...]:
        """The caches of all kinds."""
        others = (
            self.nodes,
            self.pods,
            self.targets,
            self.fences,
            self.namespaces,
            self.rejections,
            self.servers,
            self.operators,
        )
        return (*others, *self.instances, *self.children.values())

    def older_claims(self, target: Manifest) -> tuple[Claim, ...]:
        """Return the claims of older targets, the oldest first."""
        return target_claims.older_claims(self.targets, target, self.watches)

    def watches(self, namespace: str) -> bool:
        """Return whether this operator reconciles the targets of the namespace."""
        return self._namespaces == ALL_NAMESPACES or namespace in self._namespaces

    def _on_target_changed(self, target: Manifest) -> None:
        """Report a deleted target. Enqueue all targets if a younger one exists: it may get or lose nodes."""
        if target and not self.targets.get(target["metadata"]["namespace"], target["metadata"]["name"]):
            self._target_deleted(target)
        if target and target_claims.has_younger(self.targets, target):
            self._enqueue("", "", _CLUSTER_DELAY)

    def all_nodes(self) -> tuple[Node, ...]:
        """Return all nodes, ordered by name."""
        return self._nodes().matching(())

    def requeue_after(self, namespace: str, name: str, delay: float) -> None:
        """Enqueue a target in `delay` seconds, whether or not a watched object changes."""
        self._enqueue(namespace, naming.fit(name), delay)

    async def run(self, client: Client) -> None:
        """Watch all kinds until cancelled."""
        async with asyncio.TaskGroup() as group:
            for cache in self.caches:
                group.create_task(cache.run(client))

    async def synced(self) -> None:
        """Wait until every kind is listed once."""
        await asyncio.gather(*(cache.synced.wait() for cache in self.caches))

    def facts(self, namespace: str, name: str, uid: str, wanted: Requirements = ()) -> Facts:
        """Return the current facts about the target, its children and the nodes that meet the requirements."""
        label = naming.fit(name)
        children = [unpack(child) for owned in self._owned for child in owned().get((namespace, uid), ())]
        return Facts(
            children={ObjectKey(child["kind"], child["metadata"]["name"]): child for child in children},
            nodes=self._nodes().matching(wanted),
            all_nodes=self.all_nodes(),
            pods=tuple(agent_pod(pod) for pod in self._agents().get((namespace, label), ())),
            unserved=frozenset(kind for kind, cache in self.children.items() if not cache.served),
            instances=tuple(
                sorted(
                    (instance(one, self.servers, self.operators) for cache in self.instances for one in cache), key=str
                )
            ),
            namespace_labels=self.namespaces.get("", namespace).get("metadata", {}).get("labels", {}),
            rejections=prometheus_objects.rejections(children, self.rejections),
        )


Index = Mapping[tuple[str, str], Sequence[Manifest]]


def _owners(metadata: Manifest) -> set[str]:
    """Return the labels of the targets that an object may belong to, by its owners and label: both can be edited."""
    owners = {naming.fit(one["name"]) for one in metadata.get("ownerReferences", []) if one.get("kind") == TARGET.name}
    return owners | {metadata.get("labels", {}).get(naming.LABEL_TARGET, "")} - ({""} if owners else set())


def _by_target(pods: Iterable[Manifest]) -> Index:
    """Return the pods by namespace and label of the target."""
    found: dict[tuple[str, str], list[Manifest]] = {}
    for pod in pods:
        metadata = pod["metadata"]
        found.setdefault((metadata["namespace"], metadata["labels"].get(naming.LABEL_TARGET, "")), []).append(pod)
    return found


def _by_owner(children: Iterable[Manifest]) -> Index:
    """Return the children by namespace and UID of the target."""
    found: dict[tuple[str, str], list[Manifest]] = {}
    for child in children:
        metadata = child["metadata"]
        for uid in {owner["uid"] for owner in metadata.get("ownerReferences", [])}:
            found.setdefault((metadata["namespace"], uid), []).append(child)
    return found


_RETENTION = ("retention", "retentionSize")
_DEFAULT_RETENTION = "24h"
"""The Prometheus Operator's default if neither is set (API reference, PrometheusSpec.retention)."""


def _retention(kind: str, spec: Manifest) -> str:
    if kind != "Prometheus":
        return ""
    return spec.get("retention") or ("" if spec.get("retentionSize") else _DEFAULT_RETENTION)


def trim_instance(manifest: Manifest) -> Manifest:
    """Trim a Prometheus instance to its selectors and the fields that querying it needs."""
    fields = [field for both in _selector_fields(manifest["kind"]).values() for field in both] + [
        *prometheus_objects.WEB_FIELDS,
        *_RETENTION,
        "paused",
    ]
    spec = {field: manifest["spec"][field] for field in fields if field in manifest["spec"]}
    controller = manifest["metadata"].get("annotations", {}).get(prometheus_objects.CONTROLLER, "")
    return {"kind": manifest["kind"], "metadata": kept_metadata(manifest), "controller": controller, "spec": spec}


def _selector_fields(kind: str) -> Mapping[str, tuple[str, str]]:
    return next(taken for one, taken in INSTANCE_KINDS.items() if one.name == kind)


def instance(
    trimmed: Manifest, pods: Iterable[Manifest] = (), operators: Iterable[Manifest] = ()
) -> PrometheusInstance:
    """Return a cached Prometheus instance as a fact, with its pods and the Prometheus Operators that manage it."""
    kind, spec = trimmed["kind"], trimmed["spec"]
    namespace, name = trimmed["metadata"]["namespace"], trimmed["metadata"]["name"]
    web = prometheus_objects.web(spec)
    return PrometheusInstance(
        kind=kind,
        resource=next(one.resource for one in INSTANCE_KINDS if one.name == kind),
        namespace=namespace,
        name=name,
        selectors={
            what: (spec.get(objects), spec.get(spaces)) for what, (objects, spaces) in _selector_fields(kind).items()
        },
        fields=_selector_fields(kind),
        web=web,
        account=spec.get("serviceAccountName") or "default",
        servers=tuple(sorted(prometheus_objects.servers(pods, kind, namespace, name, web.port_name))),
        retention=_retention(kind, spec),
        paused=bool(spec.get("paused")),
        operators=prometheus_objects.operators(operators, kind, namespace, trimmed["controller"]),
    )


def _trim_server(manifest: Manifest) -> Manifest:
    ready = condition(manifest, "Ready").get("status") == "True"
    return prometheus_objects.trim_server(manifest, None if ready else why_not_ready(manifest))
