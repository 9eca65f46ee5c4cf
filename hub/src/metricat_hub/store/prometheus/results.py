"""Decodes query results from Prometheus' JSON to numpy arrays. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec
import numpy as np

from metricat_hub.model.errors import UnsupportedQueryError
from metricat_hub.model.labels import from_mapping
from metricat_hub.model.ports import Series
from metricat_hub.promql.engine import Result

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times
    from metricat_hub.promql.limits import Limits

Point = tuple[float, str]


class _Instant(msgspec.Struct):
    metric: dict[str, str]
    value: Point | None = None


class _Range(msgspec.Struct):
    metric: dict[str, str]
    values: list[Point] = []
    histograms: msgspec.Raw = msgspec.Raw(b"")


class _Data(msgspec.Struct):
    kind: Literal["vector", "scalar", "string", "matrix"] = msgspec.field(name="resultType")
    result: msgspec.Raw
    stats: dict[str, object] | None = None


_DATA = msgspec.json.Decoder(_Data)
_VECTOR = msgspec.json.Decoder(list[_Instant])
_MATRIX = msgspec.json.Decoder(list[_Range])
_POINT = msgspec.json.Decoder(Point)


def decode(
    data: msgspec.Raw, at: int, limits: Limits, *, warnings: Sequence[str] = (), infos: Sequence[str] = ()
) -> Result:
    """Decode the result of a query.

    Args:
        data: the member `data` of the response.
        at: the time of the evaluation in milliseconds; for a range query, the end.
        limits: limits of series and samples.
        warnings: the warnings in the response.
        infos: the infos in the response.

    Raises:
        LimitError: the result exceeds a limit.
        UnsupportedQueryError: the result has native histograms.
        msgspec.MsgspecError: the data is not a result.
    """
    found = _DATA.decode(data)
    samples = _samples(found.stats)
    match found.kind:
        case "vector":
            rows = _VECTOR.decode(found.result)
            limits.check_series(len(rows))
            if any(one.value is None for one in rows):
                raise _histograms()
            values = np.fromiter((float(one.value[1]) for one in rows if one.value), np.float64, len(rows))
            labels = [from_mapping(one.metric) for one in rows]
            return Result("vector", at, labels, values, warnings=warnings, infos=infos, samples=samples)
        case "matrix":
            return Result(
                "matrix", at, series=_series(found.result, limits), warnings=warnings, infos=infos, samples=samples
            )
        case "scalar":
            _, text = _POINT.decode(found.result)
            return Result("scalar", at, values=np.array([float(text)]), warnings=warnings, infos=infos)
        case "string":
            _, text = _POINT.decode(found.result)
            return Result("string", at, text=text, warnings=warnings, infos=infos)


def _series(data: msgspec.Raw, limits: Limits) -> list[Series]:
    rows = _MATRIX.decode(data)
    limits.check_series(len(rows))
    limits.check_samples(sum([len(one.values) for one in rows]))
    if any(bytes(one.histograms) for one in rows):
        raise _histograms()
    found: list[Series] = []
    shared: tuple[list[float], Times] | None = None
    for one in rows:
        seconds = [point[0] for point in one.values]
        if shared is None or shared[0] != seconds:  # series without gaps have the same times
            shared = seconds, np.rint(np.array(seconds, np.float64) * 1000).astype(np.int64)
        values = np.array([float(point[1]) for point in one.values], np.float64)
        found.append(Series(from_mapping(one.metric), shared[1], values))
    return found


def _samples(stats: dict[str, object] | None) -> int:
    counts = (stats or {}).get("samples")
    total = counts.get("totalQueryableSamples") if isinstance(counts, dict) else None
    return total if isinstance(total, int) else 0


def _histograms() -> UnsupportedQueryError:
    return UnsupportedQueryError(
        "the result has native histograms, which the hub does not support. Query the server itself, or use "
        "histogram_quantile, histogram_count or histogram_sum."
    )


def sorted_labels(rows: Sequence[dict[str, str]]) -> list[Labels]:
    """Return label sets, sorted."""
    return sorted(map(from_mapping, rows))
