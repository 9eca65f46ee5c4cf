"""Limits of a query, and its usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metricat_hub.model.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one query. Each error message contains the limit, the value and a remedy."""

    samples: int = 50_000_000
    """The most samples that a query reads from the store, and the most values of one intermediate result."""
    series: int = 100_000
    """The most series of one selector, or of one intermediate result."""
    steps: int = 11_000
    """The most steps of a range query."""
    seconds: float = 60.0
    """The longest duration of a query in seconds. `deadline` returns the check."""

    def check_steps(self, steps: int) -> None:
        """Raise an error if a range query has too many steps."""
        if steps > self.steps:
            raise LimitError(
                f"the query has {steps} steps, above the limit of {self.steps}."
                " Use a longer step or a shorter time range."
            )

    def check_series(self, series: int) -> None:
        """Raise an error if a result has too many series."""
        if series > self.series:
            raise LimitError(
                f"the query needs {series} series at once, above the limit of {self.series}."
                " Add label matchers, or split the query."
            )

    def check_samples(self, samples: int) -> None:
        """Raise an error if a query reads or computes too many samples."""
        if samples > self.samples:
            raise LimitError(
                f"the query reads or computes {samples} samples, above the limit of {self.samples}."
                " Use a shorter time range, a longer step, a coarser tier or more label matchers."
            )

    def deadline(self, clock: Callable[[], float]) -> Callable[[], None]:
        """Return a function that raises an error after `seconds` from now; `clock` returns seconds."""
        end = clock() + self.seconds

        def check() -> None:
            if clock() > end:
                raise LimitError(
                    f"the query takes longer than the limit of {self.seconds:g} seconds."
                    " Use a shorter time range, a longer step or more label matchers."
                )

        return check


def no_check() -> None:
    """Let the query continue: the default without a check."""


def no_reservation(size: int) -> None:
    """Accept any size: the default without a memory limit."""


BYTES_READ = 40
"""Bytes of memory for each sample while a store reads it. Measured: 34."""
BYTES_EVALUATED = 100
"""Bytes of memory for each sample until the end of the query, at most. Measured with `sum_over_time`."""
_STEP = 1 << 16
_BYTES_OF_VALUE = 27
"""Bytes of memory for each value of an intermediate result: value and mask, with three results at a time."""


@dataclass(slots=True)
class Usage:
    """The resources that a query has used."""

    limits: Limits
    check: Callable[[], None] = no_check
    """Raises an error if the query must stop: it was cancelled, or its deadline has passed."""
    reserve: Callable[[int], None] = no_reservation
    """Called with a number of bytes before their use; raises an error if all queries together use too much memory."""
    samples: int = 0
    """Number of samples read from the store."""
    largest: int = 0
    """Number of values of the largest intermediate result."""
    tiers: set[str] = field(default_factory=set)
    unreserved: int = 0
    """Bytes of samples that earlier queries of a round have read. They are reserved in steps of `_STEP`."""

    def restart(self) -> None:
        """Begin a new query."""
        self.samples = self.largest = self.unreserved = 0

    def reading(self) -> Reading:
        """Begin a selection; return the object that counts the samples while the store reads them."""
        return Reading(self)

    def read(self, samples: int, reading: Reading | None = None) -> None:
        """Count samples read from the store, after a selection.

        Args:
            samples: the number of samples.
            reading: the counter of the selection; None: an earlier query of the round has read the samples.
        """
        self.samples += samples
        self.limits.check_samples(self.samples)
        if reading is not None:
            self.reserve(max(0, samples * BYTES_EVALUATED - reading.samples * BYTES_READ))
            return
        self.unreserved += samples * BYTES_EVALUATED
        if self.unreserved >= _STEP:
            self.reserve(self.unreserved)
            self.unreserved = 0

    def allocate(self, series: int, steps: int) -> None:
        """Check the size of an intermediate result before it is allocated, and whether the query may continue."""
        self.check()
        self.limits.check_series(series)
        self.limits.check_samples(series * steps)
        if series * steps > self.largest:
            self.reserve((series * steps - self.largest) * _BYTES_OF_VALUE)
            self.largest = series * steps


@dataclass(slots=True)
class Reading:
    """The samples that a store reads for one selection."""

    usage: Usage
    samples: int = 0

    def __call__(self, samples: int) -> None:
        """Reserve memory for more samples; raise an error if the query must stop."""
        self.usage.check()
        self.usage.reserve(samples * BYTES_READ)
        self.samples += samples
