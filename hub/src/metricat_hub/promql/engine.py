"""The entry point: evaluate a query at one time or over a time range.

    engine = Engine(Limits())
    result = engine.range(store, "avg by (node) (rate(node_cpu_seconds_total[5m]))", start, end, 60_000)

All methods block. Asynchronous code calls them in a worker thread. See docs/design/0028.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, cast

import numpy as np

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.model.ports import BatchReader, Series
from metricat_hub.promql import extended, parser
from metricat_hub.promql.annotations import Annotations
from metricat_hub.promql.context import Context
from metricat_hub.promql.evaluate import Evaluator
from metricat_hub.promql.limits import Limits, Usage, no_check, no_reservation
from metricat_hub.promql.nodes import Node, RangeSelector, Subquery, kind, unwrapped
from metricat_hub.promql.prepared.steps import NewestReader, Round
from metricat_hub.promql.query_engine import LOOKBACK
from metricat_hub.promql.vector import Grid, Vector, merged, without_metadata
from metricat_hub.promql.windows import without_stale

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.ports import Reader, Tier
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.promql.evaluate_selectors import Value

__all__ = ["LOOKBACK", "Engine", "Result"]

SUBQUERY_STEP: Final = 60_000
_TIERS: Final[tuple[Tier, ...]] = ("1h", "1m", "raw")


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a query."""

    kind: Literal["vector", "scalar", "string", "matrix"]
    time: int
    """The time of the evaluation in milliseconds; for a range query, the end."""
    labels: Sequence[Labels] = ()
    """For a vector: the labels of each series."""
    values: Values = field(default_factory=lambda: np.empty(0))
    """For a vector: the value of each series. For a scalar: its value."""
    text: str = ""
    """For a string: its value."""
    series: Sequence[Series] = ()
    """For a matrix: the series, sorted by labels."""
    warnings: Sequence[str] = ()
    infos: Sequence[str] = ()
    tier: Tier = "raw"
    """The coarsest tier that the query read."""
    samples: int = 0
    """Number of samples that the query read from the store."""


