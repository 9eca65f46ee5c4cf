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
    """Retention and limits of the embedded store."""

    raw_retention: int = 7 * DAY
    minute_retention: int = 30 * DAY
    hour_retention: int = 365 * DAY
    max_bytes: int = 0
    """Size limit of all files in bytes; 0: no limit. Above it, the store drops the oldest windows, raw ones first."""
    reserve_bytes: int = 16 << 20
    """With fewer free bytes on the filesystem, the store rejects samples, so that it can still remove old ones."""
    series_limit: int = 500_000
    """The most active series. The store rejects further series, to limit memory."""
    idle: int = DAY
    """After this time without samples, a series is removed from the index in memory. Queries still find it."""
    out_of_order: int = HOUR
    """The out-of-order window: how much older than the newest sample of its series a sample may be."""
    future: int = 10 * MINUTE
    """How far in the future a sample may be."""
    head_samples: int = 2_000_000
    """The number of samples in memory above which the store writes them into segments.

    In memory, a sample in a `head.Table` needs 8 bytes, any other sample 20.
    """
    round_seconds: float = math.inf
    """Seconds of CPU time that a round of maintenance spends on chunks. The rest waits for the next round."""
    query_samples: int = 50_000_000
    """The most samples that one selection may return."""
    query_series: int = 100_000
    """The most series that one selection may return."""
    codec: Literal["pcodec", "zstd"] = "pcodec"
    """The codec of new chunks. The store can read chunks of both codecs."""
