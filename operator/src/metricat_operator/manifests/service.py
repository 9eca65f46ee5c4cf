"""The Service by which Prometheus finds the agents."""

from metricat_operator import naming
from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context


def service(context: Context) -> Manifest:
    """Headless: it only lists the agents. Not-ready ones too, or a failing agent would vanish from `up` unnoticed."""
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
