"""What each Prometheus that selects a target's objects is asked about it."""

import json
from collections.abc import Callable

from metricat_operator.facts.model import Facts, Manifest, PrometheusInstance
from metricat_operator.facts.prometheus_query import Job, PrometheusPod, PrometheusQuery, RuleGroup
from metricat_operator.verification.live_rules import groups, interval_seconds
from metricat_operator.verification.selection import Subject, why_not_selected

_FIELDS = {"ServiceMonitor": "monitor.labels", "PrometheusRule": "alerts.labels"}
_MOST_SHARDS = 16
_LEAST_WINDOW_SECONDS = 60.0
_MISSED_SCRAPES = 4

Asks = Callable[[str], bool]
"""Whether a Prometheus in this namespace may be asked."""


def subjects(facts: Facts) -> list[Subject]:
    """The target's objects that a Prometheus should take, the ServiceMonitor first."""
    return [
        Subject(key.kind, _FIELDS[key.kind], child, facts.namespace_labels)
        for kind in _FIELDS
        for key, child in sorted(facts.children.items(), key=lambda one: one[1]["metadata"]["name"], reverse=True)
        if key.kind == kind
    ]


def prometheus_queries(facts: Facts, asks: Asks, own_namespace: str = "") -> tuple[PrometheusQuery, ...]:
    """One for each that selects any of the target's objects."""
    found = []
    for instance in facts.instances:
        taken = [
            subject
            for subject in subjects(facts)
            if subject.what in instance.selectors and why_not_selected("", subject, instance) is None
        ]
        if taken:
            found.append(_question(instance, taken, asks, own_namespace))
    return tuple(found)


def _question(instance: PrometheusInstance, taken: list[Subject], asks: Asks, own_namespace: str) -> PrometheusQuery:
    shards: dict[str, list[PrometheusPod]] = {}
    for server in sorted(instance.servers):
        shards.setdefault(server.shard, []).append(server)
    return PrometheusQuery(
        instance=str(instance),
        web=instance.web,
        shards=tuple(map(tuple, shards.values())),
        job=next((_job(subject.manifest) for subject in taken if subject.what == "ServiceMonitor"), None),
        groups=tuple(
            RuleGroup(subject.manifest["metadata"]["uid"], name)
            for subject in taken
            if subject.what == "PrometheusRule"
            for name in groups(subject.manifest)
        ),
        can_query=instance.kind != "PrometheusAgent",
        blocked_by=_blocked_by(instance, len(shards), asks),
        after_timeout=_policy(instance, own_namespace),
    )


def _job(monitor: Manifest) -> Job:
    metadata = monitor["metadata"]
    return Job(
        namespace=metadata["namespace"],
        service=metadata["name"],  # the Service has the monitor's name
        pool=f"serviceMonitor/{metadata['namespace']}/{metadata['name']}/0",
        window_seconds=int(max(_LEAST_WINDOW_SECONDS, _MISSED_SCRAPES * (interval_seconds(monitor) or 0))),
    )


def _blocked_by(instance: PrometheusInstance, shards: int, asks: Asks) -> tuple[str, str] | None:
    if not asks(instance.namespace):
        where = f"namespace {instance.namespace}"
        return "NotAsked", f"Metricat's chart does not let it be asked: operator.prometheusQueries leaves out {where}"
    if not shards:
        look = f"kubectl describe {instance.resource} {instance.name} -n {instance.namespace}"
        return "NoPods", f"it has no pod: are its replicas 0? {look}"
    if instance.web.listen_local:
        return "ListensLocally", "spec.listenLocal keeps everybody outside its pod from asking it"
    if shards > _MOST_SHARDS:
        return "TooManyShards", f"of its {shards} shards no more than {_MOST_SHARDS} would be asked"
    return None


def _policy(instance: PrometheusInstance, own_namespace: str) -> str:
    """The command that lets the operator in, past the NetworkPolicies that kube-prometheus installs."""
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": own_namespace}} if own_namespace else {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "metricat-operator"}},
    }
    ports = [{"port": port} for port in sorted({server.port for server in instance.servers if server.port})]
    labels = {"app.kubernetes.io/managed-by": "prometheus-operator", "app.kubernetes.io/instance": instance.name}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"metricat-asks-{instance.name}", "namespace": instance.namespace},
        "spec": {"podSelector": {"matchLabels": labels}, "ingress": [{"from": [peer], "ports": ports}]},
    }
    return f"if a NetworkPolicy keeps Metricat out, let it in: echo '{json.dumps(policy)}' | kubectl apply -f -"
