"""A minimal client of the API server, with the ServiceAccount of the hub's pod. All methods block."""

from __future__ import annotations

import http.client
import json
import ssl
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from metricat_hub.model.errors import AccessUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TIMEOUT = 5.0
"""Seconds without a byte from the API server."""
_MOST_BYTES = 16 * 2**20
_PAGE = 200
_OPERATOR_GROUP = "/apis/metricat.dev/v1alpha1/monitoringtargets"


class ApiServer:
    """The API server of the hub's cluster."""

    def __init__(self, host: str, port: int, account: Path = _ACCOUNT) -> None:
        """`account` has the files `token` and `ca.crt`, which kubelet renews."""
        self._host = host
        self._port = port
        self._account = account

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str]) -> ApiServer | None:
        """Return the API server from the environment variables of a pod; None outside of a cluster."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        return cls(host, int(port)) if host and port.isdigit() and (_ACCOUNT / "token").exists() else None

    @contextmanager
    def session(self, token: str = "") -> Iterator[Session]:
        """Yield one connection. It authenticates with `token`, or with the pod's ServiceAccount if `token` is empty.

        Raises:
            AccessUnavailableError: the API server does not respond as expected, or the ServiceAccount is not readable.
        """
        try:
            token = token or (self._account / "token").read_text(encoding="ascii").strip()
            context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
            connection = http.client.HTTPSConnection(self._host, self._port, timeout=_TIMEOUT, context=context)
            try:
                yield Session(connection, token)
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise AccessUnavailableError(
                f"a request to the API server of Kubernetes failed: {error}. Check the network, and the files token "
                f"and ca.crt in {self._account}. Then retry."
            ) from error


class Session:
    """Requests over one connection."""

    def __init__(self, connection: http.client.HTTPSConnection, token: str) -> None:
        self._connection = connection
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "metricat-hub",
        }

    def review(self, group: str, kind: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Create a review object, such as a TokenReview; return its `status`."""
        body = {"apiVersion": f"{group}/v1", "kind": kind, "spec": spec}
        status = self._send("POST", f"/apis/{group}/v1/{kind.lower()}s", json.dumps(body)).get("status")
        return status if isinstance(status, dict) else {}

    def monitoring_targets(self) -> list[dict[str, Any]]:
        """Return all MonitoringTargets; an empty list if the cluster does not have their CRD."""
        found: list[dict[str, Any]] = []
        following = ""
        while True:
            query = urlencode({"limit": _PAGE, **({"continue": following} if following else {})})
            page = self._send("GET", f"{_OPERATOR_GROUP}?{query}", missing={})
            found += page.get("items") or []
            following = (page.get("metadata") or {}).get("continue") or ""
            if not following:
                return found

    def send_as_user(
        self, method: str, path: str, body: str | None = None, media: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """Send a request; return HTTP status and JSON object of the response. An error status does not raise."""
        self._connection.request(method, path, body, {**self._headers, "Content-Type": media})
        response = self._connection.getresponse()
        content = response.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise AccessUnavailableError(
                f"the response of the API server is larger than {_MOST_BYTES} bytes. Make the MonitoringTarget smaller."
            )
        try:
            found = json.loads(content)
        except (ValueError, RecursionError):
            found = {"message": content[:500].decode("utf-8", "replace")}
        return response.status, found if isinstance(found, dict) else {}

    def _send(self, method: str, path: str, body: str | None = None, missing: Any = None) -> Any:
        """Return the JSON of a response; `missing` for 404, if it is given."""
        self._connection.request(method, path, body, self._headers)
        response = self._connection.getresponse()
        content = response.read(_MOST_BYTES + 1)
        if response.status == http.client.NOT_FOUND and missing is not None:
            return missing
        what = f"{method} {path.partition('?')[0]}"
        if response.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            raise AccessUnavailableError(
                f"the API server of Kubernetes rejects the hub's ServiceAccount ({what}: {response.status}). "
                "Bind the chart's ClusterRole of the hub to this ServiceAccount."
            )
        if len(content) > _MOST_BYTES:
            raise AccessUnavailableError(
                f"the response of the API server of Kubernetes to {what} is larger than {_MOST_BYTES} bytes. Make the "
                "MonitoringTargets smaller."
            )
        if not http.client.OK <= response.status < http.client.MULTIPLE_CHOICES:
            raise AccessUnavailableError(
                f"the response of the API server of Kubernetes to {what} has status {response.status}. Retry later."
            )
        return json.loads(content)
