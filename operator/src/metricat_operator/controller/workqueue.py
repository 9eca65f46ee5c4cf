"""A queue of keys: each at most once, each handled by one worker at a time, failed ones again later.

What happens between two runs of a key is coalesced into one. The clock is the event loop's.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

_FIRST_RETRY = 1.0
_LAST_RETRY = 60.0
_DOUBLINGS = 6


@dataclass
class WorkQueue(Generic[Key]):
    """Runs `work(key)` for each key added. `work` returns when it wants the key again, in seconds, or None.

    `failed` is told of every exception; the key is then tried again with growing, jittered delays.
    """

    work: Callable[[Key], Awaitable[float | None]]
    failed: Callable[[Key, Exception, float], None]
    _due: dict[Key, float] = field(default_factory=dict)
    _running: set[Key] = field(default_factory=set)
    _failures: dict[Key, int] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, key: Key, delay: float = 0.0) -> None:
        """Have the key handled in `delay` seconds, or earlier where it is already due earlier."""
        due = asyncio.get_running_loop().time() + delay
        self._due[key] = min(due, self._due.get(key, due))
        self._changed.set()

    def __len__(self) -> int:
        """How many keys wait."""
        return len(self._due)

    @property
    def overdue(self) -> int:
        """How many keys are due now, and wait for a worker or for their own last run to end."""
        now = asyncio.get_running_loop().time()
        return sum(due <= now for due in self._due.values())

    async def run(self, workers: int) -> None:
        """Work for ever, on at most `workers` keys at once."""
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
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                continue

    async def _handle(self, key: Key, free: asyncio.Semaphore) -> None:
        try:
            again = await self.work(key)
        except Exception as error:  # noqa: BLE001 (one key's fault must not stop the others; it is told and tried again)
            self._failures[key] = self._failures.get(key, 0) + 1
            ceiling = min(_LAST_RETRY, _FIRST_RETRY * 2 ** min(self._failures[key] - 1, _DOUBLINGS))
            delay = random.uniform(ceiling / 2, ceiling)  # noqa: S311 (jitter, not a secret)
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
