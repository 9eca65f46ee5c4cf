"""The chain of authenticators. Each recognizes one kind of credentials, and the first that recognizes them decides.

To add a kind, write a class with `authenticate`, and put an instance into the chain in `wiring.access`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from anyio import to_thread

from metricat_hub.access.principal import ANONYMOUS, SCOPES_OF, Principal, Scope
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.access.credentials import Credentials
    from metricat_hub.access.keys import KeyStore
    from metricat_hub.access.kubernetes.target_alerts import TargetAlertClient


class AuthenticationError(HubError):
    """The credentials are missing or invalid. The message says what to do."""


class PermissionDeniedError(HubError):
    """The client lacks a scope or a right. The message names the scope or the right."""


class Authenticator(Protocol):
    """Verifies one kind of credentials."""

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return the client; None if the credentials are of another kind. It does not block the event loop.

        Raises:
            AuthenticationError: the credentials are of this kind and invalid. No other authenticator is called.
        """
        ...


class Access:
    """Authentication and authorization: finds the client of a request, and checks its scope."""

    def __init__(self, authenticators: Sequence[Authenticator], targets: TargetAlertClient | None = None) -> None:
        """Call the authenticators in this order. `targets` changes MonitoringTargets with a user's token."""
        self._authenticators = authenticators
        self.targets = targets

    async def authenticate(self, credentials: Credentials) -> Principal:
        """Return the client; raise `AuthenticationError` if no authenticator accepts the credentials."""
        for authenticator in self._authenticators:
            if found := await authenticator.authenticate(credentials):
                return found
        if credentials.is_empty:
            raise AuthenticationError("no API key; send the header: Authorization: Bearer KEY")
        raise AuthenticationError(
            "the header Authorization has no valid API key, access token or password; create a key with: metricat hub "
            "keys create"
        )

    async def authorize(self, credentials: Credentials, scope: Scope | Literal["any"]) -> Principal:
        """Return the client if it has the scope; `any`: without a check of scopes.

        Raises:
            AuthenticationError: no authenticator accepts the credentials.
            PermissionDeniedError: the client lacks the scope.
        """
        principal = await self.authenticate(credentials)
        if scope != "any":
            check(principal, scope)
        return principal


def check(principal: Principal, scope: Scope) -> None:
    """Raise `PermissionDeniedError` if the client lacks a scope."""
    if principal.may(scope):
        return
    if principal.kind == "user":
        raise PermissionDeniedError(
            f"the user {principal.name} has the role {principal.role}, which lacks the scope {scope}; "
            "ask an administrator for another role"
        )
    if principal.kind == "kubernetes":
        raise PermissionDeniedError(_missing_right(principal, scope))
    raise PermissionDeniedError(
        f"the client {principal.name} lacks the scope {scope}; "
        f"create an API key with: metricat hub keys create --scope {scope}"
    )


def _missing_right(principal: Principal, scope: Scope) -> str:
    """Return the right of Kubernetes that a user lacks for a scope."""
    if scope == "edit":
        return (
            f"the user {principal.name} may not patch monitoringtargets.metricat.dev in all namespaces, which this "
            "change needs; ask an administrator to bind the chart's ClusterRole of the hub's editors"
        )
    return f"users of Kubernetes never have the scope {scope}; use an API key of the hub with this scope"


class ApiKeys:
    """Authenticates API keys. A client sends a key as Bearer token, or as Basic password with any user name."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return the client of a valid key."""
        key = credentials.bearer or credentials.basic[1]
        found = self._keys.verify(key)
        if found is None and key.startswith("metricat_"):  # another process may have created the key a moment ago
            await to_thread.run_sync(self._keys.refresh)
            found = self._keys.verify(key)
        return found


class WebConfigUsers:
    """Authenticates the users of the web config file, who have the role `editor`."""

    def __init__(self, user: Callable[[str], str | None]) -> None:
        """`user` returns the user name of a valid Basic header, None for an invalid one. It blocks."""
        self._user = user

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return the user of a valid password."""
        if credentials.scheme != "basic":
            return None
        name = await to_thread.run_sync(self._user, credentials.authorization)  # bcrypt is slow on purpose
        return None if name is None else Principal(name, SCOPES_OF["editor"], kind="user", role="editor")


class LocalAnonymous:
    """Authenticates requests without credentials from this machine as `ANONYMOUS`."""

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return `ANONYMOUS` for a local request without credentials."""
        return ANONYMOUS if credentials.is_empty and credentials.is_local else None
