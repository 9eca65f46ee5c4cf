"""The agents' ServiceAccount."""

from metricat_operator.facts.model import Manifest
from metricat_operator.manifests.context import Context


def service_account(context: Context) -> Manifest:
    """Return an account without permissions and token: the agent sends no requests to the API server."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": context.metadata("agent"),
        "automountServiceAccountToken": False,
    }
