"""The messages of the WebSocket: JSON objects with a `type`. docs/hub/live.md describes them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from metricat_hub.model.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.api.live.rounds import Delivery
    from metricat_hub.use_cases.live import Round, Subscription, Table


class Subscribe(msgspec.Struct, tag="subscribe", forbid_unknown_fields=True):
    """Subscribe to metrics. It replaces the client's previous subscription."""

    metrics: list[str]
    nodes: list[str] | None = None
    since: str | float | None = None


class Unsubscribe(msgspec.Struct, tag="unsubscribe", forbid_unknown_fields=True):
    """End the subscription."""


class Ping(msgspec.Struct, tag="ping", forbid_unknown_fields=True):
    """Request a `pong` message. Browsers cannot send the ping frames of the WebSocket protocol."""


Received: TypeAlias = Subscribe | Unsubscribe | Ping


class SubscribedMetric(msgspec.Struct):
    """A metric of the subscription, with its unit."""

    metric: str
    unit: str


class Subscribed(msgspec.Struct, tag="subscribed"):
    """The hub has accepted the subscription. Messages of type `round` with the values follow."""

    metrics: list[SubscribedMetric]
    nodes: list[str] | None
    interval_seconds: float


class Unsubscribed(msgspec.Struct, tag="unsubscribed"):
    """The subscription has ended. No messages of type `round` follow."""


class Pong(msgspec.Struct, tag="pong"):
    """The response to a `ping` message."""

    time: str


class Error(msgspec.Struct, tag="error"):
    """The hub rejects a message, or closes the connection. `status` is an HTTP status code."""

    status: int
    detail: str


def decode(text: str) -> Received:
    """Decode a received message; raise `msgspec.DecodeError` if it is not valid."""
    found: Received = _DECODER.decode(text)
    return found


def encode(message: msgspec.Struct) -> str:
    """Encode a message as JSON text."""
    return msgspec.json.encode(message).decode()


def round_text(delivery: Delivery) -> str:
    """Return the message of type `round` for one client."""
    replayed = ',"replayed":true' if delivery.replayed else ""
    head = f'{{"type":"round","time":"{rfc3339(delivery.time)}","skipped":{delivery.skipped}{replayed},"data":'
    return f"{head}{delivery.data.decode()}}}"


class Value(msgspec.Struct, omit_defaults=True):
    """The value of one series; null if it is NaN or infinite."""

    node: str
    value: float
    labels: dict[str, str] = {}
    """Labels of the series except the node, the metric name, and the labels that all values of the metric have."""


class MetricValues(msgspec.Struct, omit_defaults=True):
    """The values of one metric in a round."""

    metric: str
    unit: str
    values: list[Value]
    labels: dict[str, str] = {}
    """Labels that all values of the metric have."""
    error: str = ""
    """Why the evaluation of the metric failed; missing: it succeeded."""


def encode_round(one: Round, wanted: Subscription) -> bytes:
    """Encode the values of a subscription in a round as JSON. NaN and infinities become null."""
    return msgspec.json.encode([_metric_values(table, rows) for table, rows in one.selected(wanted)])


def _metric_values(table: Table, rows: Sequence[int]) -> MetricValues:
    values = [Value(table.names[row], table.values[row], table.others(row)) for row in rows]
    return MetricValues(table.metric, table.unit, values, dict(sorted(table.common)), table.error)


_DECODER: msgspec.json.Decoder[Received] = msgspec.json.Decoder(Received)
