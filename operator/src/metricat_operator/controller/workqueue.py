"""Work queue of keys: each key is queued at most once, one worker handles a key at a time, failed keys are retried.

Changes between two runs of a key lead to one run. All times are those of the event loop's clock.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from metricat_operator.cluster.backoff import jittered

Key = TypeVar("Key", bound=Hashable)

_FIRST_RETRY = 1.0
_LAST_RETRY = 10.0


@dataclass
class WorkQueue(Generic[Key]):
    """Runs `work(key)` for each added key. `work` returns the seconds until the next run of the key, or None.

    `failed` receives every exception and the delay of the retry; delays grow and are jittered.
    """

    work: Callable[[Key], Awaitable[float | None]]
    failed: Callable[[Key, Exception, float], None]
    _due: dict[Key, float] = field(default_factory=dict)
    _running: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Schedule the key in `delay` seconds, or keep an earlier time that is already set."""
        due = asyncio.get_running_loop().time() + delay
        self._due[key] = min(due, self._due.get(key, due))
        self._changed.set()

    def __len__(self) -> int:
        """Return the number of waiting keys."""
        return len(self._due)

    @property
    def overdue(self) -> int:
        """The number of keys that are due now and wait for a worker or for the end of their previous run."""
        now = asyncio.get_running_loop().time()
        return sum(due <= now for due in self._due.values())

    async def run(self, workers: int) -> None:
        """Handle keys until cancelled, at most `workers` at the same time."""
        free = asyncio.Semaphore(workers)
        async with asyncio.TaskGroup() as group:
            while True:
                await free.acquire()
                key = await self._next()
                self._running.add(key)
                group.create_task(self._handle(key, free))

    async def _next(self) -> Key:
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            ready = [(due, key) for key, due in self._due.items() if key not in self._running]
            if ready:
                due, key = min(ready, key=lambda entry: entry[0])
                wait = due - loop.time()
                if wait <= 0:
                    del self._due[key]
                    return key
            else:
                wait = None
            # Not `asyncio.wait_for`: before Python 3.12 it ignores a cancellation while a key is added.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()

    async def _handle(self, key: Key, free: asyncio.Semaphore) -> None:
        try:
            again = await self.work(key)
        except Exception as error:  # noqa: BLE001 (an error of one key must not stop the others; it is reported and retried)
            self._failures[key] = self._failures.get(key, 0) + 1
            delay = jittered(self._failures[key], _FIRST_RETRY, _LAST_RETRY)
            delay = max(delay, getattr(error, "retry_after", 0.0))
            self.failed(key, error, delay)
            self.add(key, delay)
        else:
            self._failures.pop(key, None)
            if again is not None:
                self.add(key, again)
        finally:
            self._running.discard(key)
            self._changed.set()
            free.release()
