"""Samples as numpy columns, and staleness markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Times: TypeAlias = "NDArray[np.int64]"
"""Timestamps in milliseconds since 1970-01-01 UTC."""
Values: TypeAlias = "NDArray[np.float64]"
Numbers: TypeAlias = "NDArray[np.int64]"
"""Numbers of series, as `Writer.resolve` returns them."""

_STALE_BITS = np.array(0x7FF0000000000002, dtype=np.uint64)
STALE = _STALE_BITS.reshape(1).view(np.float64)[0]
"""Prometheus' staleness marker: a NaN with a special bit pattern, which marks the end of a series."""


def is_stale(values: Values) -> NDArray[np.bool_]:
    """Return a mask of the values that are staleness markers. Other NaN values are not."""
    return np.equal(values.view(np.uint64), _STALE_BITS)


def is_sample(values: Values) -> NDArray[np.bool_]:
    """Return a mask of the values that are not staleness markers."""
    return np.not_equal(values.view(np.uint64), _STALE_BITS)


@dataclass(frozen=True, slots=True)
class Batch:
    """Samples of any series, as columns of equal length."""

    series: Numbers
    times: Times
    values: Values


RESOLUTIONS = 5
"""How many times a writer resolves a series that the store removes again before its sample is stored."""


@dataclass(frozen=True, slots=True)
class Appended:
    """The result of storing a batch. Each reason for rejection has a mask of the samples; None: no sample.

    A sample that equals a stored one is a duplicate. The store neither stores it again nor rejects it.
    """

    accepted: int
    duplicates: int = 0
    conflicting: NDArray[np.bool_] | None = None
    """Rejected: the store has a different value of the series at the same time."""
    too_old: NDArray[np.bool_] | None = None
    """Rejected: the sample is older than the out-of-order window or the retention."""
    too_new: NDArray[np.bool_] | None = None
    """Rejected: the sample is too far in the future."""
    unknown: NDArray[np.bool_] | None = None
    """The series is not in the index, or no longer: resolve its labels again, at most `RESOLUTIONS` times."""
