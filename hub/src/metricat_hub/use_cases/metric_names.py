"""What the REST API calls a metric: a measure by its plain name, or a series' metric name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.model.durations import format_duration
from metricat_hub.model.errors import InvalidQueryError
from metricat_hub.model.measures import BY_NAME, MEASURES, quote

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.ports import Matcher

Aggregation: TypeAlias = Literal["", "avg", "min", "max", "sum", "count", "last"]
AGGREGATIONS = ("avg", "min", "max", "sum", "count", "last")
_METRIC = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*", re.ASCII)
_UNITS = (
    ("_bytes", "bytes"),
    ("_seconds", "seconds"),
    ("_ratio", "ratio"),
    ("_percent", "percent"),
    ("_celsius", "celsius"),
    ("_hertz", "hertz"),
    ("_volts", "volts"),
    ("_amperes", "amperes"),
    ("_joules", "joules"),
    ("_watts", "watts"),
    ("_rpm", "rotations/minute"),
    ("_info", ""),
)
"""Units by the suffix of a metric's name, without `_total`."""
_SUBQUERY_POINTS = 60
"""Most evaluations of a measure for one aggregated point."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that a request names."""

    name: str
    unit: str
    expression: str
    is_selector: bool
    """Whether the expression is a selector, to which a range can be added."""

    def aggregated(self, aggregation: Aggregation, step: int, interval: int) -> str:
        """Return the expression for one point of each step, in milliseconds, from all samples since the last point."""
        if not aggregation:
            return self.expression
        window = format_duration(step)
        if self.is_selector:
            return f"{aggregation}_over_time({self.expression}[{window}])"
        resolution = format_duration(max(interval, step // _SUBQUERY_POINTS))
        return f"{aggregation}_over_time({self.expression}[{window}:{resolution}])"


def metric(name: str, matchers: Sequence[Matcher], interval: int) -> Metric:
    """Return the metric that a name means, restricted to some series.

    Raises:
        InvalidQueryError: the name is not a metric name.
    """
    if measure := BY_NAME.get(name):
        expression = measure.expression(rate_window(interval), matchers)
        return Metric(name, measure.unit, expression, is_selector=expression.endswith("}"))
    if not _METRIC.fullmatch(name):
        raise InvalidQueryError(
            f"invalid metric name {name[:100]!r}; "
            f"use a measure such as {MEASURES[0].name}, or a name such as node_load1"
        )
    selector = ",".join(f"{one.name}{one.operator}{quote(one.value)}" for one in matchers)
    return Metric(name, unit(name), f"{name}{{{selector}}}", is_selector=True)


def rate_window(interval: int) -> int:
    """Return the window of rates in milliseconds: four scrapes, but at least a minute."""
    return max(4 * interval, 60_000)


def unit(name: str) -> str:
    """Return the unit of a metric by the suffix of its name; empty if it has none."""
    base = name.removesuffix("_total").removesuffix("_sum")
    return next((unit for suffix, unit in _UNITS if base.endswith(suffix)), "")