class Engine:
    """Evaluates queries within limits. It has no state between queries, so it is thread-safe."""

    def __init__(
        self, limits: Limits, *, subquery_step: int = SUBQUERY_STEP, delayed_name_removal: bool = False
    ) -> None:
        self.limits = limits
        self._subquery_step = subquery_step
        self._delayed_names = delayed_name_removal

    def instant(  # noqa: PLR0913 # what the API's parameters are
        self,
        reader: Reader,
        query: str,
        time_ms: int,
        *,
        lookback: int = LOOKBACK,
        tier: Tier | None = None,
        check: Callable[[], None] = no_check,
        reserve: Callable[[int], None] = no_reservation,
    ) -> Result:
        """Evaluate a query at one time.

        Args:
            reader: the store with the samples.
            query: the query in PromQL.
            time_ms: the time of the evaluation in milliseconds since 1970.
            lookback: maximum age of the newest sample of a series in milliseconds.
            tier: the tier to read; None: the store chooses.
            check: raises an error if the query must stop. It is called often. See `Limits.deadline`.
            reserve: called with a number of bytes before they are allocated; raises an error if that is too much.

        Raises:
            InvalidQueryError: the query is not valid.
            UnsupportedQueryError: the query uses native histograms.
            QueryError: the evaluation fails, for example because two series would have the same labels.
            LimitError: the query exceeds a limit.
            StoreUnavailableError: the store cannot be read now.
        """
        node = parser.parse(query)
        context = self._context(reader, query, Grid(time_ms, time_ms, 1), lookback, tier, check, reserve)
        evaluator = Evaluator(context, context.query)
        with np.errstate(all="ignore"):
            if kind(node) == "matrix":
                return _done(context, "matrix", series=_range_vector(evaluator, unwrapped(node)))
            value = self._cleaned(evaluator.evaluate(node))
        match value:
            case str():
                return _done(context, "string", text=value)
            case Vector():
                return _done(context, "vector", labels=value.labels, values=value.values[:, 0])
            case _:
                return _done(context, "scalar", values=value)

    def begin(
        self,
        reader: Reader,
        time_ms: int,
        *,
        check: Callable[[], None] = no_check,
        reserve: Callable[[int], None] = no_reservation,
    ) -> Round:
        """Begin a round of prepared queries at one time in milliseconds. Prepared queries return no warnings.

        For `check` and `reserve`, see `instant`. Call `Round.end_query` after each query.
        """
        context = self._context(reader, "", Grid(time_ms, time_ms, 1), LOOKBACK, None, check, reserve)
        kind_of_reader = type(reader)
        newest = cast("NewestReader", reader) if _implements(kind_of_reader, NewestReader) else None
        batches = cast("BatchReader", reader) if _implements(kind_of_reader, BatchReader) else None
        return Round(context, Evaluator(context, context.query), newest, batches)

    def range(  # noqa: PLR0913 # what the API's parameters are
        self,
        reader: Reader,
        query: str,
        start: int,
        end: int,
        step: int,
        *,
        lookback: int = LOOKBACK,
        tier: Tier | None = None,
        check: Callable[[], None] = no_check,
        reserve: Callable[[int], None] = no_reservation,
    ) -> Result:
        """Evaluate a query at each step from start to end (milliseconds). The result is a matrix.

        The other arguments and the errors are those of `instant`.
        """
        if step <= 0:
            raise InvalidQueryError(f"the step is {step} ms. Use a step greater than 0.")
        if end < start:
            raise InvalidQueryError("the end of the time range is before its start. Use an end after the start.")
        self.limits.check_steps((end - start) // step + 1)
        node = parser.parse(query, step=step, span=end - start)
        if kind(node) not in {"vector", "scalar"}:
            raise InvalidQueryError(
                f'invalid expression type "{"range vector" if kind(node) == "matrix" else "string"}" for range query.'
                " Use an instant vector or a scalar: apply a function, for example `rate`."
            )
        context = self._context(reader, query, Grid(start, end, step), lookback, tier, check, reserve)
        evaluator = Evaluator(context, context.query)
        with np.errstate(all="ignore"):
            value = self._cleaned(evaluator.evaluate(node))
        if not isinstance(value, Vector):
            scalar = np.asarray(value, dtype=np.float64)[None]
            value = Vector.of([()], scalar, np.ones_like(scalar, dtype=bool))
        return _done(context, "matrix", series=_matrix(evaluator.times, value))

    def _context(  # noqa: PLR0913, PLR0917 # private
        self,
        reader: Reader,
        query: str,
        grid: Grid,
        lookback: int,
        tier: Tier | None,
        check: Callable[[], None],
        reserve: Callable[[int], None],
    ) -> Context:
        return Context(
            reader,
            Usage(self.limits, check, reserve),
            Annotations(query),
            grid,
            lookback,
            tier,
            self._subquery_step,
            self._delayed_names,
        )

    def _cleaned(self, value: Value) -> Value:
        """Return the vector without the metric names that are marked as dropped."""
        if not isinstance(value, Vector) or not self._delayed_names:
            return value
        labels = [
            without_metadata(labels) if drop else labels for labels, drop in zip(value.labels, value.drops, strict=True)
        ]
        return merged(Vector(labels, value.values, value.present, [False] * len(labels)))


@lru_cache(maxsize=64)
def _implements(kind_of_reader: type, protocol: type) -> bool:
    """Return whether the class has the methods of a protocol. The check takes longer than evaluating most rules."""
    return issubclass(kind_of_reader, protocol)


def _matrix(times: Times, vector: Vector) -> list[Series]:
    order = sorted(range(len(vector)), key=lambda row: vector.labels[row])
    series = []
    for row in order:
        present = vector.present[row]
        if bool(present.all()):
            series.append(Series(vector.labels[row], times, vector.values[row]))
        elif bool(present.any()):
            series.append(Series(vector.labels[row], times[present], vector.values[row][present]))
    return series


def _range_vector(evaluator: Evaluator, node: Node) -> list[Series]:
    """Return the samples of a range vector at one time."""
    if isinstance(node, Subquery):
        return _matrix(*evaluator.subquery(node))
    assert isinstance(node, RangeSelector)  # noqa: S101 # the caller has checked the type
    found = evaluator.range_series(node, "")
    ends = evaluator.references(node.selector.offset, node.selector.at)
    if node.selector.modifier:
        extent = extended.Extent(node.selector.modifier, ends - node.range, ends, evaluator.context.lookback)
        return sorted(extended.range_vector(found, extent), key=lambda series: series.labels)
    end = int(ends[0])
    result = []
    for series, (times, values) in zip(found, without_stale(found), strict=True):
        inside = (times > end - node.range) & (times <= end)
        if bool(inside.any()):
            result.append(Series(series.labels, times[inside], values[inside]))
    return sorted(result, key=lambda series: series.labels)


def _done(  # noqa: PLR0913 # private
    context: Context,
    kind_: Literal["vector", "scalar", "string", "matrix"],
    *,
    labels: Sequence[Labels] = (),
    values: Values | None = None,
    text: str = "",
    series: Sequence[Series] = (),
) -> Result:
    tiers = context.usage.tiers
    return Result(
        kind_,
        context.query.end,
        labels,
        np.empty(0) if values is None else values,
        text,
        series,
        context.annotations.warnings,
        context.annotations.infos,
        next((tier for tier in _TIERS if tier in tiers), "raw"),
        context.usage.samples,
    )
