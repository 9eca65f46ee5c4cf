"""Queries the values of an alert's expression in the last hour, for the sparkline in notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from metricat_hub.model.errors import HubError
from metricat_hub.model.labels import NAME
from metricat_hub.model.ports import Matcher
from metricat_hub.notify.condition import condition
from metricat_hub.promql.restriction import with_matchers
from metricat_hub.use_cases.cancellation import Cancellation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.alerts import ActiveAlert
    from metricat_hub.promql.query_engine import QueryEngine

_SPAN: Final = 3_600_000
_STEP: Final = 150_000
_SECONDS = 3.0
"""Time limit of a query in seconds. A message without a trend is better than a late message."""
_PLACES = ("node", "instance")
"""Labels with which the query is restricted to the series of the alert's machine."""


class Trends:
    """Queries the values of an alert's expression in the last hour. Thread-safe."""

    def __init__(self, queries: QueryEngine) -> None:
        self._queries = queries

    def __call__(self, alert: ActiveAlert, at: int) -> Sequence[float]:
        """Return 25 values of the hour before a time (or before the alert resolved), NaN for a missing value.

        Return no values if the query fails or no series belongs to the alert.
        """
        found = condition(alert.expression)
        if found is None:
            return ()
        labels = dict(alert.labels)
        end = at if alert.resolved_at is None else min(at, alert.resolved_at)
        start = end - _SPAN
        place = next((name for name in _PLACES if labels.get(name)), None)
        matchers = [Matcher(place, "=", labels[place])] if place else []
        try:
            query = with_matchers(found.compared, matchers, step=_STEP, span=_SPAN) if matchers else found.compared
            result = self._queries.range(query, start, end, _STEP, Cancellation(_SECONDS))
        except HubError:
            return ()
        own = [
            (len(one.labels), one)
            for one in result.series
            if all(labels.get(name) == value for name, value in one.labels if name != NAME)
        ]
        if not own:
            return ()
        _, series = max(own, key=lambda pair: pair[0])
        values = np.full(_SPAN // _STEP + 1, np.nan)
        values[(np.asarray(series.times) - start) // _STEP] = series.values
        return values.tolist()
