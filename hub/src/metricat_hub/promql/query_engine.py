"""The port for the evaluation of queries: in this process over a store, or by a server that has the samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from metricat_hub.promql.engine import Result

LOOKBACK: Final = 300_000
"""How old the newest sample of a series may be, in milliseconds: Prometheus' default of 5 minutes."""


class Stop(Protocol):
    """Whether a query must stop. See `use_cases.cancellation`."""

    @property
    def remaining(self) -> float:
        """The seconds until the deadline, never negative."""
        ...

    def check(self) -> None:
        """Return if the query may continue; raise the error that ends it otherwise."""
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
