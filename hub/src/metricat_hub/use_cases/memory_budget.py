"""A limit of the memory of all running queries together, to bound the memory of the hub."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from metricat_hub.model.errors import LimitError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable


class MemoryBudget:
    """The limit and the current usage in bytes. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.used = 0
        self._most = most
        self._lock = threading.Lock()

    def query(self) -> Reservation:
        """Return a reservation for one query."""
        return Reservation(self)

    def reserve(self, size: int, own: int) -> None:
        """Reserve bytes for a query that holds `own` bytes already. Errors: see `Reservation`."""
        with self._lock:
            if own + size > self._most:
                raise LimitError(
                    f"the query needs {_mebibytes(own + size)} of memory or more, above query.max-memory, "
                    f"{_mebibytes(self._most)}. Use a shorter time range, a longer step or more label matchers."
                )
            if self.used + size > self._most:
                raise StoreUnavailableError(
                    f"the queries that run now hold {_mebibytes(self.used)} of memory, and this one needs "
                    f"{_mebibytes(own + size)} or more: together more than query.max-memory, "
                    f"{_mebibytes(self._most)}. Retry later."
                )
            self.used += size

    def release(self, size: int) -> None:
        """Release bytes."""
        with self._lock:
            self.used -= size


class Reservation:
    """A context in which a query may call `reserve` with bytes. Its end releases them.

    `reserve` raises `LimitError` if the query alone needs more than the limit, and `StoreUnavailableError` if the
    queries together do.
    """

    __slots__ = ("_budget", "_own")

    def __init__(self, budget: MemoryBudget) -> None:
        self._budget = budget
        self._own = 0

    def __enter__(self) -> Callable[[int], None]:
        """Return `reserve`."""
        return self.reserve

    def __exit__(self, *_: object) -> None:
        """Release the bytes."""
        self.release()

    def release(self) -> None:
        """Release the bytes. The next query may use the reservation."""
        if self._own:
            self._budget.release(self._own)
            self._own = 0

    def reserve(self, size: int) -> None:
        """Reserve more bytes."""
        if size:
            self._budget.reserve(size, self._own)
            self._own += size


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
