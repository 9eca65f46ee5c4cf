"""The windows of time of each tier. A window excludes its start and includes its end, as ranges of PromQL do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_hub.store.embedded.settings import DAY, HOUR, MINUTE

if TYPE_CHECKING:
    from metricat_hub.model.ports import Tier

_SERIES_BITS = 32


@dataclass(frozen=True, slots=True)
class Layout:
    """A tier: table, length of a window, and time between two points (0: as received), in milliseconds."""

    tier: Tier
    table: str
    size: int
    resolution: int

    def window(self, time: int) -> int:
        """Return the number of the window that contains a time."""
        return (time - 1) // self.size

    def base(self, window: int) -> int:
        """Return the start of a window."""
        return window * self.size

    def end(self, window: int) -> int:
        """Return the end of a window."""
        return (window + 1) * self.size


RAW = Layout("raw", "chunks_raw", 2 * HOUR, 0)
BY_MINUTE = Layout("1m", "chunks_1m", DAY, MINUTE)
BY_HOUR = Layout("1h", "chunks_1h", 30 * DAY, HOUR)
LAYOUTS = (RAW, BY_MINUTE, BY_HOUR)


def identity(window: int, number: int) -> int:
    """Return the ID of a chunk. In the table, the chunks of a window are adjacent, by ascending series number."""
    return window << _SERIES_BITS | number


def window_of(chunk: int) -> int:
    """Return the number of the window from a chunk's ID."""
    return chunk >> _SERIES_BITS


def number_of(chunk: int) -> int:
    """Return the number of the series from a chunk's ID."""
    return chunk & ((1 << _SERIES_BITS) - 1)


_TIMES_BITS = 40


def times_identity(window: int, reference: int) -> int:
    """Return the ID of the row with times that chunks of a raw window share."""
    return window << _TIMES_BITS | reference
