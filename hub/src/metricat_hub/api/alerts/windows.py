"""Endpoints of maintenance windows: silences that repeat on days of the week."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from metricat_hub.access import audit
from metricat_hub.api.accounts.requests import expected_version, json_body, principal_of, versioned
from metricat_hub.api.alerts.bodies import DAYS, NewWindow, Occurrence, Windows, WindowView
from metricat_hub.api.alerts.requests import author_of, duration_of, matchers_of, own_routing_of, routing_in, routing_of
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.rest.parameters import read_query
from metricat_hub.api.rest.responses import paged, respond
from metricat_hub.api.services import services
from metricat_hub.dispatch.config_file import parse_minute
from metricat_hub.dispatch.matchers import AlertMatchers
from metricat_hub.dispatch.silences import MaintenanceWindow
from metricat_hub.dispatch.time_intervals import MINUTES_OF_A_DAY, zone
from metricat_hub.model.durations import format_duration
from metricat_hub.model.ports import Matcher
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.api.services import Services
    from metricat_hub.use_cases.cancellation import Cancellation

_TAG = "Maintenance windows"
_ID = Parameter("id", "Identifier of the maintenance window.", where="path")


async def list_windows(request: Request) -> Response:
    """Return the maintenance windows."""
    page = (await read_query(request)).page()

    def work(own: Services, _: Cancellation) -> Windows:
        entries, following = paged(routing_in(own).windows(), page)
        now = own.now()
        return Windows([_view(one, now) for one in entries], following)

    return await respond(request, work)


async def get_window(request: Request) -> Response:
    """Return a maintenance window."""
    return _respond(request, await run_in_threadpool(routing_of(request).window, request.path_params["id"]))


async def create_window(request: Request) -> Response:
    """Create a maintenance window."""
    wanted = _window(request, await json_body(request, NewWindow), "")
    created = await run_in_threadpool(own_routing_of(request).add_window, wanted, services(request).now())
    _record(request, "maintenance-window.create", created)
    return _respond(request, created, 201)


async def change_window(request: Request) -> Response:
    """Replace the content of a maintenance window."""
    wanted = _window(request, await json_body(request, NewWindow), request.path_params["id"])
    version = expected_version(request, "maintenance window")
    changed = await run_in_threadpool(own_routing_of(request).change_window, wanted, version)
    _record(request, "maintenance-window.update", changed)
    return _respond(request, changed)


async def delete_window(request: Request) -> Response:
    """Remove a maintenance window."""
    version = expected_version(request, "maintenance window")
    removed = await run_in_threadpool(routing_of(request).remove_window, request.path_params["id"], version)
    _record(request, "maintenance-window.delete", removed)
    return _respond(request, removed)


def _window(request: Request, given: NewWindow, identifier: str) -> MaintenanceWindow:
    try:
        minute = parse_minute(given.start)
        zone(given.time_zone)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    if minute == MINUTES_OF_A_DAY:
        raise Problem(400, "start 24:00 is the end of the day; use 00:00 and the next day")
    return MaintenanceWindow(
        identifier,
        given.name,
        AlertMatchers(
            (*matchers_of(given.matchers).matchers, *_one_of("node", given.nodes), *_one_of("pool", given.pools))
        ),
        tuple(sorted({DAYS.index(day) for day in given.weekdays})),
        minute,
        duration_of(given.duration),
        given.time_zone,
        author_of(request),
        given.comment,
        given.enabled,
    )


def _one_of(label: str, names: Sequence[str]) -> list[Matcher]:
    return [Matcher(label, "=~", "|".join(re.escape(one) for one in names))] if names else []


def _view(one: MaintenanceWindow, now: int) -> WindowView:
    occurrence = one.occurrence(now)
    return WindowView(
        one.id,
        one.name,
        [DAYS[day] for day in one.weekdays],
        f"{one.start_minute // 60:02}:{one.start_minute % 60:02}",
        format_duration(one.duration),
        one.time_zone,
        one.matchers.texts(),
        one.author,
        one.comment,
        one.enabled,
        one.is_open(now),
        Occurrence(rfc3339(occurrence[0]), rfc3339(occurrence[1])) if occurrence else None,
        rfc3339(one.created),
        one.version,
    )


def _respond(request: Request, one: MaintenanceWindow, status: int = 200) -> Response:
    return versioned(_view(one, services(request).now()), one.version, status)


def _record(request: Request, action: str, one: MaintenanceWindow) -> None:
    audit.record(action, who=principal_of(request).name, target=one.id, matchers=str(one.matchers), name=one.name)


OPERATIONS = (
    Operation(
        "/api/v1/maintenance-windows",
        list_windows,
        "List the maintenance windows",
        _TAG,
        parameters=(
            Parameter(
                "limit", "Maximum number of entries in a page.", {"type": "integer", "minimum": 1, "maximum": 10_000}
            ),
            Parameter("cursor", "The value of `next` in the previous page; empty: the first page."),
        ),
        result=Windows,
    ),
    Operation(
        "/api/v1/maintenance-windows",
        create_window,
        "Create a maintenance window: a silence that repeats on days of the week",
        _TAG,
        scope="edit",
        methods=("POST",),
        request=NewWindow,
        result=WindowView,
        success=201,
        errors=(400, 413, 415, 503),
    ),
    Operation(
        "/api/v1/maintenance-windows/{id}",
        get_window,
        "Show one maintenance window",
        _TAG,
        parameters=(_ID,),
        result=WindowView,
        errors=(404,),
    ),
    Operation(
        "/api/v1/maintenance-windows/{id}",
        change_window,
        "Replace the content of a maintenance window",
        _TAG,
        scope="edit",
        methods=("PUT",),
        parameters=(_ID,),
        request=NewWindow,
        result=WindowView,
        errors=(400, 404, 412, 413, 415, 503),
    ),
    Operation(
        "/api/v1/maintenance-windows/{id}",
        delete_window,
        "Remove a maintenance window",
        _TAG,
        scope="edit",
        methods=("DELETE",),
        parameters=(_ID,),
        result=WindowView,
        errors=(400, 404, 412, 503),
    ),
)
