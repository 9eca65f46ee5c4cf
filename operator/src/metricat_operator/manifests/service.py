"""The Service through which Prometheus discovers the agents."""

from metricat_operator import naming
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context


def service(context: Context) -> Manifest:
    """Return a headless Service. It also lists agents that are not ready: otherwise these would have no `up`."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": context.metadata("agent"),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": True,
            "selector": naming.agent_selector(context.name),
            "ports": [
                {
                    "name": naming.METRICS_PORT,
                    "port": context.spec.agent.port,
                    "targetPort": naming.METRICS_PORT,
                    "protocol": "TCP",
                }
            ],
        },
    }
