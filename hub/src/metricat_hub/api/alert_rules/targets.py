"""Endpoints that read and change the alert settings of MonitoringTargets.

The API server of Kubernetes authorizes each request by the user's token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from metricat_hub.access import audit
from metricat_hub.api.accounts.requests import json_body, principal_of
from metricat_hub.api.authorization import credentials_of
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.model.alert_rules import Level, LevelBody, Texts  # noqa: TC001 -- msgspec evaluates annotations
from metricat_rules.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from metricat_hub.access.kubernetes.target_alerts import TargetAlertClient, TargetAlerts

_TAG = "Alert rules"
_NAMES = frozenset(alert.name for alert in CATALOGUE)


class TargetAlertChange(msgspec.Struct, forbid_unknown_fields=True):
    """Settings of an alert, which replace those that this hub set before. Missing settings return to the defaults."""

    levels: dict[Level, LevelBody] = msgspec.field(default_factory=dict)
    labels: Texts = msgspec.field(default_factory=dict)
    pools: Annotated[
        dict[str, dict[Level, LevelBody]], Meta(description="Settings for single pools, by name of the pool.")
    ] = msgspec.field(default_factory=dict)


class TargetAlertsView(msgspec.Struct):
    """The settings of alerts in the spec of a MonitoringTarget. Missing settings have their defaults."""

    namespace: str
    name: str
    generation: int
    rules: dict[str, Any]
    pools: dict[str, dict[str, Any]]


async def get_target_alerts(request: Request) -> Response:
    """Return the settings of the alerts of a MonitoringTarget."""
    client, token = _client(request)
    path = request.path_params
    return _respond(await run_in_threadpool(client.get, token, path["namespace"], path["name"]))


async def set_target_alert(request: Request) -> Response:
    """Replace the settings of an alert of a MonitoringTarget."""
    given = await json_body(request, TargetAlertChange)
    settings = {**_levels(given.levels), **({"labels": given.labels} if given.labels else {})}
    pools = {pool: _levels(levels) for pool, levels in given.pools.items()}
    return await _apply(request, settings, pools)


async def reset_target_alert(request: Request) -> Response:
    """Remove the settings of an alert that this hub set in a MonitoringTarget."""
    return await _apply(request, {}, {})


async def _apply(request: Request, settings: Mapping[str, Any], pools: Mapping[str, Mapping[str, Any]]) -> Response:
    client, token = _client(request)
    namespace, name, alert = (request.path_params[one] for one in ("namespace", "name", "alert"))
    if alert not in _NAMES:
        raise Problem(
            404,
            f"no shipped alert has the name {alert[:100]}; list the alerts with: GET "
            "/api/v1/monitoring-targets/NAMESPACE/NAME/alerts",
        )
    text = request.query_params.get("dry_run", "false").lower()
    if text not in {"true", "false"}:
        raise Problem(400, f"invalid parameter dry_run: {text[:100]!r}; write true or false", parameter="dry_run")
    dry_run = text == "true"
    generation = _generation(request)
    found = await run_in_threadpool(
        lambda: client.apply(token, namespace, name, alert, settings, pools, generation, dry_run=dry_run)
    )
    if not dry_run:
        who = principal_of(request).name
        audit.record("target_alert.apply", who=who, target=f"{namespace}/{name}", alert=alert)
    return _respond(found)


def _levels(levels: Mapping[Level, LevelBody]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for severity, level in levels.items():
        own: dict[str, Any] = {"enabled": level.enabled}
        if level.threshold is not None:
            own["threshold"] = level.threshold
        if level.for_ is not None:
            own["for"] = level.for_
        found[severity] = own
    return found


def _client(request: Request) -> tuple[TargetAlertClient, str]:
    """Return the client, and the user's token of Kubernetes."""
    client = services(request).access.targets
    if client is None:
        raise Problem(409, "this hub accepts no tokens of Kubernetes; run it in a cluster with --access.kubernetes")
    if principal_of(request).kind != "kubernetes":
        raise Problem(
            403,
            "only users of Kubernetes can read and change the alert settings of MonitoringTargets; "
            "send a token of the cluster, for example from: kubectl create token SERVICEACCOUNT",
        )
    return client, credentials_of(request).bearer


def _generation(request: Request) -> int | None:
    """Return the generation in If-Match, which changes need; None: any."""
    text = request.headers.get("if-match", "").strip()
    if not text:
        raise Problem(428, 'the header If-Match is missing; send the ETag of the MonitoringTarget, for example "3"')
    if text == "*":
        return None
    number = text.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 16):
        raise Problem(400, f'invalid If-Match {text[:100]}; send the ETag of the MonitoringTarget, for example "3"')
    return int(number)


def _respond(found: TargetAlerts) -> Response:
    view = TargetAlertsView(
        found.namespace, found.name, found.generation, dict(found.rules), {k: dict(v) for k, v in found.pools.items()}
    )
    headers = {"ETag": f'"{found.generation}"', "Cache-Control": "private, no-store"}
    return Response(msgspec.json.encode(view), headers=headers, media_type="application/json")


_PATH = "/api/v1/monitoring-targets/{namespace}/{name}/alerts"
TARGET = (
    Parameter("namespace", "Namespace of the MonitoringTarget.", where="path"),
    Parameter("name", "Name of the MonitoringTarget.", where="path"),
)
_CHANGE = (
    *TARGET,
    Parameter("alert", "Name of a shipped alert.", where="path"),
    Parameter("dry_run", "Let the API server check the change without storing it.", {"enum": ["true", "false"]}),
    Parameter("If-Match", "The ETag of the MonitoringTarget that the client read.", required=True, where="header"),
)
_ERRORS = (400, 404, 409, 412, 428, 503)
OPERATIONS = (
    Operation(
        _PATH,
        get_target_alerts,
        "Show the settings of alerts in a MonitoringTarget",
        _TAG,
        parameters=TARGET,
        result=TargetAlertsView,
        errors=(404, 409, 503),
    ),
    Operation(
        f"{_PATH}/{{alert}}",
        set_target_alert,
        "Replace the settings of an alert in a MonitoringTarget, with the user's own rights",
        _TAG,
        methods=("PUT",),
        parameters=_CHANGE,
        request=TargetAlertChange,
        result=TargetAlertsView,
        errors=(*_ERRORS, 413, 415),
    ),
    Operation(
        f"{_PATH}/{{alert}}",
        reset_target_alert,
        "Remove the settings of an alert that this hub set in a MonitoringTarget",
        _TAG,
        methods=("DELETE",),
        parameters=_CHANGE,
        result=TargetAlertsView,
        errors=_ERRORS,
    ),
)
