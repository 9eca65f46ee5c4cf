"""Responses to queries without an evaluation: from a cache, or 304 if the client already has the response.

The cache has responses about finished windows, which are time ranges that ended more than half a minute ago. Such a
response changes only through late samples, which the hub detects, retention and downsampling. The cache never has
responses about the present. See docs/design/0034.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec
from starlette.responses import Response

from metricat_hub.access.redis_connection import RedisUnavailableError
from metricat_hub.api.compression import LEAST, accepted, compress, decompress
from metricat_hub.api.single_flight import SingleFlight
from metricat_hub.use_cases.late_samples import SETTLED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from metricat_hub.access.redis_connection import RedisConnection
    from metricat_hub.use_cases.late_samples import LateSamples

_HOUR = 3_600_000
_RECENT = 60_000
"""Milliseconds for which a response about the last hour is cached if other programs also write to the store."""
_PER_ENTRY = 300
"""Bytes of memory for an entry in addition to its body."""
_KEPT_HEADERS = ("content-type", "x-metricat-tier")


@dataclass(frozen=True, slots=True)
class Window:
    """What determines the response to a request: the parameters, and the time range of the samples."""

    key: tuple[str | int, ...]
    """Everything that determines the response, except the client."""
    end: int | None = None
    """The time of the newest sample that the response can depend on, in milliseconds; None: the present."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A cached response."""

    tag: str
    made: int
    """When the response was evaluated, in milliseconds since 1970."""
    batch: int
    """How many batches of samples the hub had received before the evaluation."""
    headers: dict[str, str]
    is_compressed: bool
    body: bytes


class Cache(Protocol):
    """A cache of responses."""

    async def get(self, key: str) -> Entry | None:
        """Return the cached response; None if the cache has none, or only an expired one."""
        ...

    async def put(self, key: str, entry: Entry, milliseconds: int) -> None:
        """Cache a response for the given milliseconds, unless it is too large for the cache."""
        ...


class MemoryCache:
    """A cache with a limit in bytes. It drops the least recently used responses first."""

    def __init__(self, most_bytes: int, now: Callable[[], int]) -> None:
        """`now` returns milliseconds."""
        self.bytes = 0
        self._most_bytes = most_bytes
        self._now = now
        self._entries: dict[str, tuple[int, int, Entry]] = {}

    async def get(self, key: str) -> Entry | None:
        """Return the cached response; None if the cache has none, or only an expired one."""
        found = self._entries.pop(key, None)
        if found is None:
            return None
        if found[0] <= self._now():
            self.bytes -= found[1]
            return None
        self._entries[key] = found
        return found[2]

    async def put(self, key: str, entry: Entry, milliseconds: int) -> None:
        """Cache a response for the given milliseconds, unless it needs more than a quarter of the cache."""
        size = len(entry.body) + _PER_ENTRY
        if size > self._most_bytes // 4:
            return
        if before := self._entries.pop(key, None):
            self.bytes -= before[1]
        self._entries[key] = (self._now() + milliseconds, size, entry)
        self.bytes += size
        while self.bytes > self._most_bytes:
            _, dropped, _ = self._entries.pop(next(iter(self._entries)))
            self.bytes -= dropped


class RedisCache:
    """A cache in Redis. While Redis does not respond, it uses the cache `fallback`."""

    def __init__(self, redis: RedisConnection, fallback: Cache, namespace: str, most_bytes: int = 4 << 20) -> None:
        """Create the cache. It does not keep responses with more than `most_bytes` bytes.

        Hubs with the same `namespace` share responses, so only hubs with the same samples may have the same one.
        """
        self._redis = redis
        self._fallback = fallback
        self._prefix = f"answer:{namespace}:"
        self._most_bytes = most_bytes
        self._decode = msgspec.msgpack.Decoder(Entry).decode

    async def get(self, key: str) -> Entry | None:
        """Return the cached response; None if the cache has none, or only an expired one."""
        try:
            found = await self._redis.get(self._prefix + key)
        except RedisUnavailableError:
            return await self._fallback.get(key)
        try:
            return None if found is None else self._decode(found)
        except msgspec.DecodeError:  # of another release
            return None

    async def put(self, key: str, entry: Entry, milliseconds: int) -> None:
        """Cache a response for the given milliseconds, unless its body is larger than the limit."""
        if len(entry.body) > self._most_bytes:
            return
        try:
            await self._redis.put(self._prefix + key, msgspec.msgpack.encode(entry), milliseconds)
        except RedisUnavailableError:
            await self._fallback.put(key, entry, milliseconds)


