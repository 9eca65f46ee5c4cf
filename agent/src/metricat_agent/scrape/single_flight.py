"""Shares one answer among all who ask for the same while it is being made."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

Made = TypeVar("Made")


class _Flight(Generic[Made]):
    def __init__(self) -> None:
        self.landed = threading.Event()
        self.made: Made | None = None
        self.error: BaseException | None = None


class Flights(Generic[Made]):
    """Whoever asks first makes the answer; who comes before it is ready gets the same. Nothing is kept afterwards."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, _Flight[Made]] = {}

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what `make` returns, for this caller or another with an equal key; raises what it raises."""
        with self._lock:
            flight = self._under_way.get(key)
            mine = flight is None
            if flight is None:
                flight = self._under_way[key] = _Flight()
        if not mine:
            flight.landed.wait()
            if flight.error is not None:
                raise flight.error
            return flight.made  # type: ignore[return-value] # landed without an error: made
        try:
            flight.made = make()
        except BaseException as error:
            flight.error = error
            raise
        finally:
            with self._lock:
                del self._under_way[key]
            flight.landed.set()
        return flight.made
