"""Names of metrics in the REST API: the name of a measure, or the metric name of stored series."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from metricat_hub.model.durations import format_duration
from metricat_hub.model.errors import InvalidQueryError, UnknownMetricError
from metricat_hub.model.labels import NAME
from metricat_hub.model.measures import BY_NAME, MEASURES, quote
from metricat_hub.model.ports import Matcher

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from metricat_hub.model.ports import Reader

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
_HOUR = 3_600_000
_LONGEST_UNUSED = 31 * 24 * _HOUR
"""Milliseconds for which a metric is known after its last sample."""
_SUBQUERY_POINTS = 60
"""The most evaluations of a measure for one aggregated point."""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric of a request, with its PromQL expression and unit."""

    name: str
    unit: str
    expression: str
    is_selector: bool
    """Whether the expression is a selector, so that a range can be appended."""

    def aggregated(self, aggregation: Aggregation, step: int, interval: int) -> str:
        """Return the expression that aggregates all samples of each step to one point; times are in milliseconds."""
        if not aggregation:
            return self.expression
        window = format_duration(step)
        if self.is_selector:
            return f"{aggregation}_over_time({self.expression}[{window}])"
        resolution = format_duration(max(interval, step // _SUBQUERY_POINTS))
        return f"{aggregation}_over_time({self.expression}[{window}:{resolution}])"


def metric(name: str, matchers: Sequence[Matcher], interval: int, step: int = 0) -> Metric:
    """Return the metric with a name, restricted to matching series.

    Args:
        name: a measure or a metric name.
        matchers: label matchers that select series.
        interval: the usual time between two samples in milliseconds.
        step: the time between two evaluations in milliseconds. Rates cover the whole step.

    Raises:
        InvalidQueryError: the name is not a metric name.
    """
    if measure := BY_NAME.get(name):
        expression = measure.expression(max(rate_window(interval), step), matchers)
        return Metric(name, measure.unit, expression, is_selector=expression.endswith("}"))
    if not _METRIC.fullmatch(name):
        raise InvalidQueryError(
            f"invalid metric name {name[:100]!r}; "
            f"use a measure such as {MEASURES[0].name}, or a name such as node_load1"
        )
    selector = ",".join(f"{one.name}{one.operator}{quote(one.value)}" for one in matchers)
    return Metric(name, unit(name), f"{name}{{{selector}}}", is_selector=True)


def check_known(reader: Reader, names: Sequence[str], now: int) -> None:
    """Raise an error for a name that is neither a measure nor the name of stored series.

    Raises:
        InvalidQueryError: a name is not a metric name.
        UnknownMetricError: no series has the name. The message contains similar names.
    """
    for name in names:
        metric(name, (), _HOUR)
        if name in BY_NAME or reader.series([[Matcher(NAME, "=", name)]], now - _LONGEST_UNUSED, now):
            continue
        known = [*BY_NAME, *reader.label_values(NAME, [], now - _HOUR, now)]
        from difflib import get_close_matches  # noqa: PLC0415 -- needed only for an error

        near = get_close_matches(name, known, 3, 0.6)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise UnknownMetricError(
            f"no metric has the name {name}; {hint}list the measures with: GET /api/v1/metrics/measures"
        )


def matchers(nodes: Iterable[str], device: str = "") -> list[Matcher]:
    """Return label matchers for nodes and a device. An empty value selects all."""
    found = []
    if chosen := sorted(set(nodes)):
        one = len(chosen) == 1
        found.append(Matcher("node", "=" if one else "=~", chosen[0] if one else "|".join(map(_quoted, chosen))))
    if device:
        found.append(Matcher("device", "=", device))
    return found


def split_node(labels: Iterable[tuple[str, str]]) -> tuple[str, dict[str, str]]:
    """Return the node of a series, and its other labels without the metric name."""
    others = dict(labels)
    others.pop(NAME, None)
    return others.pop("node", ""), others


def rate_window(interval: int) -> int:
    """Return the window of rates in milliseconds: four intervals, but at least a minute."""
    return max(4 * interval, 60_000)


def unit_of(name: str) -> str:
    """Return the unit of a measure or a metric; empty if it has none."""
    return measure.unit if (measure := BY_NAME.get(name)) else unit(name)


def unit(name: str) -> str:
    """Return the unit of a metric by the suffix of its name; empty if it has none."""
    base = name.removesuffix("_total").removesuffix("_sum")
    return next((unit for suffix, unit in _UNITS if base.endswith(suffix)), "")


def _quoted(text: str) -> str:
    """Return a regular expression in RE2's syntax that matches exactly this text."""
    return re.sub(r"([^A-Za-z0-9_])", r"\\\1", text)
