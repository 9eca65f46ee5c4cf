"""The cluster as the operator knows it: one cache per kind, and the facts about one target."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence

from metricat_operator import naming
from metricat_operator.api.overlap import Claim
from metricat_operator.api.selectors import All
from metricat_operator.cluster import prometheus_objects, target_claims
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.compressed import pack, unpack
from metricat_operator.cluster.derived import Derived
from metricat_operator.cluster.kinds import CHILDREN, EVENT, INSTANCE_KINDS, NAMESPACE, NODE, POD, TARGET
from metricat_operator.cluster.node_index import NodeIndex, trim_node
from metricat_operator.cluster.pods import agent_pod, condition, trim_pod, why_not_ready
from metricat_operator.cluster.watch import ALL_NAMESPACES, Cache, kept_metadata
from metricat_operator.facts.model import Facts, Manifest, Node, ObjectKey, PrometheusInstance

Enqueue = Callable[[str, str, float], None]
"""Called with the namespace and the `metricat.dev/target` label of what changed (empty: any may have), and with the
seconds that may pass before it is looked at, so that many changes become one look."""

_AT_ONCE = 0.05
_SOON = 1.0


class ClusterCache:
    """Watches nodes, agent pods and children, and tells which targets each change concerns.

    What is a target's own is watched in the given namespaces only, and the pods of Prometheus where they may be asked.
    """

    def __init__(
        self, enqueue: Enqueue, where: tuple[str, ...] = ALL_NAMESPACES, asked: tuple[str, ...] = ALL_NAMESPACES
    ) -> None:
        self._enqueue = enqueue

        def within(seconds: float) -> Callable[[Manifest], None]:
            def changed(manifest: Manifest) -> None:
                metadata = manifest.get("metadata", {})
                for label in _whose(metadata):
                    enqueue(metadata.get("namespace", ""), label, seconds)

            return changed

        children, pods = within(_AT_ONCE), within(_SOON)
        self.nodes = Cache(NODE, changed=lambda _: enqueue("", "", _SOON), trim=trim_node)
        self.pods = Cache(POD, changed=pods, labels=naming.MANAGED, trim=trim_pod, namespaces=where)
        self.children = {
            kind.name: Cache(kind, changed=children, labels=naming.MANAGED, trim=pack, namespaces=where)
            for kind in CHILDREN
        }
        self.namespaces = Cache(
            NAMESPACE,
            changed=lambda namespace: enqueue(namespace.get("metadata", {}).get("name", ""), "", _SOON),
            trim=lambda namespace: {"metadata": kept_metadata(namespace)},
        )
        self.targets = Cache(TARGET, changed=self._claimed, trim=target_claims.trim, namespaces=where)
        self.rejections = Cache(
            EVENT,
            changed=lambda event: enqueue(event.get("metadata", {}).get("namespace", ""), "", _SOON),
            fields=prometheus_objects.REJECTIONS,
            trim=prometheus_objects.trim_rejection,
            namespaces=where,
        )
        self.servers = Cache(
            POD,
            changed=lambda _: enqueue("", "", _SOON),
            labels=prometheus_objects.MADE_BY_THE_PROMETHEUS_OPERATOR,
            trim=_trim_server,
            namespaces=asked,
        )
        self.operators = Cache(
            POD,
            changed=lambda _: enqueue("", "", _SOON),
            labels=prometheus_objects.PROMETHEUS_OPERATORS,
            trim=prometheus_objects.trim_operator,
            namespaces=asked,
        )
        self._nodes = Derived(self.nodes, NodeIndex)
        self._agents = Derived(self.pods, _by_target)
        self._owned = [Derived(cache, _by_owner) for cache in self.children.values()]
        self.instances = [
            Cache(kind, changed=lambda _: enqueue("", "", _SOON), trim=trim_instance) for kind in INSTANCE_KINDS
        ]

    @property
    def caches(self) -> tuple[Cache, ...]:
        """All caches."""
        others = (self.nodes, self.pods, self.targets, self.namespaces, self.rejections, self.servers, self.operators)
        return (*others, *self.instances, *self.children.values())

    def older(self, target: Manifest) -> tuple[Claim, ...]:
        """What older targets claim, the oldest first."""
        return target_claims.older(self.targets, target)

    def _claimed(self, target: Manifest) -> None:
        """What a target leaves or takes matters to younger ones only; the newest, as most that appear are, has none."""
        if target and target_claims.has_younger(self.targets, target):
            self._enqueue("", "", _SOON)

    def known_nodes(self) -> tuple[Node, ...]:
        """All nodes, by name."""
        return self._nodes().matching(())

    def remind(self, namespace: str, name: str, delay: float) -> None:
        """Have a target looked at again in so many seconds, though nothing may have changed that is watched."""
        self._enqueue(namespace, naming.fit(name), delay)

    async def run(self, client: Client) -> None:
        """Follow everything for ever."""
        async with asyncio.TaskGroup() as group:
            for cache in self.caches:
                group.create_task(cache.run(client))

    async def synced(self) -> None:
        """Wait until everything was listed once."""
        await asyncio.gather(*(cache.synced.wait() for cache in self.caches))

    def facts(self, namespace: str, name: str, uid: str, wanted: All = ()) -> Facts:
        """What is known now about the target, its children and the nodes that meet what it wants of them."""
        label = naming.fit(name)
        children = [unpack(child) for owned in self._owned for child in owned().get((namespace, uid), ())]
        return Facts(
            children={ObjectKey(child["kind"], child["metadata"]["name"]): child for child in children},
            nodes=self._nodes().matching(wanted),
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


def _whose(metadata: Manifest) -> set[str]:
    """The labels of the targets that an object may be about, by its owners and its own label: either may be edited."""
    owners = {naming.fit(one["name"]) for one in metadata.get("ownerReferences", []) if one.get("kind") == TARGET.name}
    return owners | {metadata.get("labels", {}).get(naming.LABEL_TARGET, "")} - ({""} if owners else set())


def _by_target(pods: Iterable[Manifest]) -> Index:
    """By namespace and the label of the target."""
    found: dict[tuple[str, str], list[Manifest]] = {}
    for pod in pods:
        metadata = pod["metadata"]
        found.setdefault((metadata["namespace"], metadata["labels"].get(naming.LABEL_TARGET, "")), []).append(pod)
    return found


def _by_owner(children: Iterable[Manifest]) -> Index:
    """By namespace and the UID of the target."""
    found: dict[tuple[str, str], list[Manifest]] = {}
    for child in children:
        metadata = child["metadata"]
        for uid in {owner["uid"] for owner in metadata.get("ownerReferences", [])}:
            found.setdefault((metadata["namespace"], uid), []).append(child)
    return found


_RETENTION = ("retention", "retentionSize")
_KEPT_BY_DEFAULT = "24h"
"""By the Prometheus Operator, where neither is set (API reference, PrometheusSpec.retention)."""


def _retention(kind: str, spec: Manifest) -> str:
    if kind != "Prometheus":
        return ""
    return spec.get("retention") or ("" if spec.get("retentionSize") else _KEPT_BY_DEFAULT)


def trim_instance(manifest: Manifest) -> Manifest:
    """A Prometheus or its like, cut to its selectors and to how it is asked."""
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
    """What the cache keeps of a Prometheus or its like as a fact, with its pods, and who makes them."""
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
