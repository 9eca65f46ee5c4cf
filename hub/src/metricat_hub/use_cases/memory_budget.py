"""A limit of the memory that all running queries hold together, so that the memory of the hub has a bound."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metricat_hub.model.errors import LimitError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class MemoryBudget:
    """The limit in bytes, and what queries have used of it. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.used = 0
        self._most = most
        self._lock = threading.Lock()

    @contextmanager
    def query(self) -> Iterator[Callable[[int], None]]:
        """Return a function that reserves bytes for one query. The end of the block releases them.

        The function raises `LimitError` if the query alone needs more than the limit, and `StoreUnavailableError` if
        the queries together do.
        """
        own = 0

        def reserve(size: int) -> None:
            nonlocal own
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
                own += size

        try:
            yield reserve
        finally:
            with self._lock:
                self.used -= own


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
