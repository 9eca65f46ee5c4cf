"""Single flight: concurrent callers with an equal key share one call and its result."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Result = TypeVar("Result")


class _Call(Generic[Result]):
    def __init__(self) -> None:
        self.running = threading.Lock()
        """Held until the call ends: a lock takes a tenth of the time of an event, and mostly no other thread waits."""
        self.running.acquire()
        self.result: Result | None = None
        self.error: BaseException | None = None


class SingleFlight(Generic[Result]):
    """The first caller of a key makes the call; callers that come before it ends share its result.

    Results are not kept.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[Hashable, _Call[Result]] = {}

    def get(self, key: Hashable, make: Callable[[], Result]) -> Result:
        """Return the result of `make`, called here or by a concurrent caller with an equal key; raise its error."""
        with self._lock:
            call = self._running.get(key)
            is_first = call is None
            if call is None:
                call = self._running[key] = _Call()
        if not is_first:
            with call.running:
                pass
            if call.error is not None:
                raise call.error
            return call.result  # type: ignore[return-value] # done without an error: there is a result
        try:
            call.result = make()
        except BaseException as error:
            call.error = error
            raise
        finally:
            with self._lock:
                del self._running[key]
            call.running.release()
        return call.result