class Answers:
    """Responds to queries from the cache or by evaluation, and counts hits and misses."""

    def __init__(
        self,
        cache: Cache | None,
        now: Callable[[], int],
        milliseconds: int,
        late: LateSamples | None,
        interval: int = 10_000,
    ) -> None:
        """Create the object.

        Args:
            cache: the cache of responses; None: do not cache.
            now: returns milliseconds since 1970.
            milliseconds: how long to cache a response.
            late: detects late samples; None: other programs also write to the store, so it cannot.
            interval: the usual time between two samples of a series, in milliseconds.
        """
        self.hits = self.misses = self.not_modified = 0
        self._cache = cache
        self._now = now
        self._milliseconds = milliseconds
        self._late = late
        self._interval = interval
        self._flights = SingleFlight()

    async def respond(self, request: Request, window: Window, evaluate: Callable[[], Awaitable[Response]]) -> Response:
        """Return the cached response, or 304 if the client already has it; otherwise the result of `evaluate`.

        Equal requests share one evaluation: those that arrive during it get its response.
        """
        now = self._now()
        principal = request.scope.get("state", {}).get("principal")
        key = _digest(principal.visibility if principal else "-", request.url.path, window.end or 0, *window.key)
        known = known_tags(request)
        if window.end is None or window.end > now - SETTLED:
            return await self._newest(key, known, now, evaluate)
        if self._cache is None:
            return await self._flights.run(key, evaluate)
        entry = await self._cache.get(key)
        if entry and not (self._late and self._late.reached(entry.batch, window.end)):
            self.hits += 1
            return await self._from_entry(request, entry, known, now)
        self.misses += 1
        batch, end = self._late.count if self._late else 0, window.end

        async def evaluated() -> Response:
            response = await evaluate()
            if response.status_code == 200:
                await self._keep(key, response, batch, now, end)
            return response

        return await self._flights.run(key, evaluated)

    async def _newest(
        self, key: str, known: frozenset[str], now: int, evaluate: Callable[[], Awaitable[Response]]
    ) -> Response:
        """Return 304 if no sample has arrived since the client's answer and it is younger than an interval."""
        if self._late is None:
            return await self._flights.run(key, evaluate)
        tag = tag_of(_digest(key, self._late.count, now // self._interval))
        if tag in known:
            self.not_modified += 1
            return not_modified(tag)
        response = await self._flights.run(key, evaluate)
        if response.status_code == 200:
            response.headers["ETag"] = tag
            response.headers["Cache-Control"] = "private, no-cache"
        return response

    async def _from_entry(self, request: Request, entry: Entry, known: frozenset[str], now: int) -> Response:
        if entry.tag in known:
            self.not_modified += 1
            return not_modified(entry.tag)
        age = max(0, now - entry.made) // 1000
        headers = {**entry.headers, "ETag": entry.tag, "Cache-Control": "private, no-cache", "Age": str(age)}
        body = entry.body
        if entry.is_compressed:
            headers["Vary"] = "Accept-Encoding"
            if "gzip" in accepted(request.scope):
                headers["Content-Encoding"] = "gzip"
            else:
                body = await decompress(body)
        return Response(body, headers=headers)

    async def _keep(self, key: str, response: Response, batch: int, now: int, end: int) -> None:
        assert self._cache is not None  # noqa: S101 -- the caller has checked it
        body = bytes(response.body)
        tag = response.headers.get("etag") or tag_of(_digest(body))
        response.headers["ETag"] = tag
        response.headers["Cache-Control"] = "private, no-cache"
        kept = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
        is_compressed = len(body) >= LEAST
        packed = await compress(body, "gzip") if is_compressed else body
        entry = Entry(tag, now, batch, kept, is_compressed, packed)
        recent = self._late is None and end > now - _HOUR
        await self._cache.put(key, entry, min(self._milliseconds, _RECENT) if recent else self._milliseconds)


def tag_of(digest: str) -> str:
    """Return the ETag for the digest of a response. It is weak, because the server may compress the response."""
    return f'W/"{digest}"'


def known_tags(request: Request) -> frozenset[str]:
    """Return the ETags in the header If-None-Match, in their weak form."""
    given = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    return frozenset(one if one.startswith("W/") else f"W/{one}" for one in given if one)


def not_modified(tag: str) -> Response:
    """Return a 304 response with an ETag, for a client that already has the response."""
    return Response(status_code=304, headers={"ETag": tag, "Cache-Control": "private, no-cache"})


def _digest(*parts: str | int | bytes) -> str:
    """Return a hash of texts."""
    joined = b"\0".join(part if isinstance(part, bytes) else repr(part).encode() for part in parts)
    return hashlib.blake2b(joined, digest_size=16).hexdigest()
