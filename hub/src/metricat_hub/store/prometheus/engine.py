"""Queries evaluated by the server of the store. Each query of the hub is one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.promql.query_engine import LOOKBACK
from metricat_hub.store.prometheus.results import decode

if TYPE_CHECKING:
    from metricat_hub.promql.engine import Result
    from metricat_hub.promql.limits import Limits
    from metricat_hub.promql.query_engine import Stop
    from metricat_hub.store.prometheus.api import Api

_LEAST_SECONDS = 0.001


class RemoteEngine:
    """A `QueryEngine` over an HTTP API. Limits of series and samples apply only to results."""

    def __init__(self, api: Api, limits: Limits) -> None:
        self._api = api
        self._limits = limits

    def instant(self, query: str, at: int, cancellation: Stop, lookback: int = LOOKBACK) -> Result:
        """Evaluate a query at one time. Errors: see `QueryEngine.instant`."""
        return self._result("/query", [("query", query), ("time", seconds(at))], at, cancellation, lookback)

    def range(  # noqa: PLR0913, PLR0917 -- the parameters of a range query
        self, query: str, start: int, end: int, step: int, cancellation: Stop, lookback: int = LOOKBACK
    ) -> Result:
        """Evaluate a query at each step from start to end. Errors: see `QueryEngine.instant`."""
        if step <= 0:
            raise InvalidQueryError(f"the step is {step} ms. Use a step greater than 0.")
        if end < start:
            raise InvalidQueryError("the end of the time range is before its start. Use an end after the start.")
        self._limits.check_steps((end - start) // step + 1)
        form = [("query", query), ("start", seconds(start)), ("end", seconds(end)), ("step", seconds(step))]
        return self._result("/query_range", form, end, cancellation, lookback)

    def _result(self, path: str, form: list[tuple[str, str]], at: int, cancellation: Stop, lookback: int) -> Result:
        cancellation.check()
        remaining = max(cancellation.remaining, _LEAST_SECONDS)
        form.append(("timeout", f"{max(1, int(remaining * 1000))}ms"))
        if lookback != LOOKBACK:
            form.append(("lookback_delta", f"{lookback}ms"))
        answer = self._api.post(path, form, remaining)
        cancellation.check()
        try:
            return decode(
                answer.data, at, self._limits, warnings=tuple(answer.warnings or ()), infos=tuple(answer.infos or ())
            )
        except msgspec.MsgspecError as error:
            raise self._api.invalid(f"result of a query: {error}") from None


def seconds(milliseconds: int) -> str:
    """Return a time or a duration in seconds, as the API reads it."""
    sign = "-" if milliseconds < 0 else ""
    whole, rest = divmod(abs(milliseconds), 1000)
    return f"{sign}{whole}.{rest:03d}"
