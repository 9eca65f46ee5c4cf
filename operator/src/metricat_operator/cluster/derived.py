"""What is made of a cache's objects, for many to read."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from metricat_operator.cluster.watch import Cache

T = TypeVar("T")


@dataclass
class Derived(Generic[T]):
    """Made anew only when it is asked for after the cache changed: one change of a node concerns every target."""

    cache: Cache
    make: Callable[[Cache], T]
    _made: tuple[int, T] | None = None

    def __call__(self) -> T:
        """The view of the objects as they are now; not to be changed."""
        if self._made is None or self._made[0] != self.cache.revision:
            self._made = self.cache.revision, self.make(self.cache)
        return self._made[1]
