"""A limit of the samples that all running queries hold together, so that the memory of the hub has a bound."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from metricat_hub.model.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class SampleBudget:
    """The limit, and what queries have used of it. Thread-safe."""

    def __init__(self, most: int) -> None:
        self.used = 0
        self._most = most
        self._lock = threading.Lock()

    @contextmanager
    def query(self) -> Iterator[Callable[[int], None]]:
        """Return a function that reserves samples for one query. The end of the block releases them.

        The function raises `StoreUnavailableError` if the other queries have too many.
        """
        own = 0

        def reserve(samples: int) -> None:
            nonlocal own
            with self._lock:
                if self.used + samples > self._most and self.used > own:
                    raise StoreUnavailableError(
                        f"the queries that run now hold {self.used} samples, and this one needs {own + samples}: "
                        f"together more than query.max-samples, {self._most}. Retry later."
                    )
                self.used += samples
                own += samples

        try:
            yield reserve
        finally:
            with self._lock:
                self.used -= own
