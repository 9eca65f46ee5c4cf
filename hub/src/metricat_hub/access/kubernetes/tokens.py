"""The authenticator of Kubernetes' Bearer tokens."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any, Protocol

from anyio import CapacityLimiter, to_thread

from metricat_hub.access.authenticators import AuthenticationError, PermissionDeniedError
from metricat_hub.access.principal import Principal
from metricat_hub.model.errors import AccessUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from metricat_hub.access.credentials import Credentials

    Decision = Principal | AuthenticationError | PermissionDeniedError

CACHE_SECONDS = 10.0
"""Seconds for which a decision is cached. The revocation of a token or a right takes effect within this time."""
MOST_CACHED = 1_000
MOST_PENDING = 64
"""Tokens that are reviewed at the same time. Further tokens get 503, so that they cannot overload the API server."""
_CONCURRENCY = 4
_MOST_LENGTH = 16_384
_OWN_PREFIX = "metricat_"
"""The prefix of the hub's own API keys, which the hub does not send to the API server."""


class TokenReviewer(Protocol):
    """Access reviews of tokens and users; `reviews.Reviews` implements it."""

    def user(self, token: str) -> Mapping[str, Any] | None:
        """Return the user of a token; None for an invalid token."""
        ...

    def namespaces(self, user: Mapping[str, Any]) -> frozenset[str] | None:
        """Return the namespaces in which a user may get MonitoringTargets; None: all namespaces."""
        ...

    def may_read_metrics(self, user: Mapping[str, Any]) -> bool:
        """Return whether RBAC lets a user `get` the path `/metrics`."""
        ...

    def may_report_alerts(self, user: Mapping[str, Any]) -> bool:
        """Return whether RBAC lets a user `post` to the path of Alertmanager's webhook."""
        ...

    def may_edit(self, user: Mapping[str, Any]) -> bool:
        """Return whether a user may patch the MonitoringTargets of all namespaces."""
        ...


class KubernetesTokens:
    """Authenticates tokens of Kubernetes users and ServiceAccounts, each limited to the namespaces that it may see."""

    def __init__(self, reviews: TokenReviewer, clock: Callable[[], float] = time.monotonic) -> None:
        self._reviews = reviews
        self._clock = clock
        self._limiter: CapacityLimiter | None = None
        self._decisions: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()
        self._pending: dict[bytes, asyncio.Task[Decision]] = {}

    async def authenticate(self, credentials: Credentials) -> Principal | None:
        """Return the user of a valid token.

        Raises:
            AuthenticationError: the API server rejects the token.
            PermissionDeniedError: the user may neither read a MonitoringTarget or `/metrics`, nor report alerts.
            AccessUnavailableError: the API server cannot be queried.
        """
        token = credentials.bearer
        if not token or token.startswith(_OWN_PREFIX):
            return None
        if len(token) > _MOST_LENGTH:
            raise AuthenticationError(
                f"the Bearer token has {len(token)} characters, but at most {_MOST_LENGTH} are allowed; "
                "send an API key or a token of the cluster"
            )
        key = hashlib.sha256(token.encode()).digest()
        until, decision = self._decisions.get(key, (0.0, None))
        if decision is None or until <= self._clock():
            decision = await self._decision(key, token)
        if isinstance(decision, Principal):
            return decision
        raise type(decision)(str(decision))  # a new one: each raise adds a traceback

    async def _decision(self, key: bytes, token: str) -> Decision:
        """Return the decision about a token. Requests with the same token share one review."""
        task = self._pending.get(key)
        if task is None:
            if len(self._pending) >= MOST_PENDING:
                raise AccessUnavailableError(f"the hub already checks {MOST_PENDING} tokens. Retry later.")
            task = self._pending[key] = asyncio.create_task(self._review(key, token))
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)  # a client that leaves does not end the review for the others

    def _finish(self, key: bytes, done: asyncio.Task[Decision]) -> None:
        self._pending.pop(key, None)
        if not done.cancelled():
            done.exception()  # asyncio logs an error that nothing reads: all clients may have left

    async def _review(self, key: bytes, token: str) -> Decision:
        self._limiter = self._limiter or CapacityLimiter(_CONCURRENCY)
        decision = await to_thread.run_sync(self._decide, token, limiter=self._limiter)
        self._decisions[key] = (self._clock() + CACHE_SECONDS, decision)
        self._decisions.move_to_end(key)
        while len(self._decisions) > MOST_CACHED:
            self._decisions.popitem(last=False)
        return decision

    def _decide(self, token: str) -> Decision:
        user = self._reviews.user(token)
        if user is None:
            return AuthenticationError(
                "the Bearer token is neither an API key nor a valid token of this cluster; "
                "create one with: kubectl create token SERVICEACCOUNT"
            )
        name = str(user["username"])
        namespaces = self._reviews.namespaces(user)
        if namespaces is None and self._reviews.may_edit(user):
            return Principal(name, frozenset(("read", "edit")), kind="kubernetes", role="editor")
        reports_alerts = not namespaces and namespaces is not None and self._reviews.may_report_alerts(user)
        if namespaces is not None and not (namespaces or reports_alerts or self._reviews.may_read_metrics(user)):
            return PermissionDeniedError(
                f"the user {name} may not get monitoringtargets.metricat.dev in any namespace that has one; "
                "ask an administrator to bind the chart's ClusterRole of the hub's viewers"
            )
        return Principal(
            name,
            frozenset(("read",)),
            kind="kubernetes",
            role="viewer",
            namespaces=namespaces,
            reports_alerts=reports_alerts,
        )
