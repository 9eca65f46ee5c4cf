"""Skips the collectors that found nothing on this host, until the host may have changed.

Most hosts lack the hardware of half of the collectors. A collector that returned no series is skipped until the kernel
adds or removes a device or a module, which `UeventCount` counts. It is skipped for at most `SkipLimits.scrapes`
scrapes and `SkipLimits.seconds` seconds, because the kernel does not count every change. If the kernel's count cannot
be read, every collector runs at every scrape. See docs/design/0015-what-a-scrape-costs.md.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclass(frozen=True, slots=True)
class SkipLimits:
    """Maximum number of scrapes and seconds for which a collector that found nothing is skipped."""

    scrapes: int = 10
    seconds: float = 120


class EmptyCollectors:
    """Selects the collectors that run at a scrape. Thread-safe."""

    def __init__(
        self,
        uevents: Callable[[], bytes | None],
        limits: SkipLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`uevents` returns a value that changes when devices do; None if the system has no such value."""
        self._uevents = uevents
        self._limits = limits or SkipLimits()
        self._clock = clock
        self._lock = threading.Lock()
        self._last: bytes | None = None
        self._scrapes = 0
        self._skipped: dict[str, tuple[int, float]] = {}
        """By collector: the number of the scrape, and the time, at which it runs again."""

    def begin(self, names: Iterable[str], *, skips: bool = True) -> tuple[list[str], bytes | None]:
        """Return the names of the collectors to run at a scrape, and a token for `record`.

        If ``skips`` is false, these are all ``names``.
        """
        with self._lock:
            self._scrapes += 1
            scrapes, now, token = self._scrapes, self._clock(), self._uevents()
            if token is None or token != self._last:
                self._last = token
                self._skipped = {}
            if not skips:
                return list(names), token
            skipped = {name for name, (scrape, at) in self._skipped.items() if scrapes < scrape and now < at}
            return [name for name in names if name not in skipped], token

    def record(self, found: Iterable[str], empty: Iterable[str], token: bytes | None) -> None:
        """Record which collectors of a scrape returned series, and which returned none."""
        with self._lock:
            if token is None or token != self._last:
                return  # devices changed during the scrape, and the collectors may have run before
            skipped, limits = self._skipped, self._limits
            for name in skipped.keys() & found:
                del skipped[name]
            at = self._clock() + limits.seconds
            for name in empty:
                # The first skips have different lengths, so that the collectors do not all run at the same scrape.
                length = limits.scrapes if name in skipped else len(skipped) % limits.scrapes
                skipped[name] = (self._scrapes + length + 1, at)
