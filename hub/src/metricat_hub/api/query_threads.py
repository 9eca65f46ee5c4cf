"""Worker threads for queries: a bounded number, with a deadline, and an end when the client disconnects."""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from metricat_hub.model.errors import HubError, QueryCanceledError, QueryTimeoutError, StoreUnavailableError
from metricat_hub.use_cases.cancellation import Cancellation

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

T = TypeVar("T")
_WAITING_PER_THREAD = 64
"""The most waiting queries for each thread. Further queries get 503 immediately, because they would time out."""
_SWITCH_SECONDS = 0.001
"""How long the event loop and short queries wait for the interpreter's lock while a long query computes.

A request changes threads several times, so Python's 5 ms would add up.
"""


class QueryThreads:
    """Runs blocking work of requests."""

    def __init__(self, threads: int, seconds: float) -> None:
        """Run at most `threads` queries at the same time. Each may wait and run for `seconds` in total."""
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._seconds = seconds
        self._most = threads * _WAITING_PER_THREAD
        self.running = 0
        """Queries that run or wait."""

    async def run(self, request: Request, work: Callable[[Cancellation], T], seconds: float | None = None) -> T:
        """Run `work` in a thread and return its result. It calls `Cancellation.check` between its parts.

        `seconds` shortens the time limit.

        Raises:
            QueryTimeoutError: the limit has passed. The thread ends at its next check.
            QueryCanceledError: the client disconnected.
            StoreUnavailableError: too many queries wait.
        """
        return await self._run(work, seconds, request)

    async def run_detached(self, work: Callable[[Cancellation], T], seconds: float | None = None) -> T:
        """Return the result of `work`, as `run` does. The cancellation of the calling task ends it."""
        return await self._run(work, seconds, None)

    async def _run(self, work: Callable[[Cancellation], T], seconds: float | None, request: Request | None) -> T:
        if self.running >= self._most:
            raise StoreUnavailableError(f"{self.running} queries wait; retry later, or raise --query.max-concurrency")
        limit = self._seconds if seconds is None else min(seconds, self._seconds)
        cancellation = Cancellation(limit)
        self.running += 1
        try:
            future = asyncio.get_running_loop().run_in_executor(self._executor, _checked, work, cancellation)
            gone = asyncio.ensure_future(_disconnected(request))
            try:
                await asyncio.wait((future, gone), timeout=limit, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                if not future.done():
                    cancellation.cancel()
                    future.add_done_callback(_ignored)
            if future.done():
                return future.result()
            if gone.done() and not gone.cancelled():
                raise QueryCanceledError("the client closed the connection")
            raise QueryTimeoutError(f"query timed out after {limit:g} s; select fewer series or a shorter time range")
        finally:
            self.running -= 1

    def close(self) -> None:
        """End the threads when their work is done; drop work that waits."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _checked(work: Callable[[Cancellation], T], cancellation: Cancellation) -> T:
    cancellation.check()
    return work(cancellation)


def _ignored(future: asyncio.Future[T]) -> None:
    """Retrieve the error of abandoned work, so that asyncio does not log it. Raise unexpected errors."""
    if not future.cancelled() and not isinstance(error := future.exception(), HubError) and error:
        raise error


async def _disconnected(request: Request | None) -> None:
    """Return when the client has closed the connection. The body of the request must have been read."""
    if request is None:
        await asyncio.Event().wait()
        return
    while (await request.receive())["type"] != "http.disconnect":
        pass
