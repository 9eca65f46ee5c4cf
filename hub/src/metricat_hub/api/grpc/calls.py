"""What all gRPC calls share: checks of credentials, client certificates and rate limits, and statuses of errors."""

from __future__ import annotations

import logging
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import unquote

from metricat_hub.access.authenticators import AuthenticationError
from metricat_hub.access.credentials import Credentials
from metricat_hub.api.grpc.errors import TooManyRequestsError, abort
from metricat_hub.api.rate_limits import refusal
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import grpc

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_hub.access.principal import Principal, Scope
    from metricat_hub.api.rate_limits import Group
    from metricat_hub.api.services import Services

    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]

_LOG = logging.getLogger(__name__)
_SANS = "x509_subject_alternative_name"


class InternalError(HubError):
    """A bug of the hub. The hub's log has the details."""


class Calls:
    """Authenticates and authorizes gRPC calls."""

    def __init__(self, own: Services, web_config: Authenticator | None) -> None:
        self.own = own
        self._web_config = web_config

    async def authorize(self, context: Context, scope: Scope, group: Group) -> tuple[Principal, Credentials]:
        """Authenticate and authorize a call, and count it for the rate limit; return the client and its credentials.

        Raises:
            HubError: the credentials are invalid, the client lacks the scope, or it is above its rate limit.
        """
        self._check_web_config(context)
        credentials = credentials_of(context)
        principal = await self.own.access.authorize(credentials, scope)
        if limits := self.own.rate_limits:
            decision = await limits.count(principal, group)
            if decision and not decision.is_accepted:
                raise TooManyRequestsError(refusal(principal, decision), decision.retry)
        return principal, credentials

    def _check_web_config(self, context: Context) -> None:
        """Check the rules of the web config file that are not those of TLS."""
        if self._web_config is None:
            return
        rules = self._web_config.current()
        if rules.allowed_names is not None:
            names = {name.decode() for name in context.auth_context().get(_SANS, ())}
            if rules.allowed_names.isdisjoint(names):
                raise AuthenticationError(
                    "the client certificate has none of the names in client_allowed_sans; use a certificate with one "
                    "of these names"
                )
        if rules.bucket is not None and not rules.bucket.take():
            raise TooManyRequestsError("more requests than rate_limit of the web config file allows; retry later", 1)


def credentials_of(context: Context) -> Credentials:
    """Return the credentials of a call, from its metadata `authorization`, which has the format of the HTTP header."""
    metadata = {name: value for name, value in context.invocation_metadata() or () if isinstance(value, str)}
    address = _address(context.peer())
    return Credentials(
        authorization=metadata.get("authorization", ""),
        address=address,
        # Proxies add such metadata. Web pages cannot call gRPC, so a name that resolves to 127.0.0.1 does no harm.
        is_local=_is_loopback(address) and not {"forwarded", "x-forwarded-for", "x-real-ip", "via"} & metadata.keys(),
    )


def _address(peer: str) -> str:
    """Return the IP address of a peer such as `ipv4:127.0.0.1:1234` or `ipv6:%5B::1%5D:1234`."""
    return unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]")


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


@asynccontextmanager
async def statuses(context: Context) -> AsyncIterator[None]:
    """Convert errors raised inside this context to gRPC statuses."""
    try:
        yield
    except HubError as error:
        await abort(context, error)
    except Exception:  # noqa: BLE001 -- the client gets a status, the log gets the traceback
        _LOG.exception("a gRPC call failed because of a bug of the hub; report the error")
        await abort(
            context, InternalError("internal error of the hub; see its log for the details, and report the error")
        )
