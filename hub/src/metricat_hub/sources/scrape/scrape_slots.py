"""Batches scrape responses: those of a short time slot go to the worker threads together, to be parsed and stored.

Waking a thread for each response would take as much CPU time as the scrape itself, each time with cold CPU caches.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

_SECONDS = 0.5
"""The length of a slot in seconds, by which samples become visible to queries later."""
_MOST = 25
"""The most scrapes of a slot. Further scrapes start a new slot for the next thread."""


class ScrapeSlots:
    """Collects work for the worker threads. Call its methods only in the thread of the event loop."""

    def __init__(self, executor: Executor, seconds: float = _SECONDS) -> None:
        self._executor = executor
        self._seconds = seconds
        self._waiting: list[tuple[Future[None], Callable[[], None]]] = []
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, work: Callable[[], None]) -> Future[None]:
        """Run `work` in a worker thread at the end of the slot; return a future of its end or error."""
        future: Future[None] = Future()
        self._waiting.append((future, work))
        if len(self._waiting) >= _MOST:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self.flush)
        return future

    def flush(self) -> None:
        """End the slot now, and pass its work to a worker thread."""
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
