"""The gRPC server: handlers, reflection, health, limits, and TLS as the web config file sets it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from metricat_agent.config.loader import SettingError
from metricat_hub.api.grpc import alerts
from metricat_hub.api.grpc.alerts import AlertService
from metricat_hub.api.grpc.calls import Calls
from metricat_hub.api.grpc.service import MetricsService
from metricat_hub.api.server import ListenError
from metricat_hub.protocol.v1 import metrics_pb2 as messages

if TYPE_CHECKING:
    import ssl

    from metricat_agent.config.settings import Address
    from metricat_agent.web.access.authentication import Authenticator
    from metricat_hub.api.collect import BatchCollector
    from metricat_hub.api.services import Services

SERVICE = messages.DESCRIPTOR.services_by_name["MetricsService"].full_name
SERVICES = (SERVICE, alerts.SERVICE)
_RECEIVED_BYTES = 8 << 20
"""The most bytes of a request, the same as for HTTP."""
_SENT_BYTES = 64 << 20
_CALLS = 200
"""The most concurrent calls, in addition to live connections. Further calls get RESOURCE_EXHAUSTED."""
_STOP_SECONDS = 1
_LOG = logging.getLogger(__name__)


class GrpcServer:
    """The gRPC server on one address."""

    def __init__(
        self, own: Services, collector: BatchCollector, listen: Address, web_config: Authenticator | None
    ) -> None:
        """Prepare the server in the running event loop.

        Raises:
            ListenError: the address cannot be used.
            SettingError: gRPC cannot do what the web config file requires.
        """
        live = own.settings.live.connections if own.settings else 0
        self._server = grpc.aio.server(maximum_concurrent_rpcs=_CALLS + live, options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        calls = Calls(own, web_config)
        service = MetricsService(calls, collector)
        self._server.add_generic_rpc_handlers((_handlers(service), AlertService(calls).handlers()))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (*SERVICES, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(names, self._server)
        address = f"{f'[{listen.ip}]' if ':' in listen.ip else listen.ip or '[::]'}:{listen.port}"
        try:
            if web_config and web_config.tls_enabled:
                self.port = self._server.add_secure_port(address, _credentials(web_config))
            else:
                self.port = self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise ListenError(f"cannot listen on {listen} for gRPC. Set another address with --grpc.listen.") from error

    async def start(self) -> None:
        """Start to serve, and report the services as healthy."""
        await self._server.start()
        for name in ("", *SERVICES):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def stop(self) -> None:
        """Stop the server. Running calls have `_STOP_SECONDS` to finish."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(_STOP_SECONDS)


_OPTIONS = (
    ("grpc.max_receive_message_length", _RECEIVED_BYTES),
    ("grpc.max_send_message_length", _SENT_BYTES),
    ("grpc.so_reuseport", 0),  # a second server on the same port must fail
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 40_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_connection_idle_ms", 300_000),
)


def _handlers(service: MetricsService) -> grpc.GenericRpcHandler:
    """Return the handlers, which serialize messages, and pass bytes on that are shared between clients."""
    methods: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
        "CollectMetrics": grpc.unary_unary_rpc_method_handler(
            service.collect_metrics,
            messages.CollectMetricsRequest.FromString,
            messages.CollectMetricsResponse.SerializeToString,
        ),
        "StreamMetrics": grpc.unary_stream_rpc_method_handler(
            service.stream_metrics,
            messages.StreamMetricsRequest.FromString,
            _same,
        ),
        "GetMetricHistory": grpc.unary_unary_rpc_method_handler(
            service.get_metric_history,
            messages.GetMetricHistoryRequest.FromString,
            messages.GetMetricHistoryResponse.SerializeToString,
        ),
    }
    return grpc.method_handlers_generic_handler(SERVICE, methods)


def _same(data: bytes) -> bytes:
    return data


def _credentials(web_config: Authenticator) -> grpc.ServerCredentials:
    """Return credentials that use the current files for each connection; raise `SettingError` if gRPC cannot."""
    rules = web_config.current()
    context = rules.context
    assert context is not None  # noqa: S101 -- tls_enabled
    if not {"cert_file", "key_file"} <= rules.tls_files.keys():
        raise SettingError(
            "--grpc.listen does not support `cert` or `key` in the web config file; use cert_file and key_file"
        )
    if context.minimum_version.name == "TLSv1_3":
        raise SettingError("--grpc.listen cannot enforce min_version TLS13 of the web config file; set it to TLS12")
    stamp: object = None

    def changed() -> Any:
        nonlocal stamp
        try:
            found = _files(web_config)
        except OSError as error:
            _LOG.error(
                "cannot read %s; the gRPC server keeps the previous certificate. Check the file and its permissions.",
                error.filename,
            )
            return None
        if found == stamp:
            return None
        stamp = found
        return _configuration(found)

    stamp = _files(web_config)
    return grpc.dynamic_ssl_server_credentials(_configuration(stamp), changed, _requires_certificate(context))


def _files(web_config: Authenticator) -> tuple[bytes, bytes, bytes | None]:
    """Return key, certificate and the clients' CA."""
    names = web_config.current().tls_files
    authority = Path(names["client_ca_file"]).read_bytes() if "client_ca_file" in names else None
    return Path(names["key_file"]).read_bytes(), Path(names["cert_file"]).read_bytes(), authority


def _configuration(found: tuple[bytes, bytes, bytes | None]) -> grpc.ServerCertificateConfiguration:
    key, certificate, authority = found
    return grpc.ssl_server_certificate_configuration([(key, certificate)], authority)


def _requires_certificate(context: ssl.SSLContext) -> bool:
    return context.verify_mode.name == "CERT_REQUIRED"


__all__ = ["GrpcServer"]
