"""Converts OTLP metrics to samples. Pure.

Gauges, sums and summaries keep their form, and explicit histograms become classic histograms. Delta temporality is
rejected, because its conversion needs the state of all earlier points. Exponential histograms are rejected, because
they require native histograms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from metricat_hub.model.metadata import Metadata, MetricType
from metricat_hub.model.samples import STALE
from metricat_hub.sources.write.columns import Columns, checked
from metricat_hub.sources.write.errors import DecodeError, InvalidSeriesError
from metricat_hub.sources.write.otlp.names import label_name, metric_name, number_text, unit_name, value_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_hub.model.labels import Labels
    from metricat_hub.sources.write.otlp.messages import Message

_DELTA, _CUMULATIVE = 1, 2
_IDENTIFYING = ("service.namespace", "service.name", "service.instance.id")
_INFO = "target_info"
_INFO_STEP = 150_000
"""Milliseconds between two samples of `target_info`: half of PromQL's lookback period."""
_MOST_INFO = 1000
"""The most samples of `target_info` for one resource in a request."""
_DECLARATION = Metadata("gauge", "Target metadata")
_KINDS = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")


def decode(request: Message) -> tuple[Columns, int]:
    """Return the samples, and the number of rejected data points, whose errors are in `Columns.invalid`.

    Raises:
        DecodeError: the request does not have the structure of OTLP.
    """
    decoder = _Decoder()
    try:
        for resource in request.get("resourceMetrics") or ():
            decoder.resource(resource)
        return decoder.columns(), decoder.rejected
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        raise DecodeError(f"the body is not an OTLP request for metrics: {error}") from None


class _Decoder:
    def __init__(self) -> None:
        self.rejected = 0
        self._labels: list[Labels] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._metadata: dict[str, Metadata] = {}
        self._invalid: list[str] = []

    def columns(self) -> Columns:
        return Columns(
            list(self._labels),
            np.array(self._times, dtype=np.int64),
            np.array(self._values, dtype=np.float64),
            lambda key: cast("Labels", key),
            self._metadata,
            invalid=self._invalid,
        )

    def resource(self, resource: Message) -> None:
        attributes = _attributes((resource.get("resource") or {}).get("attributes"))
        identity = {}
        if "service.name" in attributes:
            parts = [attributes[name] for name in _IDENTIFYING[:2] if name in attributes]
            identity["job"] = "/".join(parts)
        if "service.instance.id" in attributes:
            identity["instance"] = attributes["service.instance.id"]
        times: list[int] = []
        for scope in resource.get("scopeMetrics") or ():
            for metric in scope.get("metrics") or ():
                times += self._metric(metric, identity)
        self._target_info(attributes, identity, times)

    def _metric(self, metric: Message, identity: Mapping[str, str]) -> list[int]:
        """Add the samples of a metric; return the times of its points."""
        kind = next((name for name in _KINDS if name in metric), "")
        content = metric.get(kind) or {}
        points = content.get("dataPoints") or []
        times = [_time(point) for point in points]
        name = str(metric.get("name", ""))
        unit = str(metric.get("unit", ""))
        temporality = int(content.get("aggregationTemporality", 0))
        is_counter = kind == "sum" and bool(content.get("isMonotonic"))
        if not kind:
            self._reject(name, 1, "the metric has no data, or an unknown type; send a gauge, sum, histogram or summary")
        elif kind == "exponentialHistogram":
            self._reject(name, len(points), "exponential histograms are not supported; send explicit buckets")
        elif kind in ("sum", "histogram") and temporality != _CUMULATIVE:
            what = "delta temporality" if temporality == _DELTA else "the aggregation temporality"
            self._reject(
                name,
                len(points),
                f"{what} is not supported; set the temporality preference of the exporter to cumulative",
            )
        else:
            try:
                family = metric_name(name, unit, is_counter=is_counter, is_gauge=kind == "gauge")
            except ValueError as error:
                self._reject(name, len(points), str(error))
                return times
            type_: MetricType = "counter" if is_counter else "gauge" if kind == "sum" else cast("MetricType", kind)
            self._metadata[family] = Metadata(type_, str(metric.get("description", "")), unit_name(unit))
            for point, time in zip(points, times, strict=True):
                self._point(name, family, kind, point, time, identity)
        return times

    def _point(  # noqa: PLR0913, PLR0917 -- a point and its context
        self, name: str, family: str, kind: str, point: Message, time: int, identity: Mapping[str, str]
    ) -> None:
        stale = bool(int(point.get("flags", 0)) & 1)
        try:
            base = {**_labels(_attributes(point.get("attributes"))), **identity}
            samples = [
                (checked({**base, **extra, "__name__": family + suffix}.items()), STALE if stale else value)
                for suffix, extra, value in _samples(kind, point)
            ]
        except (InvalidSeriesError, ValueError) as error:
            self._reject(name, 1, str(error))
            return
        for labels, value in samples:
            self._add(labels, time, value)

    def _add(self, labels: Labels, time: int, value: float) -> None:
        self._labels.append(labels)
        self._times.append(time)
        self._values.append(value)

    def _reject(self, name: str, points: int, reason: str) -> None:
        self.rejected += points
        self._invalid.append(f"{name[:200]}: {reason}")

    def _target_info(self, attributes: Mapping[str, str], identity: Mapping[str, str], times: list[int]) -> None:
        """Add samples of `target_info` with the other attributes, from the first to the last point."""
        others = {name: text for name, text in attributes.items() if name not in _IDENTIFYING}
        if not (times and others and identity):
            return
        try:
            labels = checked({**_labels(others), **identity, "__name__": _INFO}.items())
        except (InvalidSeriesError, ValueError) as error:
            self._invalid.append(f"{_INFO}: {error}")
            return
        self._metadata[_INFO] = _DECLARATION
        first, last = min(times), max(times)
        for time in (*range(first, last, _INFO_STEP)[-_MOST_INFO:], last):
            self._add(labels, time, 1.0)


