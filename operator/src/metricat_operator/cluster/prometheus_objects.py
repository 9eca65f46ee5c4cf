"""Pods and flags of the Prometheus Operator, the pods of its instances, and its rejections of managed objects."""

import re
from collections.abc import Iterable, Iterator

from metricat_operator.facts import prometheus_operator_flags
from metricat_operator.facts.model import Manifest
from metricat_operator.facts.prometheus_operator_flags import PrometheusOperator
from metricat_operator.facts.prometheus_query import Endpoint, PrometheusPod, Rejection

PROMETHEUS_PODS = "app.kubernetes.io/managed-by=prometheus-operator"
PROMETHEUS_OPERATORS = "app.kubernetes.io/name in (prometheus-operator,kube-prometheus-stack-prometheus-operator)"
"""Label selector of Prometheus Operator pods, as its bundle, kube-prometheus and kube-prometheus-stack label them."""

CONTROLLER = "operator.prometheus.io/controller-id"
"""Annotation that selects one of several Prometheus Operators."""

REJECTIONS = "reason=InvalidConfiguration"

_VARIABLE = re.compile(r"\$\(([^)]+)\)")
_POD_NAMES = {
    "Prometheus": "prometheus",
    "PrometheusAgent": "prometheus-agent",
    "ThanosRuler": "thanos-ruler",
    "Alertmanager": "alertmanager",
}
"""Label `app.kubernetes.io/name` of the pods of each kind of instance."""

_KIND_OF_RESOURCE = {
    "prometheuses": "Prometheus",
    "prometheusagents": "PrometheusAgent",
    "thanosrulers": "ThanosRuler",
    "alertmanagers": "Alertmanager",
}

WEB_FIELDS = ("portName", "routePrefix", "listenLocal", "serviceAccountName", "serviceName", "shards", "web")


def web(spec: Manifest) -> Endpoint:
    """Return the API of an instance as its spec configures it."""
    return Endpoint(
        port_name=spec.get("portName") or "web",
        prefix=spec.get("routePrefix") or "/",
        tls=bool((spec.get("web") or {}).get("tlsConfig")),
        listen_local=bool(spec.get("listenLocal")),
        service=spec.get("serviceName") or "prometheus-operated",
        shards=spec.get("shards") or 1,
    )


def trim_server(manifest: Manifest, why_not_ready: tuple[str, str] | None) -> Manifest:
    """Trim a pod of a Prometheus instance to the fields that querying it needs."""
    metadata = manifest["metadata"]
    reason, message = why_not_ready or ("", "")
    return {
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")},
        "labels": metadata.get("labels", {}),
        "gone": "deletionTimestamp" in metadata,
        "address": manifest.get("status", {}).get("podIP", ""),
        "ports": {
            port["name"]: port["containerPort"]
            for container in manifest["spec"]["containers"]
            for port in container.get("ports", [])
            if "name" in port
        },
        "trouble": " ".join(f"is not ready: {reason} {message}".split()) if why_not_ready else "",
    }


def trim_operator(manifest: Manifest) -> Manifest:
    """Trim a pod of the Prometheus Operator to the flags that decide what it manages and watches."""
    metadata, containers = manifest["metadata"], manifest["spec"]["containers"]
    words = [word for one in containers for word in _command_line(one)]
    ended = manifest.get("status", {}).get("phase") in {"Succeeded", "Failed"}
    return {
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")},
        "gone": ended or "deletionTimestamp" in metadata,
        "flags": prometheus_operator_flags.parse(words),
    }


def _command_line(container: Manifest) -> Iterator[str]:
    """Yield the command line with the container's variables (`$(NAME)`) expanded."""
    variables = {one["name"]: one.get("value", "") for one in container.get("env") or [] if "valueFrom" not in one}
    for field in ("command", "args"):
        for word in container.get(field) or []:
            yield _VARIABLE.sub(lambda found: variables.get(found[1], found[0]), word)


def operators(
    pods: Iterable[Manifest], kind: str, namespace: str, controller: str
) -> tuple[PrometheusOperator, ...] | None:
    """Return the Prometheus Operators that manage an instance; None if none runs or the flags of one cannot be read."""
    found = [
        PrometheusOperator(f"{pod['metadata']['namespace']}/{pod['metadata']['name']}", pod["flags"])
        for pod in pods
        if not pod["gone"]
    ]
    ours = tuple(sorted((one for one in found if one.manages(kind, namespace, controller)), key=lambda one: one.name))
    return ours if found and all(one.readable for one in found) else None


def servers(pods: Iterable[Manifest], kind: str, namespace: str, name: str, port_name: str) -> Iterator[PrometheusPod]:
    """Yield the pods of one instance."""
    for pod in pods:
        labels, metadata = pod["labels"], pod["metadata"]
        whose = (labels.get("app.kubernetes.io/name"), labels.get("app.kubernetes.io/instance"))
        if metadata["namespace"] != namespace or whose != (_POD_NAMES.get(kind), name) or pod["gone"]:
            continue
        port = pod["ports"].get(port_name, 0)
        trouble = pod["trouble"] or ("" if port else f"has no port {port_name}")
        yield PrometheusPod(
            shard=labels.get("operator.prometheus.io/shard", "0"),
            name=metadata["name"],
            address="" if trouble else pod["address"],
            port=port,
            reason=trouble,
        )


def trim_rejection(event: Manifest) -> Manifest:
    """Trim an event by which the Prometheus Operator rejects an object."""
    metadata, involved, related = event["metadata"], event.get("involvedObject", {}), event.get("related") or {}
    by = "{kind} {namespace}/{name}".format(**{"kind": "", "namespace": "", "name": "", **related}) if related else ""
    return {
        "metadata": {key: metadata[key] for key in ("name", "namespace", "uid", "resourceVersion")},
        "uid": involved.get("uid", ""),
        "version": involved.get("resourceVersion", ""),
        "message": event.get("message", ""),
        "by": by,
    }


def rejections(children: Iterable[Manifest], events: Iterable[Manifest]) -> tuple[Rejection, ...]:
    """Return the rejections of the current children: an event names the resource version of its object."""
    versions = {child["metadata"]["uid"]: child["metadata"].get("resourceVersion") for child in children}
    found = {
        Rejection(event["uid"], event["message"], event["by"])
        for event in events
        if event["uid"] in versions and versions[event["uid"]] == event["version"]
    }
    found.update(rejection for child in children for rejection in _by_bindings(child))
    return tuple(sorted(found, key=lambda one: (one.uid, one.instance, one.message)))


def _by_bindings(child: Manifest) -> Iterator[Rejection]:
    """Yield the rejections in the object's status, if the Prometheus Operator writes it."""
    metadata = child["metadata"]
    for binding in (child.get("status") or {}).get("bindings") or []:
        by = f"{_KIND_OF_RESOURCE.get(binding['resource'], '')} {binding['namespace']}/{binding['name']}"
        for condition in binding.get("conditions") or []:
            newest = condition.get("observedGeneration", 0) >= metadata.get("generation", 0)
            if condition["type"] == "Accepted" and condition["status"] == "False" and newest:
                yield Rejection(metadata["uid"], condition.get("message") or condition.get("reason", ""), by)
