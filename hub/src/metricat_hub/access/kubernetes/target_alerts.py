"""Reads and changes the settings of alerts in MonitoringTargets with the user's own rights. All methods block.

Each request has the user's token, never that of the hub. A change is a server-side apply with a field manager for each
alert, so that it sets the fields of this alert only. The API server rejects fields that another manager owns.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import quote, urlencode

from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError
from metricat_hub.model.alert_rules import RuleConflictError, RuleNotFoundError, StaleRuleError
from metricat_hub.model.errors import AccessUnavailableError, InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.access.kubernetes.api_server import ApiServer, Session

GROUP, VERSION, PLURAL = "metricat.dev", "v1alpha1", "monitoringtargets"
_APPLY = "application/apply-patch+yaml"
_DENIED = re.compile(r"denied request: (.*)", re.DOTALL)
_RIGHT = re.compile(r"may not (\S+) (\S+) in namespace ([a-z0-9-]+)")
_ATTEMPTS = 3
"""Attempts of a change. The operator may write the status at the same time, which changes the resource version."""


class MissingRightError(PermissionDeniedError):
    """The user lacks a right in the cluster. `right` has its `verb`, `resource` and `namespace`; empty: unknown."""

    def __init__(self, message: str, right: Mapping[str, str]) -> None:
        super().__init__(message)
        self.right = right


@dataclass(frozen=True, slots=True)
class TargetAlerts:
    """The settings of alerts in a MonitoringTarget, as its spec has them, without defaults."""

    namespace: str
    name: str
    generation: int
    rules: Mapping[str, Any]
    pools: Mapping[str, Mapping[str, Any]]


class TargetAlertClient:
    """Reads and changes settings of alerts."""

    def __init__(self, api: ApiServer, targets: Callable[[], Sequence[dict[str, Any]]] = tuple) -> None:
        """`targets` returns all MonitoringTargets, read with the rights of the hub."""
        self._api = api
        self._targets = targets

    def all(self, namespaces: frozenset[str] | None) -> Sequence[dict[str, Any]]:
        """Return the MonitoringTargets of these namespaces, at most some seconds old; None: those of all namespaces.

        Raises:
            AccessUnavailableError: the API server cannot be queried.
        """
        return [
            one for one in self._targets() if namespaces is None or one["metadata"].get("namespace", "") in namespaces
        ]

    def get(self, token: str, namespace: str, name: str) -> TargetAlerts:
        """Return the settings of the alerts of a MonitoringTarget.

        Raises:
            AuthenticationError: the API server rejects the token.
            MissingRightError: the user may not get the MonitoringTarget.
            RuleNotFoundError: the MonitoringTarget does not exist.
            AccessUnavailableError: the API server cannot be queried.
        """
        with self._api.session(token) as session:
            return _alerts(_read(session, namespace, name))

    def apply(  # noqa: PLR0913, PLR0917 -- the parts of a request
        self,
        token: str,
        namespace: str,
        name: str,
        alert: str,
        settings: Mapping[str, Any],
        pools: Mapping[str, Mapping[str, Any]],
        generation: int | None,
        *,
        dry_run: bool = False,
    ) -> TargetAlerts:
        """Replace the settings of an alert that this hub set before; return all settings of the MonitoringTarget.

        Args:
            token: Bearer token of the user.
            namespace: namespace of the MonitoringTarget.
            name: name of the MonitoringTarget.
            alert: the name of the alert.
            settings: levels and labels of the alert; empty: remove them.
            pools: settings of the alert for single pools, by name of the pool.
            generation: generation of the MonitoringTarget that the user read; None: do not compare generations.
            dry_run: let the API server check the change without storing it.

        Raises:
            AuthenticationError: the API server rejects the token.
            MissingRightError: the user may not get or patch the MonitoringTarget.
            RuleNotFoundError: the MonitoringTarget does not exist.
            RuleConflictError: another field manager owns a field. The message names the manager and the field.
            StaleRuleError: the spec of the MonitoringTarget has changed since the user read it.
            InvalidParameterError: the API server rejects a value.
            AccessUnavailableError: the API server cannot be queried.
        """
        query = {"fieldManager": f"metricat-hub-{alert}", "force": "false", **({"dryRun": "All"} if dry_run else {})}
        path = f"{_path(namespace, name)}?{urlencode(query)}"
        spec: dict[str, Any] = {"alerts": {"rules": {alert: settings}}} if settings else {}
        if pools:
            spec["pools"] = [{"name": pool, "alerts": {"rules": {alert: own}}} for pool, own in sorted(pools.items())]
        with self._api.session(token) as session:
            for attempt in range(_ATTEMPTS):
                current = _read(session, namespace, name)
                metadata = current["metadata"]
                newest = metadata.get("generation")
                if generation not in {None, newest}:
                    raise StaleRuleError(
                        f"MonitoringTarget {namespace}/{name} has generation {newest}, but the request expects "
                        f"{generation}. Read the MonitoringTarget again, and repeat the change."
                    )
                body = {
                    "apiVersion": f"{GROUP}/{VERSION}",
                    "kind": "MonitoringTarget",
                    "metadata": {"name": name, "namespace": namespace, "resourceVersion": metadata["resourceVersion"]},
                    **({"spec": spec} if spec else {}),
                }
                status, found = session.send_as_user("PATCH", path, json.dumps(body), _APPLY)
                if status == HTTPStatus.CONFLICT and not _managers(found) and attempt + 1 < _ATTEMPTS:
                    continue
                if status >= HTTPStatus.BAD_REQUEST:
                    _fail(status, found, "patch", namespace, name)
                return _alerts(found)
        raise AssertionError("the last attempt returns or raises")


def _path(namespace: str, name: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{quote(namespace, safe='')}/{PLURAL}/{quote(name, safe='')}"


def _read(session: Session, namespace: str, name: str) -> dict[str, Any]:
    status, found = session.send_as_user("GET", _path(namespace, name))
    if status >= HTTPStatus.BAD_REQUEST:
        _fail(status, found, "get", namespace, name)
    return found


def _alerts(target: Mapping[str, Any]) -> TargetAlerts:
    metadata, spec = target["metadata"], target.get("spec") or {}
    pools = {one["name"]: rules for one in spec.get("pools") or [] if (rules := (one.get("alerts") or {}).get("rules"))}
    rules = (spec.get("alerts") or {}).get("rules") or {}
    return TargetAlerts(metadata["namespace"], metadata["name"], metadata.get("generation", 0), rules, pools)


def _managers(answer: Mapping[str, Any]) -> dict[str, str]:
    """Return the owner of each field that a conflict names."""
    causes = (answer.get("details") or {}).get("causes") or []
    return {
        str(one.get("field", "")).removeprefix("."): str(one.get("message", "")).partition('"')[2].partition('"')[0]
        for one in causes
        if one.get("reason") == "FieldManagerConflict"
    }


def _fail(status: int, answer: Mapping[str, Any], verb: str, namespace: str, name: str) -> NoReturn:
    text, target = str(answer.get("message", ""))[:1_000], f"MonitoringTarget {namespace}/{name}"
    if status == HTTPStatus.UNAUTHORIZED:
        raise AuthenticationError(
            "the API server rejects the Bearer token; create one with: kubectl create token SERVICEACCOUNT"
        )
    if status == HTTPStatus.FORBIDDEN and (found := _DENIED.search(text)):
        # A policy of the cluster, for example that authors need the rights of Metricat for its objects.
        denied = _RIGHT.search(found[1])
        names = ("verb", "resource", "namespace")
        raise MissingRightError(
            f"an admission policy denies the change of {target}: {found[1]}",
            dict(zip(names, denied.groups(), strict=True)) if denied else {},
        )
    if status == HTTPStatus.FORBIDDEN:
        right = {"verb": verb, "resource": f"{PLURAL}.{GROUP}", "namespace": namespace}
        raise MissingRightError(
            f"the user lacks the right to {verb} {right['resource']} in the namespace {namespace}. "
            f"Ask an administrator to bind a role with this right. The API server reports: {text}",
            right,
        )
    if status == HTTPStatus.NOT_FOUND:
        raise RuleNotFoundError(f"{target} does not exist. Check the namespace and the name.")
    if status == HTTPStatus.CONFLICT:
        if owners := _managers(answer):
            listed = "; ".join(f"the field manager {owner} owns {field}" for field, owner in sorted(owners.items()))
            raise RuleConflictError(f"{target}: {listed}. Change the field there, for example in the Git repository.")
        raise StaleRuleError(f"{target} has changed since you read it. Read it again, and repeat the change.")
    if status in (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY):
        raise InvalidParameterError("levels", f"the API server rejects the change: {text}")
    raise AccessUnavailableError(f"the API server of Kubernetes responds with status {status}. Retry later.")
