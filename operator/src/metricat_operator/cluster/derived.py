"""Values that are computed from the objects of a cache and shared by all readers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from metricat_operator.cluster.watch import Cache

T = TypeVar("T")


@dataclass
class MemoizedValue(Generic[T]):
    """A value that is computed again only when it is read after a change of the cache. All targets share it."""

    cache: Cache
    make: Callable[[Cache], T]
    _made: tuple[int, T] | None = None

    def __call__(self) -> T:
        """Return the value for the current objects. Callers must not modify it."""
        if self._made is None or self._made[0] != self.cache.revision:
            self._made = self.cache.revision, self.make(self.cache)
        return self._made[1]
