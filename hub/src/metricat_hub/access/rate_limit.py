"""Rate limits of clients: requests within a sliding window of time, counted in memory or in Redis.

The hub estimates the count of the sliding window from two fixed windows. The estimate is the requests of the current
window plus a share of those of the previous one, the share that the sliding window still covers. So the hub keeps two
numbers for each client, and a client cannot send twice the limit around the end of a window. See docs/design/0034.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from metricat_hub.access.redis_connection import RedisUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from metricat_hub.access.redis_connection import RedisConnection

_MOST_CLIENTS = 10_000
"""The most clients that are counted in memory. The one that was idle for the longest time is dropped first."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A rate limit with its window. Each client has a separate count for each policy."""

    name: str
    most: int
    """Requests within the window; 0: no limit."""
    seconds: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The number of a client's requests in the current fixed window and in the one before; `now` in milliseconds."""

    current: int
    previous: int
    now: int

    @classmethod
    def rolled(cls, current: int, previous: int, index: int, now: int, window: int) -> Usage:
        """Return the counts at `now`, given the counts of the fixed window `index`; `window` is its length in ms."""
        passed = now // window - index
        if passed <= 0:
            return cls(current, previous, now)
        return cls(0, current if passed == 1 else 0, now)


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the hub accepts a request, and how many more the client can send."""

    policy: Policy
    is_accepted: bool
    remaining: int
    reset: int
    """Seconds until the current window ends."""
    retry: int = 0
    """Seconds until the next request is accepted; 0: now."""

    @classmethod
    def of(cls, policy: Policy, usage: Usage, *, is_accepted: bool) -> Decision:
        """Return the decision; `usage` includes the request if it is accepted."""
        window = policy.seconds * 1000
        left = window - usage.now % window
        used = usage.current + usage.previous * left / window
        return cls(
            policy,
            is_accepted,
            max(0, math.floor(policy.most - used + 1e-9)),
            math.ceil(left / 1000),
            0 if is_accepted else _wait(policy.most, usage, left, window),
        )


def _wait(most: int, usage: Usage, left: int, window: int) -> int:
    """Return the seconds after which one more request is within the limit."""
    if usage.current < most:  # the share of the window before must shrink
        share = (most - 1 - usage.current) / usage.previous
        return max(1, math.ceil((left - share * window) / 1000))
    share = (most - 1) / usage.current  # the current window must end, and its share shrink
    return max(1, math.ceil((left + (1 - share) * window) / 1000))


class Counter(Protocol):
    """A counter of requests, in memory or in Redis."""

    async def take(self, policy: Policy, client: str) -> Decision:
        """Count a request if it is within the limit; return the decision."""
        ...


class MemoryCounter:
    """Counts in memory, with a bound on the number of clients."""

    def __init__(self, now: Callable[[], int], most_clients: int = _MOST_CLIENTS) -> None:
        """`now` returns milliseconds."""
        self._now = now
        self._most_clients = most_clients
        self._counts: dict[tuple[str, str], tuple[int, int, int]] = {}

    def __len__(self) -> int:
        """Return the number of clients and policies that are counted."""
        return len(self._counts)

    async def take(self, policy: Policy, client: str) -> Decision:
        """Count a request if it is within the limit; return the decision."""
        window, now = policy.seconds * 1000, self._now()
        index, current, previous = self._counts.pop((policy.name, client), (now // window, 0, 0))
        usage = Usage.rolled(current, previous, index, now, window)
        left = window - now % window
        is_accepted = usage.current + usage.previous * left / window + 1 <= policy.most
        if is_accepted:
            usage = Usage(usage.current + 1, usage.previous, now)
        self._counts[policy.name, client] = (max(index, now // window), usage.current, usage.previous)
        if len(self._counts) > self._most_clients:
            del self._counts[next(iter(self._counts))]
        return Decision.of(policy, usage, is_accepted=is_accepted)


_SCRIPT = """
local window, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local index = math.floor(now / window)
local stored = redis.call('HMGET', KEYS[1], 'index', 'current', 'previous')
local before, current, previous = tonumber(stored[1]) or index, tonumber(stored[2]) or 0, tonumber(stored[3]) or 0
if index == before + 1 then
  previous, current = current, 0
elseif index > before then
  previous, current = 0, 0
else
  index = before
end
local accepted = 0
if current + previous * (window - now % window) / window + 1 <= most then
  accepted, current = 1, current + 1
end
redis.call('HSET', KEYS[1], 'index', index, 'current', current, 'previous', previous)
redis.call('PEXPIRE', KEYS[1], 2 * window)
return {accepted, current, previous, tostring(now)}
"""
"""`MemoryCounter.take` as an atomic Lua script with Redis' clock, so that several hubs share the counts."""


class RedisCounter:
    """Counts in Redis, and in memory while Redis is not available."""

    def __init__(self, redis: RedisConnection, fallback: Counter) -> None:
        self._redis = redis
        self._fallback = fallback

    async def take(self, policy: Policy, client: str) -> Decision:
        """Count a request if it is within the limit; return the decision."""
        try:
            accepted, current, previous, now = await self._redis.run_script(
                _SCRIPT, f"rate:{policy.name}:{client}", policy.seconds * 1000, policy.most
            )
        except RedisUnavailableError:
            return await self._fallback.take(policy, client)
        usage = Usage(int(current), int(previous), int(now))
        return Decision.of(policy, usage, is_accepted=bool(accepted))
