"""The last hour of an alert's value."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from metricat_hub.promql.limits import Limits
from metricat_hub.use_cases.queries import Queries
from metricat_hub.use_cases.trends import Trends
from support.hub_store import BEGIN, Clock, labels, open_store, write
from support.notifications import alert

if TYPE_CHECKING:
    from pathlib import Path

HOUR, STEP = 3_600_000, 150_000


def test_trend_has_the_values_of_the_alerts_series(tmp_path: Path) -> None:
    at = BEGIN + HOUR
    clock = Clock(at)
    times = range(BEGIN + HOUR // 2, at + 1, STEP)
    with closing(open_store(tmp_path, clock)) as store:
        write(
            store,
            {
                labels("usage", node="web-1", resource="cpu"): [(time, float(time - BEGIN)) for time in times],
                labels("usage", node="web-2", resource="cpu"): [(time, 1.0) for time in times],
                labels("usage", node="web-1", resource="memory"): [(time, 2.0) for time in times],
            },
        )
        trends = Trends(Queries(store, Limits()))
        firing = replace(alert(), expression="usage >= 1000")
        found = trends(firing, at)
        assert len(found) == 25
        assert [math.isnan(one) for one in found] == [True] * 12 + [False] * 13
        assert found[12:] == [float(time - BEGIN) for time in times]
        assert trends(replace(firing, expression="usage unless other"), at) == ()
        assert trends(replace(firing, expression="missing > 1"), at) == ()
        assert trends(replace(firing, expression="rate(usage) > 1"), at) == ()
