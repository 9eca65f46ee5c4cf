"""Rate limits of requests: which limit applies to a request, and the headers of the response.

The headers are those of the IETF draft "RateLimit header fields for HTTP": `RateLimit` and `RateLimit-Policy` of the
current draft, and `RateLimit-Limit`, `-Remaining` and `-Reset` of the earlier ones, which more clients read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.api.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from metricat_hub.access.principal import Principal
    from metricat_hub.access.rate_limit import Counter, Decision, Policy

Group: TypeAlias = Literal["api", "writes", "scrapes"]
"""Groups of endpoints, each with its own limit. In `api`, API keys and users have different limits."""
STATE = "rate_limit"
"""The key under which the state of a request has the decision."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The rate limits, and the counter of requests."""

    counter: Counter
    keys: Policy
    users: Policy
    writes: Policy
    scrapes: Policy

    async def count(self, principal: Principal, group: Group) -> Decision | None:
        """Count a request of a client; return the decision, or None if no limit applies."""
        policy = self._policy(principal, group)
        return await self.counter.take(policy, principal.identity) if policy.most else None

    async def admit(self, connection: HTTPConnection, principal: Principal, group: Group) -> None:
        """Count a request of a client; raise `Problem` 429 above the limit."""
        decision = await self.count(principal, group)
        if decision is None:
            return
        connection.scope.setdefault("state", {})[STATE] = decision
        if not decision.is_accepted:
            raise Problem(429, refusal(principal, decision), {"Retry-After": str(decision.retry)})

    def _policy(self, principal: Principal, group: Group) -> Policy:
        if group == "writes":
            return self.writes
        if group == "scrapes":
            return self.scrapes
        return self.keys if principal.kind == "key" else self.users


def refusal(principal: Principal, decision: Decision) -> str:
    """Return the error message for a request above the limit."""
    policy = decision.policy
    return (
        f"the client {principal.name} has sent {policy.most} requests within {_window(policy)}, the limit "
        f"rate-limit.{policy.name}. Retry after {decision.retry} seconds."
    )


def headers(decision: Decision) -> list[tuple[bytes, bytes]]:
    """Return the response headers for a decision."""
    policy = decision.policy
    pairs = (
        ("ratelimit-policy", f'"{policy.name}";q={policy.most};w={policy.seconds}'),
        ("ratelimit", f'"{policy.name}";r={decision.remaining};t={decision.reset}'),
        ("ratelimit-limit", str(policy.most)),
        ("ratelimit-remaining", str(decision.remaining)),
        ("ratelimit-reset", str(decision.reset)),
    )
    return [(name.encode(), value.encode()) for name, value in pairs]


def _window(policy: Policy) -> str:
    return {60: "a minute", 3_600: "an hour"}.get(policy.seconds, f"{policy.seconds} seconds")
