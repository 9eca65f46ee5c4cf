"""Endpoints of users, for administrators."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from metricat_hub.access import audit
from metricat_hub.access.accounts import AccountError
from metricat_hub.api.accounts.bodies import NewUser, UserChange, Users, UserView
from metricat_hub.api.accounts.requests import (
    accounts_of,
    expected_version,
    json_body,
    principal_of,
    respond,
    user_view,
    versioned,
)
from metricat_hub.api.operations import Operation, Parameter

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.access.accounts import User

_TAG = "Users"
_NAME = Parameter("name", "Name of the user.", where="path")


async def list_users(request: Request) -> Response:
    """Return all users."""
    users = await run_in_threadpool(accounts_of(request).users.all)
    return respond(Users([user_view(user) for user in users]))


async def create_user(request: Request) -> Response:
    """Add a user."""
    given = await json_body(request, NewUser)
    accounts = accounts_of(request)
    user = await accounts.threads.run(partial(accounts.users.add, given.name, given.role, given.password))
    audit.record("user.create", who=principal_of(request).name, target=user.name, role=user.role)
    return _respond(user, 201)


async def get_user(request: Request) -> Response:
    """Return a user."""
    return _respond(await run_in_threadpool(accounts_of(request).users.get, request.path_params["name"]))


async def change_user(request: Request) -> Response:
    """Change a user."""
    given = await json_body(request, UserChange)
    name, accounts = request.path_params["name"], accounts_of(request)
    changes = {key: value for key in given.__struct_fields__ if (value := getattr(given, key)) is not None}
    details = {key: value for key, value in changes.items() if key != "password"} | (
        {"new_login": True} if given.password is not None else {}
    )
    who = principal_of(request).name
    try:
        user = await accounts.threads.run(
            partial(accounts.users.change, name, version=expected_version(request, "user"), **changes)
        )
    except AccountError as error:
        audit.record("user.update", who=who, target=name, outcome="failure", reason=str(error), **details)
        raise
    audit.record("user.update", who=who, target=user.name, **details)
    return _respond(user)


async def delete_user(request: Request) -> Response:
    """Remove a user."""
    accounts = accounts_of(request)
    user = await run_in_threadpool(accounts.users.remove, request.path_params["name"])
    audit.record("user.delete", who=principal_of(request).name, target=user.name)
    return _respond(user)


def _respond(user: User, status: int = 200) -> Response:
    return versioned(user_view(user), user.version, status)


_CHANGE = (400, 404, 409, 412, 413, 415, 503)
OPERATIONS = (
    Operation("/api/v1/users", list_users, "List all users", _TAG, scope="admin", result=Users, errors=()),
    Operation(
        "/api/v1/users",
        create_user,
        "Add a user",
        _TAG,
        scope="admin",
        methods=("POST",),
        request=NewUser,
        result=UserView,
        success=201,
        errors=(400, 409, 413, 415, 503),
    ),
    Operation(
        "/api/v1/users/{name}",
        get_user,
        "Show one user",
        _TAG,
        scope="admin",
        parameters=(_NAME,),
        result=UserView,
        errors=(404,),
    ),
    Operation(
        "/api/v1/users/{name}",
        change_user,
        "Change role, state or password of a user",
        _TAG,
        scope="admin",
        methods=("PATCH",),
        parameters=(_NAME,),
        request=UserChange,
        result=UserView,
        errors=_CHANGE,
    ),
    Operation(
        "/api/v1/users/{name}",
        delete_user,
        "Remove a user, end its sessions, and revoke its keys",
        _TAG,
        scope="admin",
        methods=("DELETE",),
        parameters=(_NAME,),
        result=UserView,
        errors=(404, 409),
    ),
)
