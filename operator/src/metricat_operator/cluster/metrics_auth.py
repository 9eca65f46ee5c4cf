"""Who may read the metrics: the API server says who bears a token, and what that one may do."""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from metricat_operator.cluster.client import Client
from metricat_operator.cluster.kinds import SUBJECT_ACCESS_REVIEW, TOKEN_REVIEW, Kind
from metricat_operator.facts.model import Manifest

REMEMBERED_SECONDS = 60.0
_MOST = 64

UNKNOWN, FORBIDDEN, ALLOWED = 401, 403, 200


@dataclass
class MetricsAuthorizer:
    """Answers, each kept for a minute, to: may the bearer of this token `get` this path?

    One question is asked at a time, and few answers are kept, so that a flood of made-up tokens stays ours alone.
    """

    client: Client
    path: str
    clock: Callable[[], float] = time.monotonic
    _answers: dict[bytes, tuple[float, int]] = field(default_factory=dict)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def authorize(self, token: str) -> int:
        """As an HTTP status: 200, 401 for a token that the API server does not know, 403 for one without the right.

        Raises:
            ApiError: the API server could not be asked.
        """
        key = hashlib.sha256(token.encode()).digest()
        async with self._asking:
            now = self.clock()
            until, answer = self._answers.get(key, (now, UNKNOWN))
            if until <= now:
                answer = await self._ask(token)
                if len(self._answers) >= _MOST:
                    del self._answers[next(iter(self._answers))]
                self._answers[key] = (now + REMEMBERED_SECONDS, answer)
            return answer

    async def _ask(self, token: str) -> int:
        status = await self._review(TOKEN_REVIEW, {"token": token})
        if not status.get("authenticated"):
            return UNKNOWN
        user = status["user"]
        subject = {
            "user": user["username"],
            **{key: user[key] for key in ("groups", "uid", "extra") if key in user},
            "nonResourceAttributes": {"path": self.path, "verb": "get"},
        }
        status = await self._review(SUBJECT_ACCESS_REVIEW, subject)
        return ALLOWED if status.get("allowed") else FORBIDDEN

    async def _review(self, kind: Kind, spec: Manifest) -> Manifest:
        answer = await self.client.create(kind, {"apiVersion": kind.api_version, "kind": kind.name, "spec": spec})
        status: Manifest = answer.get("status", {})
        return status
