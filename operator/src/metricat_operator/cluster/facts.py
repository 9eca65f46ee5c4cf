"""The cluster as the operator knows it: one cache per kind, and the facts about one target."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from metricat_operator import naming
from metricat_operator.cluster import serving
from metricat_operator.cluster.client import Client
from metricat_operator.cluster.kinds import CHILDREN, EVENT, NAMESPACE, NODE, POD, TAKERS
from metricat_operator.cluster.watch import Cache
from metricat_operator.observed import AgentPod, Facts, Manifest, Node, ObjectKey, Taint, Taker

Enqueue = Callable[[str, str, float], None]
"""Called with the namespace and the `metricat.dev/target` label of what changed (empty: any may have), and with the
seconds that may pass before it is looked at, so that many changes become one look."""

_AT_ONCE = 0.05
_SOON = 1.0


class Observer:
    """Watches nodes, agent pods and children, and tells which targets each change concerns."""

    def __init__(self, enqueue: Enqueue) -> None:
        def within(seconds: float) -> Callable[[Manifest], None]:
            def changed(manifest: Manifest) -> None:
                metadata = manifest.get("metadata", {})
                label = metadata.get("labels", {}).get(naming.LABEL_TARGET, "")
                enqueue(metadata.get("namespace", ""), label, seconds)

            return changed

        children, pods = within(_AT_ONCE), within(_SOON)
        self.nodes = Cache(NODE, changed=lambda _: enqueue("", "", _SOON), trim=_trim_node)
        self.pods = Cache(POD, changed=pods, labels=naming.MANAGED, trim=_trim_pod)
        self.children = {kind.name: Cache(kind, changed=children, labels=naming.MANAGED) for kind in CHILDREN}
        self.namespaces = Cache(
            NAMESPACE,
            changed=lambda namespace: enqueue(namespace.get("metadata", {}).get("name", ""), "", _SOON),
            trim=lambda namespace: {"metadata": _kept_metadata(namespace)},
        )
        self.rejections = Cache(
            EVENT,
            changed=lambda event: enqueue(event.get("metadata", {}).get("namespace", ""), "", _SOON),
            fields=serving.REJECTIONS,
            trim=serving.trim_rejection,
        )
        self.servers = Cache(
            POD,
            changed=lambda _: enqueue("", "", _SOON),
            labels=serving.MADE_BY_THE_PROMETHEUS_OPERATOR,
            trim=_trim_server,
        )
        self.takers = [Cache(kind, changed=lambda _: enqueue("", "", _SOON), trim=trim_taker) for kind in TAKERS]

    @property
    def caches(self) -> tuple[Cache, ...]:
        """All caches."""
        others = (self.nodes, self.pods, self.namespaces, self.rejections, self.servers)
        return (*others, *self.takers, *self.children.values())

    async def run(self, client: Client) -> None:
        """Follow everything for ever."""
        async with asyncio.TaskGroup() as group:
            for cache in self.caches:
                group.create_task(cache.run(client))

    async def synced(self) -> None:
        """Wait until everything was listed once."""
        await asyncio.gather(*(cache.synced.wait() for cache in self.caches))

    def facts(self, namespace: str, name: str, uid: str) -> Facts:
        """What is known now about the target and its children."""
        label = naming.fit(name)
        children = list(self._owned(namespace, uid))
        return Facts(
            children={ObjectKey(child["kind"], child["metadata"]["name"]): child for child in children},
            nodes=tuple(sorted((_node(node) for node in self.nodes), key=lambda node: node.name)),
            pods=tuple(_agent_pod(pod) for pod in self.pods if _place(pod) == (namespace, label)),
            unserved=frozenset(kind for kind, cache in self.children.items() if not cache.served),
            takers=tuple(sorted((taker(one, self.servers) for cache in self.takers for one in cache), key=str)),
            namespace_labels=self.namespaces.get("", namespace).get("metadata", {}).get("labels", {}),
            rejections=serving.rejections(children, self.rejections),
        )

    def _owned(self, namespace: str, uid: str) -> Iterator[Manifest]:
        for cache in self.children.values():
            for child in cache:
                metadata = child["metadata"]
                owners = metadata.get("ownerReferences", [])
                if metadata["namespace"] == namespace and any(owner["uid"] == uid for owner in owners):
                    yield child


def _place(pod: Manifest) -> tuple[str, str]:
    metadata = pod["metadata"]
    return metadata["namespace"], metadata["labels"].get(naming.LABEL_TARGET, "")


def _kept_metadata(manifest: Manifest) -> Manifest:
    kept = ("name", "namespace", "uid", "resourceVersion", "labels", "deletionTimestamp")
    return {key: manifest["metadata"][key] for key in kept if key in manifest["metadata"]}


def _trim_node(manifest: Manifest) -> Manifest:
    ready = _condition(manifest, "Ready").get("status") == "True"
    metadata = _kept_metadata(manifest)
    spec = manifest["spec"]
    return {
        "metadata": metadata,
        "ready": ready,
        "taints": [{key: taint.get(key, "") for key in ("key", "value", "effect")} for taint in spec.get("taints", [])],
    }


def _node(trimmed: Manifest) -> Node:
    metadata = trimmed["metadata"]
    labels = metadata.get("labels", {})
    return Node(
        name=metadata["name"],
        linux=labels.get("kubernetes.io/os", "linux") == "linux",
        ready=trimmed["ready"],
        labels=labels,
        taints=tuple(Taint(**taint) for taint in trimmed["taints"]),
    )


def trim_taker(manifest: Manifest) -> Manifest:
    """A Prometheus or its like, cut to its selectors and to how it is asked."""
    fields = [field for both in _taken(manifest["kind"]).values() for field in both] + [*serving.WEB_FIELDS]
    spec = {field: manifest["spec"][field] for field in fields if field in manifest["spec"]}
    return {"kind": manifest["kind"], "metadata": _kept_metadata(manifest), "spec": spec}


def _taken(kind: str) -> Mapping[str, tuple[str, str]]:
    return next(taken for one, taken in TAKERS.items() if one.name == kind)


def taker(trimmed: Manifest, pods: Iterable[Manifest] = ()) -> Taker:
    """What the cache keeps of a Prometheus or its like, as a fact; with those of the pods that are its own."""
    kind, spec = trimmed["kind"], trimmed["spec"]
    namespace, name = trimmed["metadata"]["namespace"], trimmed["metadata"]["name"]
    web = serving.web(spec)
    return Taker(
        kind=kind,
        resource=next(one.resource for one in TAKERS if one.name == kind),
        namespace=namespace,
        name=name,
        selectors={what: (spec.get(objects), spec.get(spaces)) for what, (objects, spaces) in _taken(kind).items()},
        fields=_taken(kind),
        web=web,
        account=spec.get("serviceAccountName") or "default",
        servers=tuple(sorted(serving.servers(pods, kind, namespace, name, web.port_name))),
    )


def _trim_pod(manifest: Manifest) -> Manifest:
    ready = _condition(manifest, "Ready").get("status") == "True"
    reason, message = ("", "") if ready else _why_not_ready(manifest)
    spec = manifest["spec"]
    return {
        "metadata": _kept_metadata(manifest),
        "node": spec.get("nodeName") or _wanted_node(spec),
        "ready": ready,
        "reason": reason,
        "message": message,
    }


def _trim_server(manifest: Manifest) -> Manifest:
    ready = _condition(manifest, "Ready").get("status") == "True"
    return serving.trim_server(manifest, None if ready else _why_not_ready(manifest))


def _agent_pod(trimmed: Manifest) -> AgentPod:
    gone = "deletionTimestamp" in trimmed["metadata"]
    return AgentPod(
        name=trimmed["metadata"]["name"],
        node=trimmed["node"],
        ready=trimmed["ready"] and not gone,
        reason="Terminating" if gone else trimmed["reason"],
        message=trimmed["message"],
    )


def _why_not_ready(pod: Manifest) -> tuple[str, str]:
    """A reason and a message, the most telling there are: of the container, the scheduler, or the pod itself."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        state = container.get("state", {})
        if waiting := state.get("waiting"):
            last = container.get("lastState", {}).get("terminated", {})
            message = waiting.get("message") or last.get("message") or ""
            if last and not message:
                message = f"the agent last ended with exit code {last.get('exitCode')} ({last.get('reason')})"
            return waiting.get("reason", "Waiting"), message
        if terminated := state.get("terminated"):
            return terminated.get("reason", "Terminated"), terminated.get("message", "")
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return scheduled.get("reason", "Unschedulable"), scheduled.get("message", "")
    if status.get("reason"):
        return status["reason"], status.get("message", "")
    if status.get("phase") == "Running":
        return "NotReady", "the agent runs, but its readiness probe fails"
    return status.get("phase") or "Pending", "the pod has not started yet"


def _wanted_node(spec: Manifest) -> str:
    """The node that the DaemonSet controller pinned a pod to that the scheduler has not bound yet."""
    affinity: dict[str, Any] = spec.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution", {})
    for term in required.get("nodeSelectorTerms", []):
        for field in term.get("matchFields", []):
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""


def _condition(manifest: Manifest, name: str) -> Manifest:
    conditions = manifest.get("status", {}).get("conditions", [])
    return next((condition for condition in conditions if condition["type"] == name), {})
