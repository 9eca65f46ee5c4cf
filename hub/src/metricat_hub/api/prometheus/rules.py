"""Endpoints of the Prometheus HTTP API about rules and alerts."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.prometheus.errors import with_prometheus_errors
from metricat_hub.api.prometheus.metadata import json_response
from metricat_hub.api.prometheus.parameters import ParameterError, Parameters
from metricat_hub.api.services import services
from metricat_hub.evaluation.rules import AlertingRule

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.evaluation.evaluate import Alert
    from metricat_hub.use_cases.rules import GroupStatus, RuleStatus

_PHASES = ("firing", "pending")


@with_prometheus_errors
async def alerts(request: Request) -> Response:
    """Return the alerts that are pending or firing."""
    found = [
        _alert(one)
        for status in _groups(request)
        for rule in status.rules
        for one in rule.state.alerts.values()
        if one.state.resolved is None
    ]
    return json_response({"alerts": found})


@with_prometheus_errors
async def rules(request: Request) -> Response:
    """Return the rule groups with their rules, and the alerts of each rule."""
    parameters = await Parameters.of(request)
    kind = parameters.get("type")
    if kind not in {"", "alert", "record"}:
        raise ParameterError(f'invalid parameter "type": not supported value {kind!r}; use alert or record')
    names, groups, files = (set(parameters.all(name)) for name in ("rule_name[]", "rule_group[]", "file[]"))
    with_alerts = parameters.get("exclude_alerts").lower() not in {"true", "1"}
    found = []
    for status in _groups(request):
        if (groups and status.group.name not in groups) or (files and status.group.file not in files):
            continue
        shown = [
            _rule(one, with_alerts=with_alerts)
            for one in status.rules
            if (not names or one.rule.name in names)
            and kind in {"", "alert" if isinstance(one.rule, AlertingRule) else "record"}
        ]
        if shown or not (names or kind):
            found.append(_group(status, shown))
    return json_response({"groups": found})


def _groups(request: Request) -> list[GroupStatus]:
    own = services(request).rules
    return own.groups() if own else []


def _group(status: GroupStatus, rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": status.group.name,
        "file": status.group.file,
        "rules": rules,
        "interval": status.group.interval / 1000,
        "limit": status.group.limit,
        "evaluationTime": status.seconds,
        "lastEvaluation": _time(status.evaluated),
    }


def _rule(status: RuleStatus, *, with_alerts: bool) -> dict[str, Any]:
    rule = status.rule
    common = {
        "name": rule.name,
        "query": rule.expression,
        "health": "unknown" if not status.evaluated else "err" if status.error else "ok",
        **({"lastError": status.error} if status.error else {}),
        "evaluationTime": status.seconds,
        "lastEvaluation": _time(status.evaluated),
    }
    if not isinstance(rule, AlertingRule):
        return {**common, "labels": dict(rule.labels), "type": "recording"}
    current = [one for one in status.state.alerts.values() if one.state.resolved is None]
    phases = {one.state.phase for one in current}
    return {
        "state": next((phase for phase in _PHASES if phase in phases), "inactive" if status.evaluated else "unknown"),
        **common,
        "duration": rule.timing.hold / 1000,
        "keepFiringFor": rule.timing.keep_firing / 1000,
        "labels": {name: template.source for name, template in rule.labels.items()},
        "annotations": {name: template.source for name, template in rule.annotations.items()},
        "alerts": [_alert(one) for one in current] if with_alerts else [],
        "type": "alerting",
    }


def _alert(alert: Alert) -> dict[str, Any]:
    state = alert.state
    return {
        "labels": dict(alert.labels),
        "annotations": dict(alert.annotations),
        "state": state.phase,
        "activeAt": _time(int(state.active)),
        **({"keepFiringSince": _time(int(state.missing))} if state.missing is not None else {}),
        "value": _value(alert.value),
    }


def _value(value: float) -> str:
    """Return a number with an exponent, as Prometheus does."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    return next(text for digits in range(18) if float(text := f"{value:.{digits}e}") == value)


def _time(milliseconds: int) -> str:
    if not milliseconds:
        return "0001-01-01T00:00:00Z"
    return (
        f"{datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec='milliseconds').removesuffix('+00:00')}Z"
    )


OPERATIONS = (
    Operation(
        "/api/v1/rules",
        rules,
        "List the rules with their alerts",
        "Prometheus",
        parameters=(
            Parameter("type", "Return only rules of this type.", {"type": "string", "enum": ["alert", "record"]}),
            Parameter("rule_name[]", "Return only rules with this name.", many=True),
            Parameter("rule_group[]", "Return only groups with this name.", many=True),
            Parameter("file[]", "Return only groups of this file.", many=True),
            Parameter("exclude_alerts", "Whether to leave out the alerts of the rules: `true` or `false`."),
        ),
    ),
    Operation("/api/v1/alerts", alerts, "List the alerts that are pending or firing", "Prometheus"),
)
