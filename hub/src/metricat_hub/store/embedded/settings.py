"""The settings of the embedded store. All times are in milliseconds, apart from `round_seconds`."""

import math
from dataclasses import dataclass
from typing import Literal

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Settings:
    """How long the store keeps samples, and its limits."""

    raw_retention: int = 7 * DAY
    minute_retention: int = 30 * DAY
    hour_retention: int = 365 * DAY
    max_bytes: int = 0
    """The largest size of all files; 0: no limit. Above it the store drops the oldest windows, raw ones first."""
    reserve_bytes: int = 16 << 20
    """The store refuses samples when the filesystem has less free space, so that it can still remove old ones."""
    series_limit: int = 500_000
    """The number of active series. The store refuses further ones, so its memory has a bound."""
    idle: int = DAY
    """A series without samples for this long leaves the index in memory. Queries still find it."""
    out_of_order: int = HOUR
    """A sample may be this much older than the newest sample of its series."""
    future: int = 10 * MINUTE
    """A sample may be this far in the future."""
    head_samples: int = 2_000_000
    """The number of samples in memory above which the store writes them into segments.

    A sample of a table needs 8 bytes, another one 20.
    """
    round_seconds: float = math.inf
    """Seconds of CPU time that a round of maintenance spends on chunks. The rest waits for the next round."""
    query_samples: int = 50_000_000
    """The number of samples that one selection may return."""
    query_series: int = 100_000
    """The number of series that one selection may return."""
    codec: Literal["pcodec", "zstd"] = "pcodec"
    """The compression of new chunks. The store reads both."""
