"""Starts the gRPC server if grpc.listen is set."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from metricat_agent.config.loader import SettingError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from metricat_agent.web.access.authentication import Authenticator
    from metricat_hub.api.collect import BatchCollector
    from metricat_hub.api.services import Services
    from metricat_hub.config.settings import Settings


@asynccontextmanager
async def serving_grpc(
    settings: Settings, services: Services, collector: BatchCollector, web_config: Authenticator | None
) -> AsyncIterator[None]:
    """Serve gRPC during the context, on the address of the settings; without an address, do nothing.

    Raises:
        SettingError: a package is missing, or the web config file has a rule that gRPC cannot enforce.
        ListenError: the address is not available.
    """
    listen = settings.live.grpc_listen
    if listen is None:
        yield
        return
    try:
        from metricat_hub.api.grpc.server import GrpcServer  # noqa: PLC0415 -- takes 21 MiB
    except ImportError as error:
        raise SettingError(
            f"--grpc.listen={listen}: the Python package {error.name} is missing; "
            "install it with: pip install 'metricat-hub[grpc]'"
        ) from None
    server = GrpcServer(services, collector, listen, web_config)
    await server.start()
    try:
        yield
    finally:
        await server.stop()
