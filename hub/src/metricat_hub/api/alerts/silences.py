"""Endpoints of silences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from metricat_hub.access import audit
from metricat_hub.api.accounts.requests import expected_version, json_body, principal_of, versioned
from metricat_hub.api.alerts.bodies import NewSilence, Silences, SilenceView
from metricat_hub.api.alerts.requests import author_of, end_of, matchers_of, silences_in, silences_of, time_of
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.rest.parameters import read_query
from metricat_hub.api.rest.responses import paged, respond
from metricat_hub.api.services import services
from metricat_hub.dispatch.silences import Silence
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

_TAG = "Silences"
_STATES = ("active", "pending", "expired")
_ID = Parameter("id", "Identifier of the silence.", where="path")


async def list_silences(request: Request) -> Response:
    """Return the silences."""
    query = await read_query(request)
    state, page = query.choice("state", _STATES), query.page()

    def work(own: Services, _: Cancellation) -> Silences:
        now = own.now()
        found = [one for one in silences_in(own).silences() if state in ("", one.state(now))]
        entries, following = paged(found, page)
        return Silences([_view(one, now) for one in entries], following)

    return await respond(request, work)


async def get_silence(request: Request) -> Response:
    """Return a silence."""
    found = await run_in_threadpool(silences_of(request).silence, request.path_params["id"])
    return _respond(request, found)


async def create_silence(request: Request) -> Response:
    """Create a silence."""
    given = await json_body(request, NewSilence)
    now = services(request).now()
    wanted = _silence(request, given, "", now)
    created = await run_in_threadpool(silences_of(request).add_silence, wanted, now)
    _record(request, "silence.create", created)
    return _respond(request, created, 201)


async def change_silence(request: Request) -> Response:
    """Replace the content of a silence."""
    given = await json_body(request, NewSilence)
    now = services(request).now()
    wanted = _silence(request, given, request.path_params["id"], now)
    version = expected_version(request, "silence")
    changed = await run_in_threadpool(silences_of(request).change_silence, wanted, now, version)
    _record(request, "silence.update", changed)
    return _respond(request, changed)


async def expire_silence(request: Request) -> Response:
    """End a silence now."""
    now, version = services(request).now(), expected_version(request, "silence")
    ended = await run_in_threadpool(silences_of(request).expire_silence, request.path_params["id"], now, version)
    _record(request, "silence.expire", ended)
    return _respond(request, ended)


def _silence(request: Request, given: NewSilence, identifier: str, now: int) -> Silence:
    """Return the silence of a request. A new silence does not start in the past."""
    starts = now if given.starts is None else time_of(given.starts)
    ends = end_of(given.ends, given.duration, starts)
    if ends is None:
        raise Problem(400, "the fields ends and duration are both missing; set one of them")
    if not identifier:
        starts = max(starts, now)
    return Silence(identifier, matchers_of(given.matchers), starts, ends, author_of(request), given.comment)


def _view(one: Silence, now: int) -> SilenceView:
    return SilenceView(
        one.id,
        one.matchers.texts(),
        rfc3339(one.starts),
        rfc3339(one.ends),
        one.state(now),
        one.author,
        one.comment,
        rfc3339(one.created),
        one.version,
    )


def _respond(request: Request, one: Silence, status: int = 200) -> Response:
    return versioned(_view(one, services(request).now()), one.version, status)


def _record(request: Request, action: str, one: Silence) -> None:
    audit.record(
        action, who=principal_of(request).name, target=one.id, matchers=str(one.matchers), ends=rfc3339(one.ends)
    )


OPERATIONS = (
    Operation(
        "/api/v1/silences",
        list_silences,
        "List the silences",
        _TAG,
        parameters=(
            Parameter("state", "Return only silences in this state.", {"type": "string", "enum": list(_STATES)}),
            Parameter(
                "limit", "Maximum number of entries in a page.", {"type": "integer", "minimum": 1, "maximum": 10_000}
            ),
            Parameter("cursor", "The value of `next` in the previous page; empty: the first page."),
        ),
        result=Silences,
        errors=(400, 409, 503),
    ),
    Operation(
        "/api/v1/silences",
        create_silence,
        "Create a silence: the hub sends no notifications about matching alerts until its end",
        _TAG,
        scope="edit",
        methods=("POST",),
        request=NewSilence,
        result=SilenceView,
        success=201,
        errors=(400, 409, 413, 415, 503),
    ),
    Operation(
        "/api/v1/silences/{id}",
        get_silence,
        "Show one silence",
        _TAG,
        parameters=(_ID,),
        result=SilenceView,
        errors=(404, 409),
    ),
    Operation(
        "/api/v1/silences/{id}",
        change_silence,
        "Replace the content of a silence",
        _TAG,
        scope="edit",
        methods=("PUT",),
        parameters=(_ID,),
        request=NewSilence,
        result=SilenceView,
        errors=(400, 404, 409, 412, 413, 415, 503),
    ),
    Operation(
        "/api/v1/silences/{id}",
        expire_silence,
        "End a silence now; it stays in the list for 5 days",
        _TAG,
        scope="edit",
        methods=("DELETE",),
        parameters=(_ID,),
        result=SilenceView,
        errors=(400, 404, 409, 412, 503),
    ),
)
