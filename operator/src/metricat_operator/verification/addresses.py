"""The API addresses of the Prometheuses with a target's samples, for programs that query them, such as the hub."""

from metricat_operator.facts.model import Facts, Manifest, PrometheusInstance
from metricat_operator.verification.queries import subjects
from metricat_operator.verification.results import selecting

_PORT = 9090
"""The port of a Prometheus, which its object cannot change."""


def prometheus_addresses(facts: Facts) -> list[Manifest]:
    """Return namespace, name and URL of each Prometheus that selects the ServiceMonitor, sorted by name."""
    monitors = [one for one in subjects(facts) if one.kind == "ServiceMonitor"]
    found = [one for monitor in monitors for one in selecting(facts, monitor) if one.kind == "Prometheus"]
    return [
        {"namespace": one.namespace, "name": one.name, "url": _url(one)}
        for one in sorted(found, key=lambda one: (one.namespace, one.name))
    ]


def _url(instance: PrometheusInstance) -> str:
    """Return the URL of the first pod: `prometheus-operated` selects the pods of all Prometheuses in the namespace."""
    web = instance.web
    if web.listen_local or web.shards > 1:
        return ""
    host = f"prometheus-{instance.name}-0.{web.service}.{instance.namespace}.svc"
    return f"{'https' if web.tls else 'http'}://{host}:{_PORT}{web.prefix.rstrip('/')}"
