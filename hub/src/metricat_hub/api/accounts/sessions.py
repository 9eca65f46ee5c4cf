"""Endpoints of sessions: login, refresh, logout, the user's sessions and password, and the first administrator."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from metricat_hub.access import audit
from metricat_hub.access.accounts import AccountError, ConflictError, NotFoundError
from metricat_hub.access.login_throttle import ThrottledError
from metricat_hub.access.principal import SCOPES
from metricat_hub.access.sessions import SessionError
from metricat_hub.api import cookies
from metricat_hub.api.accounts.bodies import (
    Ended,
    Login,
    Me,
    NewPassword,
    Refresh,
    SessionTokens,
    SessionView,
    SessionViews,
    Setup,
    UserView,
)
from metricat_hub.api.accounts.requests import (
    accounts_of,
    address_of,
    client_of,
    json_body,
    principal_of,
    respond,
    user_view,
)
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.access.principal import Principal
    from metricat_hub.access.sessions import Tokens

_TAG = "Sessions"


async def create_session(request: Request) -> Response:
    """Log in: check name and password, and start a session."""
    login = await json_body(request, Login)
    if login.cookie:
        cookies.check_origin(request)
    try:
        address, client = address_of(request), client_of(request)
        tokens = await accounts_of(request).sessions.log_in(login.name, login.password, address, client)
    except (SessionError, ThrottledError) as error:
        reason = "throttled" if isinstance(error, ThrottledError) else "wrong name or password"
        audit.record("session.create", who=login.name, outcome="failure", reason=reason)
        raise
    audit.record("session.create", who=tokens.user.name, target=tokens.session.id)
    return tokens_response(request, tokens, cookie=login.cookie)


async def refresh_session(request: Request) -> Response:
    """Replace the refresh token, and return a new access token."""
    given = await json_body(request, Refresh)
    token = given.refresh_token
    if not token:
        token = cookies.get(request, "refresh")
        cookies.check_origin(request)
    try:
        tokens = await accounts_of(request).sessions.refresh(token)
    except SessionError as error:
        audit.record("session.refresh", who="", outcome="failure", reason=str(error))
        raise
    return tokens_response(request, tokens, cookie=not given.refresh_token)


async def delete_session(request: Request) -> Response:
    """Log out: end the session of the request."""
    principal = principal_of(request)
    if not principal.session:
        raise ConflictError("the client has no session to end; revoke an API key with: DELETE /api/v1/keys/ID")
    await accounts_of(request).sessions.end(principal.session)
    audit.record("session.delete", who=principal.name, target=principal.session)
    response = respond(Ended(principal.session))
    for cookie in ("session", "refresh"):
        cookies.put(request, response, cookie, "", 0)
    return response


async def me(request: Request) -> Response:
    """Return the client of the request."""
    found, own = principal_of(request), services(request)
    return respond(
        Me(
            name=found.name,
            kind=found.kind,
            role=found.role,
            scopes=[scope for scope in SCOPES if found.may(scope)],
            label=found.label,
            owner=found.owner or None,
            session=found.session or None,
            monitoring_targets=own.access.targets is not None,
            notifier=own.notifier,
        )
    )


async def own_sessions(request: Request) -> Response:
    """Return the sessions of the user."""
    principal = principal_of(request)
    found = accounts_of(request).sessions.of_user(_user_with_session(principal))
    return respond(
        SessionViews(
            [
                SessionView(one.id, one.client, rfc3339(one.created), rfc3339(one.expires), one.id == principal.session)
                for one in found
            ]
        )
    )


async def end_own_session(request: Request) -> Response:
    """End a session of the user."""
    principal, sessions = principal_of(request), accounts_of(request).sessions
    identifier = request.path_params["id"]
    if identifier not in {one.id for one in sessions.of_user(_user_with_session(principal))}:
        raise NotFoundError(
            f"the user has no session with the identifier {identifier[:100]!r}; list them with: GET /api/v1/me/sessions"
        )
    await sessions.end(identifier)
    audit.record("session.delete", who=principal.name, target=identifier)
    return respond(Ended(identifier))


def _user_with_session(principal: Principal) -> str:
    """Return the name of the user; raise `Problem` 403 for a key, which could otherwise lock its owner out."""
    if principal.kind != "user" or not principal.session:
        raise Problem(403, "only a user with a session may manage sessions; log in first")
    return principal.owner


async def change_password(request: Request) -> Response:
    """Change the password of the user who sends the request; all sessions of the user end."""
    given = await json_body(request, NewPassword)
    principal, accounts = principal_of(request), accounts_of(request)
    if principal.kind != "user" or not principal.session:
        raise Problem(403, "only a user with a session may change the password; log in first")
    try:
        await accounts.sessions.verify(principal.owner, given.old, address_of(request))
    except SessionError:
        audit.record("user.password", who=principal.name, target=principal.name, outcome="failure")
        raise
    change = partial(accounts.users.set_password, principal.owner, given.new)
    user = await accounts.threads.run(change)
    audit.record("user.password", who=principal.name, target=principal.name)
    return respond(user_view(user))


async def setup(request: Request) -> Response:
    """Create the first administrator."""
    given = await json_body(request, Setup)
    accounts = accounts_of(request)
    accounts.sessions.throttle.begin("setup of the first administrator", address_of(request), accounts.directory.now())
    try:
        user = await accounts.threads.run(
            partial(accounts.users.complete_setup, given.token, given.name, given.password)
        )
    except AccountError as error:
        audit.record("setup.complete", who=given.name, outcome="failure", reason=str(error))
        raise
    accounts.sessions.throttle.succeed("setup of the first administrator", address_of(request))
    audit.record("setup.complete", who=user.name, target=user.name)
    return respond(user_view(user), 201)


def tokens_response(request: Request, tokens: Tokens, *, cookie: bool) -> Response:
    """Return tokens in the body of a response, or as its cookies."""
    body = SessionTokens(
        token_type="Bearer",  # noqa: S106 -- not a secret
        access_token=None if cookie else tokens.access.text,
        expires_in=tokens.access.seconds,
        refresh_token=None if cookie else tokens.refresh,
        refresh_expires_in=tokens.refresh_seconds,
        user=user_view(tokens.user),
    )
    response = respond(body)
    if cookie:
        put_tokens(request, response, tokens)
    return response


def put_tokens(request: Request, response: Response, tokens: Tokens) -> None:
    """Set the cookies of a session in a response."""
    cookies.put(request, response, "session", tokens.access.text, tokens.access.seconds)
    cookies.put(request, response, "refresh", tokens.refresh, tokens.refresh_seconds)


_ERRORS = (400, 401, 413, 415, 429, 503)
OPERATIONS = (
    Operation(
        "/api/v1/sessions",
        create_session,
        "Log in with name and password",
        _TAG,
        scope=None,
        methods=("POST",),
        request=Login,
        result=SessionTokens,
        errors=(*_ERRORS, 403),
    ),
    Operation(
        "/api/v1/sessions/refresh",
        refresh_session,
        "Get a new access token and a new refresh token",
        _TAG,
        scope=None,
        methods=("POST",),
        request=Refresh,
        result=SessionTokens,
        errors=(400, 401, 403, 409, 413, 415),
    ),
    Operation(
        "/api/v1/sessions",
        delete_session,
        "Log out: end the session immediately",
        _TAG,
        scope="any",
        methods=("DELETE",),
        result=Ended,
        errors=(409,),
    ),
    Operation("/api/v1/me", me, "Show the client of the request", _TAG, scope="any", result=Me, errors=()),
    Operation(
        "/api/v1/me/sessions",
        own_sessions,
        "List the sessions of the user",
        _TAG,
        scope="any",
        result=SessionViews,
        errors=(),
    ),
    Operation(
        "/api/v1/me/sessions/{id}",
        end_own_session,
        "End a session of the user immediately",
        _TAG,
        scope="any",
        methods=("DELETE",),
        parameters=(Parameter("id", "Identifier of the session.", where="path"),),
        result=Ended,
        errors=(404,),
    ),
    Operation(
        "/api/v1/me/password",
        change_password,
        "Change the password of the user; all sessions of the user end",
        _TAG,
        scope="any",
        methods=("POST",),
        request=NewPassword,
        result=UserView,
        errors=(*_ERRORS, 409),
    ),
    Operation(
        "/api/v1/setup",
        setup,
        "Create the first administrator",
        _TAG,
        scope=None,
        methods=("POST",),
        request=Setup,
        result=UserView,
        success=201,
        errors=(400, 403, 409, 413, 415, 429, 503),
    ),
)
