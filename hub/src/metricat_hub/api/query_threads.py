"""A bounded number of worker threads for queries. A query ends at its deadline, or when its client disconnects."""

from __future__ import annotations

import asyncio
import math
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, TypeVar

from metricat_hub.api.fair_queue import FairQueue, QueueFullError
from metricat_hub.model.errors import HubError, OverloadedError, QueryCanceledError, QueryTimeoutError
from metricat_hub.model.self_metrics import Sample
from metricat_hub.use_cases.cancellation import Cancellation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from starlette.requests import Request

T = TypeVar("T")
_WAITING_PER_THREAD = 64
"""The most waiting queries for each thread. Further queries get 503 immediately."""
_LONGEST_WAIT = 10.0
"""Seconds after which a query that still waits for a thread gets 503, so that the client can retry."""
_LONGEST_RETRY = 60
"""The largest number of seconds in the header Retry-After."""
_WEIGHT = 0.1
"""The weight of the newest query in the moving average of query times."""
_PHASES = ("wait", "start", "run", "return")
_SWITCH_SECONDS = 0.001
"""Seconds after which a computing thread releases the interpreter's lock (`sys.setswitchinterval`).

A request changes threads several times, so waits of Python's default, 5 ms, would add up.
"""


class QueryThreads:
    """Runs the blocking work of requests in threads."""

    def __init__(self, threads: int, seconds: float, longest_wait: float = _LONGEST_WAIT) -> None:
        """Run queries in threads.

        Args:
            threads: the most queries that run at the same time.
            seconds: the most seconds that a query waits and runs in total.
            longest_wait: the most seconds that a query waits for a thread.
        """
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="query")
        self._threads = threads
        self._seconds = seconds
        self._longest_wait = longest_wait
        self._queue = FairQueue(threads, threads * _WAITING_PER_THREAD)
        self._mean = 0.0
        """The moving average of query times in seconds."""
        self._phases: dict[str, float] = dict.fromkeys(_PHASES, 0.0)
        """Total seconds of all queries by phase."""
        self._count = 0
        self._rejected = 0
        self.running = 0
        """Number of queries that run or wait for a thread."""

    async def run(self, request: Request, work: Callable[[Cancellation], T], seconds: float | None = None) -> T:
        """Run `work` in a thread and return its result. `work` must call `Cancellation.check` between its parts.

        `seconds` shortens the time limit. Waiting clients get free threads in turn.

        Raises:
            QueryTimeoutError: the time limit has passed. The thread ends at its next check.
            QueryCanceledError: the client disconnected.
            OverloadedError: too many queries wait for a thread, or this query waited for too long.
        """
        return await self._run(work, seconds, request)

    async def run_detached(self, work: Callable[[Cancellation], T], seconds: float | None = None) -> T:
        """Run `work` as `run` does, without a request. The cancellation of the calling task ends it."""
        return await self._run(work, seconds, None)

    async def _run(self, work: Callable[[Cancellation], T], seconds: float | None, request: Request | None) -> T:
        limit = self._seconds if seconds is None else min(seconds, self._seconds)
        client = _client(request)
        begin = time.perf_counter()
        try:
            place = self._queue.enter(client)
        except QueueFullError:
            raise self._overloaded() from None
        self.running += 1
        held = False
        gone = asyncio.ensure_future(_disconnected(request))
        try:
            if not place.done():
                waiting = (place, gone)
                await asyncio.wait(waiting, timeout=min(limit, self._longest_wait), return_when=asyncio.FIRST_COMPLETED)
            if not place.done() and not gone.done() and limit > self._longest_wait:
                raise self._overloaded()
            entered = time.perf_counter()
            self._phases["wait"] += entered - begin
            cancellation = Cancellation(max(0.0, limit - (entered - begin)))
            if place.done():
                measured = _Measured(work, cancellation)
                future = asyncio.get_running_loop().run_in_executor(self._executor, measured)
                held = True
                future.add_done_callback(lambda _: self._finished(client, place, measured, entered))
                try:
                    await asyncio.wait(
                        (future, gone), timeout=cancellation.remaining, return_when=asyncio.FIRST_COMPLETED
                    )
                finally:
                    if not future.done():
                        cancellation.cancel()
                        future.add_done_callback(_ignored)
                if future.done():
                    return future.result()
            if gone.done() and not gone.cancelled():
                raise QueryCanceledError("the client closed the connection")
            raise QueryTimeoutError(f"query timed out after {limit:g} s; select fewer series or a shorter time range")
        finally:
            gone.cancel()
            self.running -= 1
            if not held:
                self._queue.leave(client, place)

    def samples(self) -> Sequence[Sample]:
        """Return the time of queries by phase, and the numbers of finished and rejected queries, as metrics of the hub.

        The phases `start` and `return` are the switches to the thread and back. They grow if the event loop or the
        interpreter's lock is busy.
        """
        name = "metricat_hub_query_seconds"
        text = "Time of queries by phase, in seconds: wait for a thread, start, run, return to the event loop."
        return [
            *(Sample(name, text, self._phases[phase], is_counter=True, labels={"phase": phase}) for phase in _PHASES),
            Sample("metricat_hub_queries_finished", "Queries that ran in a thread.", self._count, is_counter=True),
            Sample(
                "metricat_hub_queries_rejected",
                "Queries that got 503 because too many queries waited, or the query waited for too long.",
                self._rejected,
                is_counter=True,
            ),
        ]

    def close(self) -> None:
        """Stop the threads when their current work is done, and drop waiting work."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _finished(self, client: str, place: asyncio.Future[None], measured: _Measured[T], entered: float) -> None:
        """Give the place of a query to the next one. Its thread is free now."""
        self._queue.leave(client, place)
        if not measured.end:  # the executor was closed before
            return
        self._count += 1
        ran = measured.end - measured.begin
        self._mean += _WEIGHT * (ran - self._mean) if self._mean else ran
        self._phases["start"] += measured.begin - entered
        self._phases["run"] += ran
        self._phases["return"] += time.perf_counter() - measured.end

    def _overloaded(self) -> OverloadedError:
        self._rejected += 1
        waiting = self._queue.waiting
        seconds = min(_LONGEST_RETRY, max(1, math.ceil(self._mean * waiting / self._threads)))
        return OverloadedError(
            f"too many queries wait for a thread ({waiting}). "
            f"Retry after {seconds} s. If the machine has idle CPUs, raise --query.max-concurrency.",
            seconds,
        )


class _Measured(Generic[T]):
    """Work in a thread, with the times of its begin and end."""

    __slots__ = ("_cancellation", "_work", "begin", "end")

    def __init__(self, work: Callable[[Cancellation], T], cancellation: Cancellation) -> None:
        self._work = work
        self._cancellation = cancellation
        self.begin = self.end = 0.0

    def __call__(self) -> T:
        self.begin = time.perf_counter()
        try:
            self._cancellation.check()
            return self._work(self._cancellation)
        finally:
            self.end = time.perf_counter()


def _client(request: Request | None) -> str:
    """Return the identity and the address of the client; empty: the hub itself."""
    if request is None:
        return ""
    principal = request.scope.get("state", {}).get("principal")
    return f"{principal.identity if principal else ''} {request.client.host if request.client else ''}"


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
