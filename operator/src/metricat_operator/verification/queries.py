"""The queries for each Prometheus that selects objects of a target. See docs/design/0010."""

import json
from collections.abc import Callable

from metricat_operator.conditions import Reason
from metricat_operator.facts.model import Facts, Manifest, PrometheusInstance
from metricat_operator.facts.prometheus_query import Job, PrometheusPod, PrometheusQuery, RuleGroup
from metricat_operator.verification.live_rules import groups, interval_seconds
from metricat_operator.verification.selection import Subject, selection_problem

_FIELDS = {"ServiceMonitor": "monitor.labels", "PrometheusRule": "alerts.labels"}
_MOST_SHARDS = 16
_LEAST_WINDOW_SECONDS = 60.0
_MISSED_SCRAPES = 4

MayQuery = Callable[[str], bool]
"""Whether a Prometheus in this namespace may be queried."""


def subjects(facts: Facts) -> list[Subject]:
    """Return the target's objects that a Prometheus should select, the ServiceMonitor first."""
    return [
        Subject(key.kind, _FIELDS[key.kind], child, facts.namespace_labels)
        for kind in _FIELDS
        for key, child in sorted(facts.children.items(), key=lambda one: one[1]["metadata"]["name"], reverse=True)
        if key.kind == kind
    ]


def prometheus_queries(facts: Facts, may_query: MayQuery, own_namespace: str = "") -> tuple[PrometheusQuery, ...]:
    """Return one query for each Prometheus that selects any of the target's objects."""
    found = []
    for instance in facts.instances:
        selected = [
            subject
            for subject in subjects(facts)
            if subject.kind in instance.selectors and selection_problem("", subject, instance) is None
        ]
        if selected:
            found.append(_query(instance, selected, may_query, own_namespace))
    return tuple(found)


def _query(
    instance: PrometheusInstance, selected: list[Subject], may_query: MayQuery, own_namespace: str
) -> PrometheusQuery:
    shards: dict[str, list[PrometheusPod]] = {}
    for server in sorted(instance.servers):
        shards.setdefault(server.shard, []).append(server)
    return PrometheusQuery(
        instance=str(instance),
        web=instance.web,
        shards=tuple(map(tuple, shards.values())),
        job=next((_job(subject.manifest) for subject in selected if subject.kind == "ServiceMonitor"), None),
        groups=tuple(
            RuleGroup(subject.manifest["metadata"]["uid"], name)
            for subject in selected
            if subject.kind == "PrometheusRule"
            for name in groups(subject.manifest)
        ),
        can_query=instance.kind != "PrometheusAgent",
        blocked_by=_blocked_by(instance, len(shards), may_query),
        after_timeout=_network_policy(instance, own_namespace),
    )


def _job(monitor: Manifest) -> Job:
    metadata = monitor["metadata"]
    return Job(
        namespace=metadata["namespace"],
        service=metadata["name"],  # the Service has the monitor's name
        pool=f"serviceMonitor/{metadata['namespace']}/{metadata['name']}/0",
        window_seconds=int(max(_LEAST_WINDOW_SECONDS, _MISSED_SCRAPES * (interval_seconds(monitor) or 0))),
    )


def _blocked_by(instance: PrometheusInstance, shards: int, may_query: MayQuery) -> tuple[Reason, str] | None:
    if not may_query(instance.namespace):
        return Reason.QUERYING_DISABLED, (
            f"The chart value operator.prometheusQueries disables querying in the namespace {instance.namespace}. "
            "Enable it, or add the namespace to operator.prometheusQueries.namespaces."
        )
    if not shards:
        command = f"kubectl describe {instance.resource} {instance.name} -n {instance.namespace}"
        return Reason.NO_PODS, f"It has no pod. Check that its replicas are not 0: {command}"
    if instance.web.listen_local:
        return Reason.LISTENS_LOCALLY, "spec.listenLocal is set, so it cannot be queried from outside its pod."
    if shards > _MOST_SHARDS:
        return Reason.TOO_MANY_SHARDS, f"It has {shards} shards. Metricat queries at most {_MOST_SHARDS}."
    return None


def _network_policy(instance: PrometheusInstance, own_namespace: str) -> str:
    """Return the command that admits the operator despite the NetworkPolicies that kube-prometheus installs."""
    peer = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": own_namespace}} if own_namespace else {},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "metricat-operator"}},
    }
    ports = [{"port": port} for port in sorted({server.port for server in instance.servers if server.port})]
    labels = {"app.kubernetes.io/managed-by": "prometheus-operator", "app.kubernetes.io/instance": instance.name}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": f"metricat-queries-{instance.name}", "namespace": instance.namespace},
        "spec": {"podSelector": {"matchLabels": labels}, "ingress": [{"from": [peer], "ports": ports}]},
    }
    return f"If a NetworkPolicy blocks Metricat, allow it: echo '{json.dumps(policy)}' | kubectl apply -f -"
