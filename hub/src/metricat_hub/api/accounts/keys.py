"""Endpoints of API keys. An administrator manages all keys, and each user the user's own keys."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool

from metricat_hub.access import audit
from metricat_hub.access.accounts import NotFoundError
from metricat_hub.api.accounts.bodies import CreatedKey, Keys, KeyView, NewKey
from metricat_hub.api.accounts.requests import accounts_of, json_body, key_view, parse_time, principal_of, respond
from metricat_hub.api.operations import Operation, Parameter
from metricat_hub.api.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from metricat_hub.access.accounts import ApiKey
    from metricat_hub.access.parts import Accounts
    from metricat_hub.access.principal import Principal

_TAG = "Keys"


async def list_keys(request: Request) -> Response:
    """Return the API keys that the client may manage."""
    accounts = accounts_of(request)
    own = _own(accounts, principal_of(request))
    keys = await run_in_threadpool(accounts.keys.all)
    return respond(Keys([key_view(key, accounts) for key in keys if own is None or key.owner == own]))


async def create_key(request: Request) -> Response:
    """Create an API key, and return its text."""
    given = await json_body(request, NewKey)
    accounts, principal = accounts_of(request), principal_of(request)
    own = _own(accounts, principal)
    if own is not None and given.owner not in (None, principal.owner):
        raise Problem(403, "only an administrator may create keys for other users; leave out `owner`")
    if lacking := [scope for scope in given.scopes if not principal.may(scope)]:
        raise Problem(403, f"the client lacks the scope {lacking[0]}, so its keys cannot have it; leave it out")
    owner = own if own is not None else await run_in_threadpool(_owner, accounts, principal, given.owner)
    expires = None if given.expires is None else parse_time(given.expires)
    create = partial(accounts.keys.create, given.label, given.scopes, expires, owner)
    text, key = await run_in_threadpool(create)
    audit.record("key.create", who=principal.name, target=key.id, scopes=" ".join(sorted(key.scopes)), label=key.label)
    return respond(CreatedKey(text, key_view(key, accounts)), 201)


async def revoke_key(request: Request) -> Response:
    """Revoke an API key."""
    accounts, principal = accounts_of(request), principal_of(request)
    identifier = request.path_params["id"]
    key = await run_in_threadpool(_revoke, accounts, identifier, _own(accounts, principal))
    audit.record("key.revoke", who=principal.name, target=key.id)
    return respond(key_view(key, accounts))


def _own(accounts: Accounts, principal: Principal) -> str | None:
    """Return the ID of the user whose keys the client manages; None: the keys of all."""
    if principal.may("admin"):
        return None
    user = accounts.directory.user(principal.owner) if principal.session else None
    if user is None:
        raise Problem(403, "only administrators and users with a session may manage keys; log in first")
    return user.id


def _owner(accounts: Accounts, principal: Principal, given: str | None) -> str:
    """Return the ID of the owner that an administrator gives; without one, of the administrator."""
    if given:
        return accounts.users.get(given).id
    user = accounts.directory.user(principal.owner) if given is None and principal.owner else None
    return user.id if user else ""


def _revoke(accounts: Accounts, identifier: str, own: str | None) -> ApiKey:
    _, key = accounts.directory.keys.get(identifier, (b"", None))
    if own is not None and (key is None or key.owner != own):  # the response does not show whether the key exists
        raise NotFoundError(
            f"the user has no key with the identifier {identifier[:100]!r}; list them with: GET /api/v1/keys"
        )
    return accounts.keys.revoke(identifier)


OPERATIONS = (
    Operation(
        "/api/v1/keys",
        list_keys,
        "List the API keys that the client may manage",
        _TAG,
        scope="any",
        result=Keys,
        errors=(),
    ),
    Operation(
        "/api/v1/keys",
        create_key,
        "Create an API key; no later response contains its text",
        _TAG,
        scope="any",
        methods=("POST",),
        request=NewKey,
        result=CreatedKey,
        success=201,
        errors=(400, 404, 413, 415),
    ),
    Operation(
        "/api/v1/keys/{id}",
        revoke_key,
        "Revoke an API key",
        _TAG,
        scope="any",
        methods=("DELETE",),
        parameters=(Parameter("id", "Identifier of the key.", where="path"),),
        result=KeyView,
        errors=(404,),
    ),
)
