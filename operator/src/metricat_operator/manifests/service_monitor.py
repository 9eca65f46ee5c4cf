"""The ServiceMonitor that configures the scrape of the agents."""

from metricat_operator import naming
from metricat_operator.api.relabeling import Relabeling
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests import web
from metricat_operator.manifests.context import Context

_POD_LABEL_POOL = "__meta_kubernetes_pod_label_" + naming.LABEL_POOL.replace(".", "_").replace("/", "_")


def service_monitor(context: Context) -> Manifest:
    """Return the ServiceMonitor. `node` and `instance` are the node's name, because a pod's address changes."""
    monitor = context.spec.monitor
    relabelings: list[Manifest] = [
        {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"},
        {"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "instance"},
        {"sourceLabels": [_POD_LABEL_POOL], "targetLabel": "pool"},
        {"targetLabel": "job", "replacement": _literal(monitor.job_name)},
    ]
    for name, value in sorted(context.spec.agent.extra_labels.items()):
        relabelings.append({"targetLabel": name, "replacement": _literal(value)})
    for pool in context.pools:
        for name, value in sorted(pool.agent.extra_labels.items()):
            if context.spec.agent.extra_labels.get(name) != value:
                only = {"sourceLabels": [_POD_LABEL_POOL], "regex": pool.name}
                relabelings.append({**only, "targetLabel": name, "replacement": _literal(value)})
    endpoint: Manifest = {
        "port": naming.METRICS_PORT,
        "path": "/metrics",
        **web.endpoint(context),
        "interval": monitor.interval,
        "scrapeTimeout": monitor.effective_timeout,
        "relabelings": relabelings,
    }
    if monitor.metric_relabelings:
        endpoint["metricRelabelings"] = [_relabeling(one) for one in monitor.metric_relabelings]
    spec: Manifest = {
        "selector": {"matchLabels": {naming.LABEL_TARGET: naming.fit(context.name)}},
        "namespaceSelector": {"matchNames": [context.namespace]},
        "endpoints": [endpoint],
    }
    if monitor.service_discovery_role:  # Prometheus Operators before 0.86 reject the field
        spec["serviceDiscoveryRole"] = monitor.service_discovery_role
    if monitor.sample_limit:
        spec["sampleLimit"] = monitor.sample_limit
    labels = context.default_labels.monitor if monitor.labels is None else monitor.labels
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "ServiceMonitor",
        "metadata": context.metadata(naming.MONITOR, labels=labels),
        "spec": spec,
    }


def _relabeling(one: Relabeling) -> Manifest:
    return {"action": one.action, **one.model_dump(by_alias=True, exclude_defaults=True, mode="json")}


def _literal(value: str) -> str:
    """Return a replacement for a relabelling without `$` references."""
    return value.replace("$", "$$")
