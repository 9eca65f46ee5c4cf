"""Skips the collectors that found nothing on this host, until the host may have changed.

Most hosts lack the hardware of half of the collectors. A collector that returned no series is skipped until the kernel
adds or removes a device or a module, which `Host.uevents` counts. It is skipped for at most `SkipLimits.scrapes`
scrapes and `SkipLimits.seconds` seconds, because the kernel does not count every change. Without that count, every
collector runs at every scrape. See docs/design/0015-what-a-scrape-costs.md.
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
    """How long a collector that found nothing is skipped at most."""

    scrapes: int = 10
    seconds: float = 120


@dataclass(slots=True)
class _Skip:
    """The scrapes for which a collector is still skipped, and the time at which it must run again."""

    left: int
    until: float


class EmptyCollectors:
    """Selects the collectors that run at a scrape. Thread-safe."""

    def __init__(
        self,
        uevents: Callable[[], str | None],
        limits: SkipLimits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`uevents` returns a text that changes when devices do; None if the system has none."""
        self._uevents = uevents
        self._limits = limits or SkipLimits()
        self._clock = clock
        self._lock = threading.Lock()
        self._last: str | None = None
        self._skips: dict[str, _Skip] = {}

    def begin(self, names: Iterable[str], *, skips: bool = True) -> tuple[list[str], str | None]:
        """Return the collectors to run at a scrape, all without ``skips``, and a token for `record`."""
        with self._lock:
            now = self._clock()
            token = self._uevents()
            if token is None or token != self._last:
                self._last = token
                self._skips = {}
            known = self._skips
            if not skips or not known:
                return list(names), token
            return [name for name in names if name not in known or self._must_run(known[name], now)], token

    def record(self, found: Iterable[str], empty: Iterable[str], token: str | None) -> None:
        """Record which collectors of a scrape returned series, and which returned none."""
        with self._lock:
            if token is None or token != self._last:
                return  # devices changed during the scrape, and the collectors may have run before
            for name in found:
                self._skips.pop(name, None)
            until = self._clock() + self._limits.seconds
            for name in empty:
                # The first skips have different lengths, so that the collectors do not all run at the same scrape.
                left = self._limits.scrapes if name in self._skips else len(self._skips) % self._limits.scrapes
                self._skips[name] = _Skip(left, until)

    @staticmethod
    def _must_run(skip: _Skip, now: float) -> bool:
        skip.left -= 1
        return skip.left < 0 or now >= skip.until
