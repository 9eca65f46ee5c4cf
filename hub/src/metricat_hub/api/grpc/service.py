"""The calls of `metricat.v1.MetricsService`: decode, authorize, call the same use case as REST, encode."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from anyio import CapacityLimiter, to_thread
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from metricat_hub.api.grpc.calls import Calls, statuses
from metricat_hub.api.live.access import check_namespaces
from metricat_hub.api.rest.parameters import LARGEST_PAGE, PAGE, position
from metricat_hub.api.rest.responses import paged
from metricat_hub.model.errors import InvalidParameterError, LimitError
from metricat_hub.protocol.v1 import metrics_pb2 as messages
from metricat_hub.sources.write import json_batch
from metricat_hub.use_cases import history as histories
from metricat_hub.use_cases.live import subscription

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from metricat_hub.api.collect import BatchCollector
    from metricat_hub.api.grpc.calls import Context
    from metricat_hub.api.live.rounds import Delivery
    from metricat_hub.use_cases.live import Round, Subscription
    from metricat_hub.use_cases.metric_names import Aggregation

_WRITES = 2
"""The most batches that are stored at the same time, the same as in `receiver.WriteLimits`."""
_MOST_BYTES = 32 << 20
"""The most bytes of a response."""
_AGGREGATIONS: dict[int, Aggregation] = {
    messages.AGGREGATION_UNSPECIFIED: "",
    messages.AGGREGATION_AVG: "avg",
    messages.AGGREGATION_MIN: "min",
    messages.AGGREGATION_MAX: "max",
    messages.AGGREGATION_SUM: "sum",
    messages.AGGREGATION_COUNT: "count",
    messages.AGGREGATION_LAST: "last",
}


class MetricsService:
    """The handlers of the service. A handler returns a message, or its encoded bytes."""

    def __init__(self, calls: Calls, collector: BatchCollector) -> None:
        self._calls = calls
        self._own = calls.own
        self._collector = collector
        self._writes = CapacityLimiter(_WRITES)

    async def collect_metrics(
        self, request: messages.CollectMetricsRequest, context: Context
    ) -> messages.CollectMetricsResponse:
        """Store a batch of samples."""
        async with statuses(context):
            principal, _ = await self._calls.authorize(context, "write", "writes")

            def store() -> messages.CollectMetricsResponse:
                now = self._own.now()
                batch = json_batch.from_mapping(_batch(request), now)
                content = request.SerializeToString(deterministic=True)
                found = self._collector.collect(principal.name, batch, content, now)
                return messages.CollectMetricsResponse(
                    collector_id=found.collector_id,
                    sequence=found.sequence,
                    accepted=found.accepted,
                    duplicates=found.duplicates,
                    rejected=[
                        messages.RejectedMetric(index=one.index, name=one.name, reason=one.reason)
                        for one in found.rejected
                    ],
                    repeated=found.repeated,
                )

            return await to_thread.run_sync(store, limiter=self._writes)

    async def stream_metrics(self, request: messages.StreamMetricsRequest, context: Context) -> AsyncIterator[bytes]:
        """Yield the newest values of the subscribed metrics at each interval."""
        async with statuses(context):
            principal, credentials = await self._calls.authorize(context, "read", "api")
            namespaces = principal.namespaces
            rounds = self._own.rounds.seen_by(namespaces)
            wanted = subscription(request.metrics, request.nodes)
            since = _milliseconds(request.since) if request.HasField("since") else None
            await rounds.check(wanted, since)
            rounds.connect()
            try:
                async with contextlib.aclosing(
                    rounds.deliveries(wanted, since, "protobuf", encode_round)
                ) as deliveries:
                    async for delivery in deliveries:
                        check_namespaces(await self._own.access.authorize(credentials, "read"), namespaces)
                        yield _head(delivery) + delivery.data
            finally:
                rounds.disconnect()

    async def get_metric_history(
        self, request: messages.GetMetricHistoryRequest, context: Context
    ) -> messages.GetMetricHistoryResponse:
        """Return the values of a metric over time."""
        async with statuses(context):
            principal, _ = await self._calls.authorize(context, "read", "api")
            own = self._own.seen_by(principal)
            wanted = self._history_request(request)
            page = _page(request)
            remaining = context.time_remaining()

            def encode(found: histories.History) -> messages.GetMetricHistoryResponse:
                rows, following = paged(found.rows, page)
                response = messages.GetMetricHistoryResponse(
                    metric=wanted.metric,
                    unit=found.unit,
                    start=_timestamp(wanted.start),
                    end=_timestamp(wanted.end),
                    step=_duration(wanted.step),
                    tier=found.tier,
                    next_page_token=following or "",
                    warnings=found.warnings,
                )
                size = 0
                for row in rows:
                    size += 16 * len(row.times)
                    if size > _MOST_BYTES:
                        raise LimitError(
                            f"the page has more than {_MOST_BYTES} bytes; use a smaller page_size, a longer step, or a "
                            "shorter range"
                        )
                    response.series.add(node=row.node, labels=row.labels, times=row.times, values=row.values)
                return response

            return await own.threads.run_detached(
                lambda cancellation: encode(
                    histories.history(own.store, own.queries, wanted, own.interval, cancellation)
                ),
                remaining,
            )

    def _history_request(self, request: messages.GetMetricHistoryRequest) -> histories.HistoryRequest:
        if not request.metric:
            raise InvalidParameterError("metric", "it is missing; write for example cpu_usage_percent")
        if request.aggregation not in _AGGREGATIONS:
            raise InvalidParameterError("aggregation", f"{request.aggregation} is unknown; use a value of Aggregation")
        now = self._own.now()
        end = _milliseconds(request.end) if request.HasField("end") else now
        start = _milliseconds(request.start) if request.HasField("start") else end - histories.RANGE
        step = histories.usual_step(start, end, self._own.interval)
        if request.HasField("step"):
            step = request.step.ToMilliseconds()
            if step < 1:
                raise InvalidParameterError("step", "it must be above zero; set for example 30 seconds")
        found = histories.HistoryRequest(
            metric=request.metric,
            now=now,
            start=start,
            end=end,
            step=step,
            nodes=request.nodes,
            device=request.device,
            aggregation=_AGGREGATIONS[request.aggregation],
        )
        histories.check(found)
        return found


def encode_round(one: Round, wanted: Subscription) -> bytes:
    """Encode the values of a subscription in a round: the part of a `StreamMetricsResponse` that its clients share."""
    response = messages.StreamMetricsResponse()
    for table, rows in one.selected(wanted):
        metric = response.metrics.add(
            metric=table.metric, unit=table.unit, labels=dict(sorted(table.common)), error=table.error
        )
        for row in rows:
            metric.values.add(node=table.names[row], value=table.values[row], labels=table.others(row))
    return response.SerializeToString()


def _head(delivery: Delivery) -> bytes:
    """Return the other fields of the response. The concatenation of two messages is their union."""
    return messages.StreamMetricsResponse(
        time=_timestamp(delivery.time), skipped=delivery.skipped, replayed=delivery.replayed
    ).SerializeToString()


def _batch(request: messages.CollectMetricsRequest) -> dict[str, Any]:
    """Return the batch as the JSON decoder returns it."""
    found: dict[str, Any] = {
        "collector_id": request.collector_id,
        "hostname": request.hostname,
        "metrics": [
            {
                "name": one.name,
                "value": one.value,
                "labels": dict(one.labels),
                **({"timestamp": _json_time(one.timestamp)} if one.HasField("timestamp") else {}),
            }
            for one in request.metrics
        ],
    }
    if request.HasField("sequence"):
        found["sequence"] = request.sequence
    if request.HasField("timestamp"):
        found["timestamp"] = _json_time(request.timestamp)
    return found


def _json_time(time: Timestamp) -> float:
    """Return seconds, exact to the millisecond."""
    return _milliseconds(time) / 1000


def _page(request: messages.GetMetricHistoryRequest) -> tuple[int, int]:
    if not 0 <= request.page_size <= LARGEST_PAGE:
        raise InvalidParameterError(
            "page_size", f"{request.page_size} is not a number from 1 to {LARGEST_PAGE}; use for example 100"
        )
    try:
        first = position(request.page_token)
    except ValueError:
        raise InvalidParameterError(
            "page_token", "the value is not a token; send next_page_token of the previous response unchanged"
        ) from None
    return first, request.page_size or PAGE


def _milliseconds(time: Timestamp) -> int:
    return time.seconds * 1000 + time.nanos // 1_000_000


def _timestamp(milliseconds: int) -> Timestamp:
    return Timestamp(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)


def _duration(milliseconds: int) -> Duration:
    return Duration(seconds=milliseconds // 1000, nanos=milliseconds % 1000 * 1_000_000)
