"""Receives request bodies within limits, and runs the blocking work on them in threads."""

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
    """Limits of the memory and threads that writes use."""

    body: int = 8 << 20
    """The most bytes of a body before decompression."""
    decompressed: int = 32 << 20
    """The most bytes of a body after decompression."""
    running: int = 2
    """The most requests that are decoded and stored at the same time. More would wait for the interpreter's lock."""
    waiting: int = 64
    """The most requests that are received, or wait for a thread. Further requests get 503."""
    batches_per_minute: int = 100
    """The most JSON batches of one collector within any minute. Further batches get 429."""


class Receiver:
    """Receives bodies and runs the blocking work in threads, within limits."""

    def __init__(self, limits: WriteLimits) -> None:
        self.limits = limits
        self._threads: CapacityLimiter | None = None
        self._requests = 0

    async def run(self, request: Request, work: Callable[[bytes], Response]) -> Response:
        """Receive the body of a request, and return the response of `work(body)`, which runs in a thread.

        Raises:
            TooLargeError: the body exceeds `WriteLimits.body`.
            StoreUnavailableError: too many requests wait.
        """
        if self._requests >= self.limits.waiting:
            raise StoreUnavailableError(
                f"{self._requests} writes are already waiting, which is the limit. Retry later."
            )
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
