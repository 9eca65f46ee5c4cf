"""Authorization of scrapes: decisions of the API server's reviews are cached for a minute, and few are kept."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

from metricat_operator.cluster.kinds import TOKEN_REVIEW, Kind
from metricat_operator.cluster.metrics_auth import ALLOWED, CACHE_SECONDS, UNAUTHENTICATED, MetricsAuthorizer
from metricat_operator.facts.model import Manifest

if TYPE_CHECKING:
    from metricat_operator.cluster.client import Client


class Reviews:
    """The API server's side of the reviews: accepts the token `good` and counts the token reviews."""

    def __init__(self) -> None:
        self.tokens: list[str] = []

    async def create(self, kind: Kind, manifest: Manifest) -> dict[str, Any]:
        if kind is not TOKEN_REVIEW:
            return {"status": {"allowed": True}}
        self.tokens.append(manifest["spec"]["token"])
        return {"status": {"authenticated": manifest["spec"]["token"] == "good", "user": {"username": "prometheus"}}}


def test_decision_is_cached_for_a_minute() -> None:
    reviews, now = Reviews(), [0.0]
    authorizer = MetricsAuthorizer(cast("Client", reviews), "/metrics", clock=lambda: now[0])

    async def run() -> None:
        assert await authorizer.authorize("good") == ALLOWED
        assert await authorizer.authorize("bad") == UNAUTHENTICATED
        now[0] = CACHE_SECONDS - 0.1
        assert await authorizer.authorize("good") == ALLOWED
        assert await authorizer.authorize("bad") == UNAUTHENTICATED
        assert reviews.tokens == ["good", "bad"]
        now[0] = CACHE_SECONDS
        assert await authorizer.authorize("good") == ALLOWED
        assert reviews.tokens == ["good", "bad", "good"]

    asyncio.run(run())


def test_flood_of_invalid_tokens_keeps_few_decisions() -> None:
    reviews = Reviews()
    authorizer = MetricsAuthorizer(cast("Client", reviews), "/metrics", clock=lambda: 0.0)

    async def run() -> None:
        for number in range(200):
            await authorizer.authorize(f"invalid-{number}")
        await authorizer.authorize("invalid-199")
        await authorizer.authorize("invalid-0")
        assert len(reviews.tokens) == 201

    asyncio.run(run())
