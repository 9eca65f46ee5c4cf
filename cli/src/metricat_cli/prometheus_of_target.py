"""The Prometheus with the samples of a MonitoringTarget, reached through the proxy of the API server."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http.client import FORBIDDEN, UNAUTHORIZED
from typing import Any
from urllib.parse import urlencode, urlsplit

from metricat_cli.cluster import ApiError, ApiServer
from metricat_cli.errors import CommandError
from metricat_cli.prometheus import PrometheusClient
from metricat_cli.targets import ClusterTarget


@dataclass(frozen=True)
class ProxiedPrometheus(PrometheusClient):
    """A Prometheus pod behind the proxy of the API server. `url` is its URL in the cluster."""

    api: ApiServer | None = None
    namespace: str = ""

    def _request(self, endpoint: str, query: Mapping[str, str]) -> Any:
        if self.api is None:
            raise CommandError("without an API server, set --prometheus to the URL of Prometheus")
        address = urlsplit(self.url)
        pod, path = (
            str(address.hostname).partition(".")[0],
            f"{address.path.rstrip('/')}/api/v1/{endpoint}?{urlencode(query)}",
        )
        port = address.port or 9090
        try:
            content = self.api.pod(self.namespace, pod, port, path, tls=address.scheme == "https")
        except ApiError as error:
            login = "and --http.config.file" if error.code == UNAUTHORIZED else ""
            if not login and error.code != FORBIDDEN:
                raise
            forward = f"kubectl port-forward -n {self.namespace} pod/{pod} {port}"
            remedy = f"Set --prometheus {login} to query it directly, for example through: {forward}"
            raise ApiError(error.code, f"{str(error).removesuffix('.')}. {' '.join(remedy.split())}") from error
        try:
            return json.loads(content)["data"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise self._foreign() from error


def client(api: ApiServer, targets: Iterable[ClusterTarget]) -> PrometheusClient | None:
    """Return the first Prometheus that the statuses of targets name with a URL; None if none is named.

    If the command runs in a pod, the client connects to Prometheus directly: the pod's ServiceAccount may not use the
    proxy.
    """
    for target in targets:
        for one in target.status.get("prometheuses") or []:
            if one.get("url"):
                if api.credentials.in_cluster:
                    return PrometheusClient(one["url"])
                return ProxiedPrometheus(one["url"], api=api, namespace=one["namespace"])
    return None
