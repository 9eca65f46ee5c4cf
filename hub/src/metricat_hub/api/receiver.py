"""Receiving of request bodies within limits, and blocking work on them in threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from anyio import CapacityLimiter, to_thread

from metricat_hub.model.errors import StoreUnavailableError
from metricat_hub.sources.write.errors import TooLargeError

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request
    from starlette.responses import Response


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """Bounds on the memory and time that requests use."""

    body: int = 8 << 20
    """Bytes of a body as it arrives."""
    decompressed: int = 32 << 20
    """Bytes of a body after decompression."""
    running: int = 2
    """Requests that are decoded and stored at the same time. More would only wait for the interpreter's lock."""
    waiting: int = 64
    """Requests that are received or wait for their turn. More get 503."""
    batches_per_minute: int = 100
    """JSON batches of one collector within any minute. More get 429."""


class Receiver:
    """Receives bodies and runs the blocking work in threads, within limits."""

    def __init__(self, limits: WriteLimits) -> None:
        self.limits = limits
        self._threads: CapacityLimiter | None = None
        self._requests = 0

    async def run(self, request: Request, work: Callable[[bytes], Response]) -> Response:
        """Return the response that ``work`` makes of the body.

        Raises `TooLargeError`, and `StoreUnavailableError` above the limit of waiting requests.
        """
        if self._requests >= self.limits.waiting:
            raise StoreUnavailableError(f"{self._requests} writes are waiting. Retry later.")
        if self._threads is None:
            self._threads = CapacityLimiter(self.limits.running)  # needs a running event loop
        self._requests += 1
        try:
            body = await self._body(request)
            return await to_thread.run_sync(work, body, limiter=self._threads)
        finally:
            self._requests -= 1

    async def _body(self, request: Request) -> bytes:
        limit = self.limits.body
        parts: list[bytes] = []
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise TooLargeError(f"the body is larger than the limit of {limit} bytes. Send smaller batches.")
            parts.append(part)
        return b"".join(parts)
