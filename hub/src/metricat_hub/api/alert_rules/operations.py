"""The endpoints of alert rules. The paths /api/alerts/rules and /api/v1/alert-rules have the same endpoints."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from metricat_hub.access import audit
from metricat_hub.api.accounts.requests import json_body, parse_time, principal_of
from metricat_hub.api.accounts.requests import respond as respond_struct
from metricat_hub.api.alert_rules import views
from metricat_hub.api.alert_rules.bodies import (
    BacktestResult,
    BacktestTrial,
    DryRunResult,
    Restore,
    RuleChange,
    RuleList,
    RuleView,
    Trial,
    Undo,
    VersionList,
)
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.rest.responses import respond
from metricat_hub.api.services import services
from metricat_hub.model.alert_rules import RuleBody
from metricat_hub.model.durations import parse_duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.alert_rules import AlertRule, AlertRules
    from metricat_hub.use_cases.cancellation import Cancellation

T = TypeVar("T")
_TAG = "Alert rules"
_DAY = 86_400_000


async def list_alert_rules(request: Request) -> Response:
    """Return all alert rules."""
    rules = _rules(request)
    return await respond(request, lambda *_: RuleList([views.rule_view(one) for one in rules.all()]))


async def get_alert_rule(request: Request) -> Response:
    """Return one alert rule."""
    return _respond(await run_in_threadpool(_rules(request).get, request.path_params["id"]))


async def create_alert_rule(request: Request) -> Response:
    """Store a new rule; with `dry_run=true`, only evaluate it once."""
    given = await json_body(request, RuleChange)
    rules, body = _rules(request), _body(given)
    if _is_dry_run(request):
        return await _dry_run(request, "", body)
    who = principal_of(request).name
    rule = await run_in_threadpool(rules.create, body, who, given.comment)
    audit.record("alert_rule.create", who=who, target=rule.id, name=rule.name)
    response = _respond(rule, 201)
    response.headers["Location"] = f"{request.url.path.rstrip('/')}/{rule.id}"
    return response


async def replace_alert_rule(request: Request) -> Response:
    """Replace a rule, or the settings of a shipped alert; with `dry_run=true`, only evaluate it once."""
    given = await json_body(request, RuleChange)
    rules, body, identifier = _rules(request), _body(given), request.path_params["id"]
    if _is_dry_run(request):
        return await _dry_run(request, identifier, body)
    version = await _version(request, rules, identifier)
    who = principal_of(request).name
    rule = await run_in_threadpool(rules.change, identifier, body, version, who, given.comment)
    audit.record("alert_rule.update", who=who, target=identifier, name=rule.name, version=rule.version)
    return _respond(rule)


async def delete_alert_rule(request: Request) -> Response:
    """Delete a rule, or reset a shipped alert to its defaults."""
    rules, identifier = _rules(request), request.path_params["id"]
    version = await _version(request, rules, identifier)
    who = principal_of(request).name
    comment = request.query_params.get("comment", "")[:1_000]
    await run_in_threadpool(rules.remove, identifier, version, who, comment)
    audit.record("alert_rule.delete", who=who, target=identifier)
    return Response(status_code=204)


async def list_alert_rule_versions(request: Request) -> Response:
    """Return the versions of a rule."""
    found = await run_in_threadpool(_rules(request).versions, request.path_params["id"])
    return respond_struct(views.versions_view(found))


async def restore_alert_rule(request: Request) -> Response:
    """Make an earlier version of a rule the current one."""
    given = await json_body(request, Restore)
    return await _restore(request, given.version, given.comment)


async def undo_alert_rule(request: Request) -> Response:
    """Undo the last change of a rule."""
    given = await json_body(request, Undo)
    return await _restore(request, None, given.comment)


async def try_alert_rule(request: Request) -> Response:
    """Evaluate a rule of the request once, without storing it."""
    given = await json_body(request, Trial)
    if given.rule is None:
        raise Problem(400, "the field rule is missing in the body; send the rule to evaluate", parameter="rule")
    return await _dry_run(request, "", given.rule)


async def try_stored_alert_rule(request: Request) -> Response:
    """Evaluate a stored rule once, or the rule of the request in its place."""
    given = await json_body(request, Trial)
    return await _dry_run(request, request.path_params["id"], given.rule)


async def backtest_alert_rule(request: Request) -> Response:
    """Evaluate a rule of the request over stored samples, without storing the rule."""
    given = await json_body(request, BacktestTrial)
    if given.rule is None:
        raise Problem(400, "the field rule is missing in the body; send the rule to evaluate", parameter="rule")
    return await _backtest(request, "", given)


async def backtest_stored_alert_rule(request: Request) -> Response:
    """Evaluate a stored rule, or the rule of the request in its place, over stored samples."""
    return await _backtest(request, request.path_params["id"], await json_body(request, BacktestTrial))


async def _restore(request: Request, number: int | None, comment: str) -> Response:
    rules, identifier = _rules(request), request.path_params["id"]
    version = await _version(request, rules, identifier)
    who = principal_of(request).name
    rule = await run_in_threadpool(rules.restore, identifier, number, version, who, comment)
    audit.record("alert_rule.restore", who=who, target=identifier, version=-1 if number is None else number)
    return Response(status_code=204) if rule is None else _respond(rule)


async def _dry_run(request: Request, identifier: str, body: RuleBody | None) -> Response:
    rules = _rules(request)

    def work(_: Services, cancellation: Cancellation) -> DryRunResult:
        rule = rules.get(identifier) if body is None else rules.preview(identifier, body)
        return views.dry_run_view(rule, rules.dry_run(rule, cancellation))

    return await respond(request, work)


async def _backtest(request: Request, identifier: str, given: BacktestTrial) -> Response:
    rules, now = _rules(request), services(request).now()
    end = now if given.end is None else _time("end", given.end)
    start = end - _DAY if given.start is None else _time("start", given.start)
    try:
        step = parse_duration(given.step) if given.step else 0
    except ValueError as error:
        raise Problem(400, f"invalid field step: {error}", parameter="step") from None

    def work(_: Services, cancellation: Cancellation) -> BacktestResult:
        rule = rules.get(identifier) if given.rule is None else rules.preview(identifier, given.rule)
        return views.backtest_view(rules.backtest(rule, start, end, step, cancellation))

    return await respond(request, work)


def _time(name: str, text: str) -> int:
    try:
        return parse_time(text)
    except Problem as error:
        raise Problem(400, f"invalid parameter {name}: {error.detail}", parameter=name) from None


def _rules(request: Request) -> AlertRules:
    found = services(request).alert_rules
    if found is None:
        raise Problem(
            409,
            "this hub has no alert rules for this client: the hub's store is another server, which evaluates the "
            "rules, or the client may see only some namespaces; use the alerts of the MonitoringTargets",
        )
    return found


def _body(given: RuleChange) -> RuleBody:
    return RuleBody(**{name: getattr(given, name) for name in RuleBody.__struct_fields__})


def _is_dry_run(request: Request) -> bool:
    text = request.query_params.get("dry_run", "false").lower()
    if text not in ("true", "false"):
        raise Problem(400, f"invalid parameter dry_run: {text[:100]!r}; write true or false", parameter="dry_run")
    return text == "true"


async def _version(request: Request, rules: AlertRules, identifier: str) -> int:
    """Return the version in If-Match, which changes need."""
    text = request.headers.get("if-match", "").strip()
    if not text:
        raise Problem(428, 'the header If-Match is missing; send the ETag of the rule that you read, for example "3"')
    if text == "*":
        versions = await run_in_threadpool(rules.versions, identifier)
        return versions[-1].number if versions else 0
    number = text.removeprefix("W/").strip('"')
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        raise Problem(400, f'invalid If-Match {text[:100]}; send the ETag of the rule, for example "3"')
    return int(number)


def _respond(rule: AlertRule, status: int = 200) -> Response:
    response = Response(msgspec.json.encode(views.rule_view(rule)), status, media_type="application/json")
    response.headers["ETag"] = f'"{rule.version}"'
    response.headers["Cache-Control"] = "private, no-cache"
    return response


_ID = Parameter("id", "Identifier of the rule. For a shipped alert, it is the alert's name.", where="path")
_DRY_RUN = Parameter(
    "dry_run",
    "Evaluate the rule without storing it, and return the result of the dry run.",
    {"enum": ["true", "false"]},
)
_IF_MATCH = Parameter("If-Match", "The ETag of the rule that the client read.", required=True, where="header")
_READ = (400, 409, 422, 503)
_BODY = (400, 409, 413, 415, 422, 503)
_CHANGE = (400, 404, 409, 412, 413, 415, 422, 428, 503)


def _operations(path: str, suffix: str) -> Iterator[Operation]:
    post = partial(Operation, tag=_TAG, methods=("POST",))
    yield Operation(
        path,
        list_alert_rules,
        "List all alert rules",
        _TAG,
        result=RuleList,
        errors=(409, 503),
        identifier=f"list{suffix}",
    )
    yield post(
        path,
        create_alert_rule,
        "Add an alert rule",
        scope="edit",
        parameters=(_DRY_RUN,),
        request=RuleChange,
        result=RuleView,
        success=201,
        alternative=(200, DryRunResult),
        errors=_BODY,
        identifier=f"create{suffix}",
    )
    yield post(
        f"{path}/dry-run",
        try_alert_rule,
        "Return the alerts that a new rule would have now, without storing the rule",
        request=Trial,
        result=DryRunResult,
        errors=_BODY,
        identifier=f"try{suffix}",
    )
    yield post(
        f"{path}/backtest",
        backtest_alert_rule,
        "Return when a new rule would have fired (backtest)",
        request=BacktestTrial,
        result=BacktestResult,
        errors=_BODY,
        identifier=f"backtest{suffix}",
    )
    one = f"{path}/{{id}}"
    yield Operation(
        one,
        get_alert_rule,
        "Show one alert rule",
        _TAG,
        parameters=(_ID,),
        result=RuleView,
        errors=(404, 409, 503),
        identifier=f"get{suffix}",
    )
    yield Operation(
        one,
        replace_alert_rule,
        "Replace an alert rule, or the settings of a shipped alert",
        _TAG,
        scope="edit",
        methods=("PUT",),
        parameters=(_ID, _DRY_RUN, _IF_MATCH),
        request=RuleChange,
        result=RuleView,
        alternative=(200, DryRunResult),
        errors=_CHANGE,
        identifier=f"replace{suffix}",
    )
    yield Operation(
        one,
        delete_alert_rule,
        "Delete an alert rule, or reset a shipped alert to its defaults",
        _TAG,
        scope="edit",
        methods=("DELETE",),
        parameters=(_ID, Parameter("comment", "Reason of the change. The versions of the rule show it."), _IF_MATCH),
        success=204,
        errors=(400, 404, 409, 412, 428, 503),
        identifier=f"delete{suffix}",
    )
    yield Operation(
        f"{one}/versions",
        list_alert_rule_versions,
        "List the versions of an alert rule, the newest first",
        _TAG,
        parameters=(_ID,),
        result=VersionList,
        errors=(404, 409, 503),
        identifier=f"versions{suffix}",
    )
    for name, endpoint, summary, body in (
        ("restore", restore_alert_rule, "Return to an earlier version of an alert rule", Restore),
        ("undo", undo_alert_rule, "Undo the last change of an alert rule", Undo),
    ):
        yield post(
            f"{one}/{name}",
            endpoint,
            summary,
            scope="edit",
            parameters=(_ID, _IF_MATCH),
            request=body,
            result=RuleView,
            alternative=(204, None),
            errors=_CHANGE,
            identifier=f"{name}{suffix}",
            description="If the rule no longer exists after the change, the response has status 204 and no body.",
        )
    yield post(
        f"{one}/dry-run",
        try_stored_alert_rule,
        "Return the alerts that a stored rule, or a changed form of it, would have now",
        parameters=(_ID,),
        request=Trial,
        result=DryRunResult,
        errors=(*_BODY, 404),
        identifier=f"try_stored{suffix}",
    )
    yield post(
        f"{one}/backtest",
        backtest_stored_alert_rule,
        "Return when a stored rule, or a changed form of it, would have fired (backtest)",
        parameters=(_ID,),
        request=BacktestTrial,
        result=BacktestResult,
        errors=(*_BODY, 404),
        identifier=f"backtest_stored{suffix}",
    )


OPERATIONS = (
    *_operations("/api/alerts/rules", "_alert_rule"),
    *_operations("/api/v1/alert-rules", "_alert_rule_v1"),
)
