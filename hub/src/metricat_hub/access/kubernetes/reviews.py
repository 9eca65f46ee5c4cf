"""Access reviews of the API server: who a token belongs to, and what the user may do. All methods block."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from metricat_hub.access.kubernetes.api_server import ApiServer, Session

_LOG = logging.getLogger(__name__)
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_RESOURCE = {"group": "metricat.dev", "resource": "monitoringtargets"}
WEBHOOK = "/api/v1/alertmanager/webhook"
"""The path of Alertmanager's webhook. RBAC grants the verb `post` on it."""
MOST_NAMESPACES = 500
"""The hub checks access to this many namespaces for each user. The user cannot see further namespaces."""
TARGETS_SECONDS = 10.0
"""Seconds for which the list of MonitoringTargets is cached."""


class Reviews:
    """Access reviews by one API server. Thread-safe."""

    def __init__(self, api: ApiServer, clock: Callable[[], float] = time.monotonic) -> None:
        self._api = api
        self._clock = clock
        self._lock = threading.Lock()
        self._targets: list[dict[str, Any]] = []
        self._listed = -TARGETS_SECONDS

    @property
    def api(self) -> ApiServer:
        """The API server."""
        return self._api

    def user(self, token: str) -> Mapping[str, Any] | None:
        """Return name, UID, groups and extra attributes of a token's user; None for an invalid token.

        Raises:
            AccessUnavailableError: the API server cannot be queried.
        """
        with self._api.session() as session:
            status = session.review(_AUTHENTICATION, "TokenReview", {"token": token})
        user = status.get("user") or {}
        return user if status.get("authenticated") is True and user.get("username") else None

    def namespaces(self, user: Mapping[str, Any]) -> frozenset[str] | None:
        """Return the namespaces in which the user may get MonitoringTargets; None: all namespaces.

        Raises:
            AccessUnavailableError: the API server cannot be queried.
        """
        candidates = self._candidates()
        with self._api.session() as session:
            if _may(session, user, ""):
                return None
            return frozenset(one for one in candidates if _may(session, user, one))

    def may_read_metrics(self, user: Mapping[str, Any]) -> bool:
        """Return whether RBAC lets a user `get` the path `/metrics`; Prometheus usually has this right.

        Raises:
            AccessUnavailableError: the API server cannot be queried.
        """
        with self._api.session() as session:
            return _is_allowed(session, user, {"nonResourceAttributes": {"path": "/metrics", "verb": "get"}})

    def may_report_alerts(self, user: Mapping[str, Any]) -> bool:
        """Return whether RBAC lets a user `post` to the path of Alertmanager's webhook.

        Raises:
            AccessUnavailableError: the API server cannot be queried.
        """
        with self._api.session() as session:
            return _is_allowed(session, user, {"nonResourceAttributes": {"path": WEBHOOK, "verb": "post"}})

    def may_edit(self, user: Mapping[str, Any]) -> bool:
        """Return whether a user may patch the MonitoringTargets of all namespaces.

        Raises:
            AccessUnavailableError: the API server cannot be queried.
        """
        with self._api.session() as session:
            return _may(session, user, "", "patch")

    def monitoring_targets(self) -> list[dict[str, Any]]:
        """Return all MonitoringTargets, at most `TARGETS_SECONDS` old."""
        with self._lock:
            if self._clock() - self._listed >= TARGETS_SECONDS:
                with self._api.session() as session:
                    self._targets = session.monitoring_targets()
                self._listed = self._clock()
            return self._targets

    def _candidates(self) -> Iterable[str]:
        found = sorted({one["metadata"]["namespace"] for one in self.monitoring_targets()})
        if len(found) > MOST_NAMESPACES:
            _LOG.warning(
                "%s namespaces have a MonitoringTarget; users without access to all of them see the first %s only. "
                "Give them access to all namespaces, or run one hub for each group of namespaces.",
                len(found),
                MOST_NAMESPACES,
            )
        return found[:MOST_NAMESPACES]


def _may(session: Session, user: Mapping[str, Any], namespace: str, verb: str = "get") -> bool:
    """Return whether a user has a right for MonitoringTargets in a namespace; an empty one means all namespaces."""
    return _is_allowed(session, user, {"resourceAttributes": {**_RESOURCE, "verb": verb, "namespace": namespace}})


def _is_allowed(session: Session, user: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    attributes = {key: user[key] for key in ("uid", "groups", "extra") if user.get(key)}
    status = session.review(_AUTHORIZATION, "SubjectAccessReview", {"user": user["username"], **attributes, **right})
    return status.get("allowed") is True
