"""The agents' ServiceAccount."""

from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context


def service_account(context: Context) -> Manifest:
    """An account without any rights and without a token: the agent never speaks to the API server."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": context.metadata("agent"),
        "automountServiceAccountToken": False,
    }
