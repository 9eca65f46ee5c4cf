"""Cancellation of work in threads by a deadline or a request. The work must call `check` between its parts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from metricat_hub.model.errors import QueryCanceledError, QueryTimeoutError

if TYPE_CHECKING:
    from collections.abc import Callable


_REMEDY = "select fewer series or a shorter time range, or raise --query.timeout"


class Cancellation:
    """The deadline and the cancellation of one piece of work."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic, *, remedy: str = _REMEDY) -> None:
        """Let the work run for some seconds from now. `remedy` is what users can do if the work takes longer."""
        self._clock = clock
        self._seconds = seconds
        self._remedy = remedy
        self._deadline = clock() + seconds
        self._canceled = False

    def restart(self) -> None:
        """Let the next piece of work run for as many seconds from now."""
        self._deadline = self._clock() + self._seconds

    @property
    def remaining(self) -> float:
        """The seconds until the deadline, never negative."""
        return max(0.0, self._deadline - self._clock())

    def cancel(self) -> None:
        """Make the next check raise an error."""
        self._canceled = True

    def check(self) -> None:
        """Raise an error if the work must stop.

        Raises:
            QueryCanceledError: `cancel` was called.
            QueryTimeoutError: the deadline has passed.
        """
        if self._canceled:
            raise QueryCanceledError("the query was canceled, because its client closed the connection")
        if self._clock() > self._deadline:
            raise QueryTimeoutError(f"the query took longer than {self._seconds:g} s; {self._remedy}")