def _samples(kind: str, point: Message) -> Iterator[tuple[str, dict[str, str], float]]:
    """Yield suffix, further labels and value of each sample of a point."""
    if kind in ("gauge", "sum"):
        yield "", {}, _number(point.get("asDouble")) if "asDouble" in point else float(int(point.get("asInt", 0)))
        return
    count = float(int(point.get("count", 0)))
    if kind == "summary" or "sum" in point:
        yield "_sum", {}, _number(point.get("sum", 0.0))
    yield "_count", {}, count
    if kind == "summary":
        for quantile in point.get("quantileValues") or ():
            text = number_text(_number(quantile.get("quantile", 0.0)))
            yield "", {"quantile": text}, _number(quantile.get("value", 0.0))
        return
    total = 0
    bounds, counts = point.get("explicitBounds") or (), point.get("bucketCounts") or ()
    for bound, number in zip(bounds, counts, strict=False):
        total += int(number)
        yield "_bucket", {"le": number_text(_number(bound))}, float(total)
    yield "_bucket", {"le": "+Inf"}, count


def _number(given: Any) -> float:
    """Return a number, which JSON writes as text if it is not finite."""
    return float(given)


def _time(point: Message) -> int:
    return int(point.get("timeUnixNano", 0)) // 1_000_000


def _attributes(given: list[Message] | None) -> dict[str, str]:
    """Return the attributes with their values as texts."""
    return {str(one["key"]): value_text(one.get("value") or {}) for one in given or ()}


def _labels(attributes: Mapping[str, str]) -> dict[str, str]:
    """Return the attributes as labels. The values of names that become equal are joined."""
    found: dict[str, str] = {}
    for name, value in sorted(attributes.items()):
        if name == "__name__":
            continue
        label = label_name(name)
        found[label] = f"{found[label]};{value}" if found.get(label) else value
    return found
