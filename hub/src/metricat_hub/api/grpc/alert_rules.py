"""The call ConfigureAlert, which changes the same alert rules as the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from google.protobuf.timestamp_pb2 import Timestamp

from metricat_hub.access import audit
from metricat_hub.model.alert_rules import RuleBody, RuleConflictError
from metricat_hub.model.durations import format_go_duration
from metricat_hub.model.errors import InvalidParameterError
from metricat_hub.protocol.v1 import alerts_pb2 as messages

if TYPE_CHECKING:
    from collections.abc import Mapping

    from google.protobuf.duration_pb2 import Duration

    from metricat_hub.use_cases.alert_rules import AlertRule, AlertRules, DryRun
    from metricat_hub.use_cases.cancellation import Cancellation

_STATES = {"firing": messages.ALERT_STATE_FIRING, "pending": messages.ALERT_STATE_PENDING}
_LONGEST = 1_000
"""The most characters of a comment that are stored."""


def configured(
    rules: AlertRules | None, request: messages.ConfigureAlertRequest, actor: str, cancellation: Cancellation
) -> messages.ConfigureAlertResponse:
    """Change an alert rule, or evaluate the change in a dry run; return the rule.

    Raises:
        HubError: any error of the methods of `AlertRules`.
    """
    if rules is None:
        raise RuleConflictError(
            "this hub evaluates no rules, or the client may see only some namespaces; change the alerts in the "
            "MonitoringTargets"
        )
    comment, identifier = request.comment[:_LONGEST], request.id
    if request.WhichOneof("change") is None:
        raise InvalidParameterError("rule", "neither rule nor delete is set; set one of them")
    if request.delete:
        if not identifier:
            raise InvalidParameterError("id", "it is missing; set the identifier of the rule to delete")
        if request.dry_run:
            raise InvalidParameterError("dry_run", "a deletion has no dry run; leave out dry_run or delete")
        rules.remove(identifier, _version(request), actor, comment)
        audit.record("alert_rule.delete", who=actor, target=identifier)
        return messages.ConfigureAlertResponse(id=identifier, version=request.version + 1)
    body = _body(request.rule)
    if request.dry_run:
        rule = rules.preview(identifier, body)
        return _response(rule, rules.dry_run(rule, cancellation))
    if not identifier:
        rule = rules.create(body, actor, comment)
        audit.record("alert_rule.create", who=actor, target=rule.id, name=rule.name)
        return _response(rule)
    rule = rules.change(identifier, body, _version(request), actor, comment)
    audit.record("alert_rule.update", who=actor, target=identifier, name=rule.name, version=rule.version)
    return _response(rule)


def _version(request: messages.ConfigureAlertRequest) -> int:
    if not request.HasField("version"):
        raise InvalidParameterError("version", "it is missing; set the version of the rule that you read")
    return request.version


def _body(rule: messages.AlertRule) -> RuleBody:
    given: dict[str, Any] = {
        name: getattr(rule, name) for name in ("name", "expression", "measure", "severity") if getattr(rule, name)
    }
    given |= {name: dict(getattr(rule, name)) for name in ("labels", "annotations", "match")}
    if rule.HasField("threshold"):
        given["threshold"] = rule.threshold
    if rule.HasField("enabled"):
        given["enabled"] = rule.enabled
    if rule.operator:
        given["operator"] = rule.operator
    if rule.HasField("for_duration"):
        given["for"] = _duration("for_duration", rule.for_duration)
    if rule.HasField("keep_firing_for"):
        given["keep_firing_for"] = _duration("keep_firing_for", rule.keep_firing_for)
    if rule.HasField("cooldown"):
        given["cooldown_minutes"] = rule.cooldown.ToMilliseconds() / 60_000
    given["levels"] = _levels(rule.levels)
    given["pools"] = {pool: _levels(one.levels) for pool, one in rule.pools.items()}
    try:
        return msgspec.convert(given, RuleBody)
    except msgspec.ValidationError as error:
        raise InvalidParameterError("rule", str(error)[:300]) from None


def _levels(levels: Mapping[str, messages.AlertLevel]) -> dict[str, dict[str, Any]]:
    found = {}
    for severity, level in levels.items():
        own: dict[str, Any] = {}
        if level.HasField("threshold"):
            own["threshold"] = level.threshold
        if level.HasField("for_duration"):
            own["for"] = _duration("for_duration", level.for_duration)
        if level.HasField("enabled"):
            own["enabled"] = level.enabled
        found[severity] = own
    return found


def _duration(name: str, duration: Duration) -> str:
    milliseconds = duration.ToMilliseconds()
    if milliseconds < 0:
        raise InvalidParameterError("rule", f"{name} is negative; set a duration of at least 0")
    return format_go_duration(milliseconds)


def _response(rule: AlertRule, tried: DryRun | None = None) -> messages.ConfigureAlertResponse:
    response = messages.ConfigureAlertResponse(
        id="" if tried and rule.source == "api" else rule.id,
        version=0 if tried else rule.version,
        name=rule.name,
        expressions=[one.expression for one in rule.group.rules],
        errors=tried.errors if tried else (),
    )
    for one in tried.alerts if tried else ():
        active = int(one.state.active)
        response.alerts.add(
            state=_STATES[one.state.phase],
            labels=dict(one.labels),
            annotations=one.annotations,
            value=one.value,
            active_since=Timestamp(seconds=active // 1000, nanos=active % 1000 * 1_000_000),
        )
    return response
