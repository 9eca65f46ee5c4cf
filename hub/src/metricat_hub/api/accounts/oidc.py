"""Endpoints of logins with an OpenID Connect provider."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, RedirectResponse

from metricat_hub.access import audit
from metricat_hub.access.authenticators import AuthenticationError
from metricat_hub.access.oidc import AUDIENCE, SECONDS, OidcLogin, Pending
from metricat_hub.access.tokens import TokenError
from metricat_hub.api import cookies
from metricat_hub.api.accounts.requests import accounts_of, client_of
from metricat_hub.api.accounts.sessions import put_tokens
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem
from metricat_hub.api.services import services
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_TAG = "Sessions"
_PAGE = """\
<!doctype html><title>Metricat</title><meta http-equiv="refresh" content="0;url=/docs"><a href="/docs">Continue</a>
"""
"""This page redirects after a login. A redirect from the provider would not send cookies with SameSite=Strict."""


async def oidc_login(request: Request) -> Response:
    """Start a login: redirect the browser to the provider."""
    url, pending = await _login_of(request).start()
    response = RedirectResponse(url, 302)
    cookies.put(request, response, "oidc", pending, SECONDS)
    return response


async def oidc_callback(request: Request) -> Response:
    """Finish a login: the provider redirects the browser here."""
    login, accounts = _login_of(request), accounts_of(request)
    try:
        try:
            pending = accounts.signer.verify(cookies.get(request, "oidc"), AUDIENCE, Pending)
        except TokenError:
            raise AuthenticationError(
                "this browser has not started a login in the last 10 minutes; start again at /api/v1/oidc/login"
            ) from None
        external, name, role = await login.finish(pending, request.query_params)
        user = await run_in_threadpool(partial(accounts.users.sign_in, external, name, role))
        if user.disabled is not None:
            raise AuthenticationError("the user is disabled; ask an administrator")
    except HubError as error:
        audit.record("session.create", who="", outcome="failure", login="oidc", reason=str(error))
        raise
    tokens = await run_in_threadpool(accounts.sessions.start, user, client_of(request))
    audit.record("session.create", who=user.name, target=tokens.session.id, login="oidc")
    response = HTMLResponse(_PAGE, headers={"Content-Security-Policy": "default-src 'none'"})
    put_tokens(request, response, tokens)
    cookies.put(request, response, "oidc", "", 0)
    return response


def _login_of(request: Request) -> OidcLogin:
    found = services(request).oidc
    if found is None:
        raise Problem(404, "OpenID Connect is not configured on this hub; set --oidc.issuer")
    return found


OPERATIONS = (
    Operation(
        "/api/v1/oidc/login",
        oidc_login,
        "Start a login: redirect to the OpenID Connect provider",
        _TAG,
        scope=None,
        media="text/html",
        success=302,
        errors=(404, 503),
    ),
    Operation(
        "/api/v1/oidc/callback",
        oidc_callback,
        "Finish a login: the OpenID Connect provider redirects here",
        _TAG,
        scope=None,
        media="text/html",
        parameters=(
            Parameter("code", "Authorization code of the provider."),
            Parameter("state", "State of the login."),
            Parameter("error", "Error code of the provider, if the login failed."),
        ),
        errors=(401, 403, 404, 409, 503),
    ),
)
