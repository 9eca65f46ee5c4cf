"""Authentication and authorization of scrapes of the operator, by the API server's reviews of the bearer token."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from metricat_operator.cluster.client import Client
from metricat_operator.cluster.kinds import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW, Kind
from metricat_operator.facts.model import Manifest

CACHE_SECONDS = 60.0
_MAX_CACHED = 64

UNAUTHENTICATED, FORBIDDEN, ALLOWED = 401, 403, 200


@dataclass
class MetricsAuthorizer:
    """Decides whether the bearer of a token may `get` the path; each decision is cached for a minute.

    The class reviews one token at a time and caches few decisions, so that a flood of invalid tokens cannot overload
    the API server.
    """

    client: Client
    path: str
    clock: Callable[[], float] = time.monotonic
    _decisions: dict[bytes, tuple[float, int]] = field(default_factory=dict)
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def authorize(self, token: str) -> int:
        """Return an HTTP status: 200, 401 for a token that the API server rejects, 403 for one without the permission.

        Raises:
            ApiError: the API server cannot be queried.
        """
        key = hashlib.sha256(token.encode()).digest()
        async with self._lock:
            now = self.clock()
            until, decision = self._decisions.get(key, (now, UNAUTHENTICATED))
            if until <= now:
                decision = await self._review_token(token)
                if len(self._decisions) >= _MAX_CACHED:
                    del self._decisions[next(iter(self._decisions))]
                self._decisions[key] = (now + CACHE_SECONDS, decision)
            return decision

    async def _review_token(self, token: str) -> int:
        status = await self._review(TOKEN_REVIEW, {"token": token})
        if not status.get("authenticated"):
            return UNAUTHENTICATED
        user = status["user"]
        subject = {
            "user": user["username"],
            **{key: user[key] for key in ("groups", "uid", "extra") if key in user},
            "nonResourceAttributes": {"path": self.path, "verb": "get"},
        }
        status = await self._review(SUBJECT_ACCESS_REVIEW, subject)
        return ALLOWED if status.get("allowed") else FORBIDDEN

    async def _review(self, kind: Kind, spec: Manifest) -> Manifest:
        decision = await self.client.create(kind, {"apiVersion": kind.api_version, "kind": kind.name, "spec": spec})
        status: Manifest = decision.get("status", {})
        return status
