"""Slots of scrapes: the scrapes of a short time are parsed and stored by one submission to the worker threads.

Waking a thread for each scrape costs as much CPU as the scrape itself, and the caches of the CPU are cold each time.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

_SECONDS = 0.5
"""The time of a slot: so much later queries find the samples of a scrape."""
_MOST = 25
"""The most scrapes of a slot. The threads share the scrapes of more targets."""


class ScrapeSlots:
    """Collects work for the worker threads. Only the thread of the event loop calls its methods."""

    def __init__(self, executor: Executor, seconds: float = _SECONDS) -> None:
        self._executor = executor
        self._seconds = seconds
        self._waiting: list[tuple[Future[None], Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Run the work in a worker thread at the end of the slot. Return the future of its end or error."""
        future: Future[None] = Future()
        self._waiting.append((future, work))
        if len(self._waiting) >= _MOST:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)
        return future

    def flush(self) -> None:
        """End the slot now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            works, self._waiting = self._waiting, []
            self._executor.submit(_run, works)


def _run(works: list[tuple[Future[None], Callable[[], None]]]) -> None:
    for future, work in works:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- the other scrapes of the slot need their turn
            future.set_exception(error)
        else:
            future.set_result(None)
