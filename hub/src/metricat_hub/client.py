"""A client of the hub's gRPC API for Python programs: `pip install 'metricat-hub[grpc]'`.

    with HubClient("hub.example.org:8429", key, authority=Path("ca.pem").read_bytes()) as hub:
        for message in hub.stream(["cpu_usage_percent"]):
            print(message.time.ToDatetime(), message.metrics)

Programs in other languages generate their client from hub/proto.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Self

import grpc

from metricat_hub.protocol.v1 import alerts_pb2 as alert_messages
from metricat_hub.protocol.v1 import metrics_pb2 as messages
from metricat_hub.protocol.v1.alerts_pb2_grpc import AlertServiceStub
from metricat_hub.protocol.v1.metrics_pb2_grpc import MetricsServiceStub

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MOST_BYTES = 64 << 20
_RETRIED = (grpc.StatusCode.UNAVAILABLE,)


class HubClient:
    """A connection to a hub. A failed call raises `grpc.RpcError`."""

    def __init__(
        self,
        address: str,
        key: str,
        *,
        authority: bytes | None = None,
        certificate: tuple[bytes, bytes] | None = None,
        insecure: bool = False,
    ) -> None:
        """Connect when the first call needs it.

        Args:
            address: host and port.
            key: an API key.
            authority: certificates of the CA as PEM; None: those of the system.
            certificate: key and certificate of the client as PEM, if the hub requires one.
            insecure: connect without TLS, for example to this machine.
        """
        options = (("grpc.max_receive_message_length", _MOST_BYTES),)
        if insecure:
            self._channel = grpc.insecure_channel(address, options)
        else:
            private, public = certificate or (None, None)
            credentials = grpc.ssl_channel_credentials(authority, private, public)
            self._channel = grpc.secure_channel(address, credentials, options)
        self.stub = MetricsServiceStub(self._channel)
        """The generated client of the service MetricsService, for calls with other options."""
        self.alert_stub = AlertServiceStub(self._channel)
        """The generated client of the service AlertService."""
        self._metadata = (("authorization", f"Bearer {key}"),)

    def __enter__(self) -> Self:
        """Return the client."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the connection."""
        self._channel.close()

    def collect(self, batch: messages.CollectMetricsRequest, seconds: float = 30) -> messages.CollectMetricsResponse:
        """Send a batch; return what the hub stored and rejected. A batch with a sequence may be sent again."""
        response: messages.CollectMetricsResponse = self.stub.CollectMetrics(
            batch, metadata=self._metadata, timeout=seconds
        )
        return response

    def stream(self, metrics: Sequence[str], nodes: Sequence[str] = ()) -> Iterator[messages.StreamMetricsResponse]:
        """Yield the newest values at each interval, endlessly. After a lost connection, yield the missed ones first."""
        request = messages.StreamMetricsRequest(metrics=metrics, nodes=nodes)
        wait = 1.0
        while True:
            try:
                for message in self.stub.StreamMetrics(request, metadata=self._metadata):
                    request.since.CopyFrom(message.time)
                    wait = 1.0
                    yield message
            except grpc.RpcError as error:
                if error.code() not in _RETRIED:
                    raise
            time.sleep(wait)
            wait = min(2 * wait, 30)

    def history(
        self, request: messages.GetMetricHistoryRequest, seconds: float = 60
    ) -> Iterator[messages.HistorySeries]:
        """Yield the series of all response pages."""
        page = messages.GetMetricHistoryRequest()
        page.CopyFrom(request)
        while True:
            response: messages.GetMetricHistoryResponse = self.stub.GetMetricHistory(
                page, metadata=self._metadata, timeout=seconds
            )
            yield from response.series
            if not response.next_page_token:
                return
            page.page_token = response.next_page_token

    def alert_history(
        self, request: alert_messages.GetAlertHistoryRequest, seconds: float = 60
    ) -> Iterator[alert_messages.AlertEpisode]:
        """Yield the episodes of all response pages."""
        page = alert_messages.GetAlertHistoryRequest()
        page.CopyFrom(request)
        while True:
            response: alert_messages.GetAlertHistoryResponse = self.alert_stub.GetAlertHistory(
                page, metadata=self._metadata, timeout=seconds
            )
            yield from response.episodes
            if not response.next_page_token:
                return
            page.page_token = response.next_page_token
