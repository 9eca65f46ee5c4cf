"""Delays between attempts: exponential with jitter, and the delay that a response requests."""

import math
import random
import time
from email.utils import parsedate_to_datetime

MAX_RETRY_AFTER = 30.0
"""Longest delay that a response can request, in seconds. A proxy may request hours, or a date of another clock."""


def jittered(failures: int, first: float, last: float) -> float:
    """Return the delay in seconds after a number of failures in a row.

    The upper bound of the delay doubles from `first` to `last`. The delay is random, at least half of the bound.
    """
    ceiling = min(last, first * 2.0 ** min(max(failures - 1, 0), 30))
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311 (jitter, not a secret)


def retry_after(value: str | None) -> float:
    """Return the delay of a `Retry-After` header in seconds (RFC 9110, 10.2.3), at most `MAX_RETRY_AFTER`.

    The value is a number of seconds or a date. For an absent or invalid value, and for a past date, the result is 0.
    """
    text = (value or "").strip()
    try:
        seconds = float(text) if text[:1].isdigit() else parsedate_to_datetime(text).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(seconds, 0.0), MAX_RETRY_AFTER) if math.isfinite(seconds) else 0.0
