"""The client of the API server, shared by all parts of the hub that query it."""

from __future__ import annotations

import os
from functools import cache

from metricat_hub.access.kubernetes.api_server import ApiServer
from metricat_hub.access.kubernetes.reviews import Reviews
from metricat_hub.model.errors import HubError


def reviews(setting: str) -> Reviews:
    """Return the client for access reviews; raise `HubError` outside of a cluster. `setting` is for the message."""
    found = _in_cluster()
    if found is None:
        raise HubError(
            f"{setting}: this process has no ServiceAccount. Run the hub in a pod, "
            "with automountServiceAccountToken: true, or remove the setting."
        )
    return found


@cache
def _in_cluster() -> Reviews | None:
    api = ApiServer.in_cluster(os.environ)
    return None if api is None else Reviews(api)
