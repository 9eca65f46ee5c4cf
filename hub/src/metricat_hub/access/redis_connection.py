"""The connection to Redis, which hubs share for rate limits and cached responses. The hub works without Redis.

The package redis needs 4.4 MiB, so it is imported only if `redis.url` is set.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from metricat_hub.access.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 0.5
_RETRY_SECONDS = 5.0
"""Seconds between two attempts while Redis does not respond, so that most requests do not wait for it."""
_MOST_CONNECTIONS = 64


class RedisUnavailableError(Exception):
    """Redis does not respond."""


class RedisConnection:
    """Keys and scripts in Redis. Every error of Redis raises `RedisUnavailableError`."""

    def __init__(self, url: str, prefix: str = "metricat:", clock: Callable[[], float] = time.monotonic) -> None:
        """Prepare the connection, which the first use opens. Every key begins with `prefix`."""
        from redis.asyncio import Redis  # noqa: PLC0415 -- 4.4 MiB
        from redis.asyncio.retry import Retry  # noqa: PLC0415 -- 4.4 MiB
        from redis.backoff import NoBackoff  # noqa: PLC0415 -- 4.4 MiB
        from redis.exceptions import RedisError  # noqa: PLC0415 -- 4.4 MiB

        self._errors = (RedisError, OSError, TimeoutError)
        self._redis: Any = Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            max_connections=_MOST_CONNECTIONS,
            retry=Retry(NoBackoff(), 1),
        )
        self._prefix = prefix
        self._shown = redacted(url).partition("?")[0]
        self._clock = clock
        self._scripts: dict[str, Any] = {}
        self._next = 0.0
        self.problem = ""
        """Why the hub does not use Redis now; empty: the hub uses it."""

    async def run_script(self, text: str, key: str, *arguments: int) -> Any:
        """Return the result of a Lua script with one key."""
        script = self._scripts.get(text)
        if script is None:
            script = self._scripts[text] = self._redis.register_script(text)
        return await self._use(lambda: script(keys=[self._prefix + key], args=list(arguments)))

    async def get(self, key: str) -> bytes | None:
        """Return the value of a key; None if the key does not exist."""
        found: bytes | None = await self._use(lambda: self._redis.get(self._prefix + key))
        return found

    async def put(self, key: str, value: bytes, milliseconds: int) -> None:
        """Set the value of a key, which expires after the given milliseconds."""
        await self._use(lambda: self._redis.set(self._prefix + key, value, px=milliseconds))

    async def close(self) -> None:
        """Close the connections."""
        await self._redis.aclose()

    async def _use(self, work: Callable[[], Awaitable[T]]) -> T:
        if self._next > self._clock():
            raise RedisUnavailableError
        if self.problem:
            self._next = self._clock() + _RETRY_SECONDS  # the others do not wait for this attempt
        try:
            found = await work()
        except self._errors as error:
            self._next = self._clock() + _RETRY_SECONDS
            is_first = not self.problem
            self.problem = (
                f"{self._shown} does not respond: {redacted(str(error))}. Until it does, this hub counts requests and "
                "caches answers in its own memory. Check redis.url and the Redis server."
            )
            if is_first:
                _LOG.warning("%s", self.problem)
            raise RedisUnavailableError from error
        if self.problem:
            _LOG.warning("%s responds again", self._shown)
        self.problem, self._next = "", 0.0
        return found
