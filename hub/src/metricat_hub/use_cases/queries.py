"""PromQL queries that this process evaluates over a store, with cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.promql.engine import LOOKBACK, Engine
from metricat_hub.promql.limits import BYTES_EVALUATED
from metricat_hub.use_cases.memory_budget import MemoryBudget

if TYPE_CHECKING:
    from metricat_hub.model.ports import Reader
    from metricat_hub.promql.engine import Result
    from metricat_hub.promql.limits import Limits
    from metricat_hub.promql.prepared.query import Prepared
    from metricat_hub.promql.prepared.steps import Round, Value
    from metricat_hub.promql.query_engine import Stop


class Queries:
    """A `QueryEngine` over a store. Times are in milliseconds."""

    def __init__(self, reader: Reader, limits: Limits, memory: int = 0) -> None:
        """Evaluate queries over a store.

        Args:
            reader: the store.
            limits: the limits of one query.
            memory: the most bytes of all running queries together; 0: as many as the largest allowed query needs.
        """
        self._reader = reader
        self._engine = Engine(limits)
        self._budget = MemoryBudget(memory or limits.samples * BYTES_EVALUATED)
        self._reservation = self._budget.query()
        """The memory of the running prepared query."""

    def with_reader(self, reader: Reader) -> Queries:
        """Return an engine with the same limits over another reader."""
        other = Queries(reader, self._engine.limits)
        other._budget = self._budget
        other._reservation = self._budget.query()
        return other

    @property
    def reader(self) -> Reader:
        """The store that the queries read."""
        return self._reader

    def instant(self, query: str, at: int, cancellation: Stop, lookback: int = LOOKBACK) -> Result:
        """Evaluate a query at one time. Errors: see `Engine.instant`."""
        with self._budget.query() as reserve:
            return self._engine.instant(
                self._reader, query, at, lookback=lookback, check=cancellation.check, reserve=reserve
            )

    def begin(self, at: int, cancellation: Stop) -> Round:
        """Begin a round of prepared queries at one time. Only one thread at a time may evaluate prepared queries."""
        return self._engine.begin(self._reader, at, check=cancellation.check, reserve=self._reservation.reserve)

    def evaluate(self, query: Prepared, round_: Round) -> Value:
        """Evaluate a prepared query at the time of a round. Errors: see `Engine.instant`."""
        try:
            return query.evaluate(round_)
        finally:
            round_.end_query()
            self._reservation.release()

    def range(  # noqa: PLR0913, PLR0917 -- the parameters of a range query
        self, query: str, start: int, end: int, step: int, cancellation: Stop, lookback: int = LOOKBACK
    ) -> Result:
        """Evaluate a query at each step from start to end. Errors: see `Engine.instant`."""
        with self._budget.query() as reserve:
            return self._engine.range(
                self._reader, query, start, end, step, lookback=lookback, check=cancellation.check, reserve=reserve
            )
