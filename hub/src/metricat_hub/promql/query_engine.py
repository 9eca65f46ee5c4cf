"""The interface of query engines: evaluation in this process over a store, or by the server with the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from metricat_hub.promql.engine import Result

LOOKBACK: Final = 300_000
"""Maximum age of the newest sample of a series in milliseconds: 5 minutes, Prometheus' default."""


class Stop(Protocol):
    """Cancellation and deadline of a query. `use_cases.cancellation` implements it."""

    @property
    def remaining(self) -> float:
        """The seconds until the deadline, never negative."""
        ...

    def check(self) -> None:
        """Raise an error if the query must stop."""
        ...


class QueryEngine(Protocol):
    """Evaluates queries. Times are in milliseconds. All methods block, and any thread may call them."""

    def instant(self, query: str, at: int, cancellation: Stop, lookback: int = LOOKBACK) -> Result:
        """Evaluate a query at one time.

        Raises:
            InvalidQueryError: the query is not valid.
            UnsupportedQueryError: the query uses a part of PromQL that is not supported.
            QueryError: the evaluation fails.
            LimitError: the query exceeds a limit.
            QueryTimeoutError: the query took too long.
            StoreUnavailableError: the store cannot be read now.
        """
        ...

    def range(  # noqa: PLR0913, PLR0917 -- the parameters of a range query
        self, query: str, start: int, end: int, step: int, cancellation: Stop, lookback: int = LOOKBACK
    ) -> Result:
        """Evaluate a query at each step from start to end. The errors are those of `instant`."""
        ...
