"""The HTTP server: uvicorn with the hub's own listening socket and TLS, and without signal handlers."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

import uvicorn

from metricat_hub.api.connection import ConnectionLimits, LimitedConnection
from metricat_hub.api.live import transport
from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from metricat_agent.config.settings import Address
    from metricat_agent.web.access.authentication import Authenticator

_BACKLOG = 512
_KEEP_ALIVE_SECONDS = 75
_STOP_SECONDS = 5


class ListenError(HubError):
    """The hub cannot listen on an address. The message says what to do."""


class Server(uvicorn.Server):
    """The HTTP server of one ASGI application."""

    def __init__(
        self,
        app: Any,
        listener: socket.socket,
        authenticator: Authenticator | None,
        ready: Callable[[], None],
        limits: ConnectionLimits | None = None,
    ) -> None:
        """Serve on the socket, with the TLS rules of `authenticator` if it has any; call `ready` when it serves."""
        secure = authenticator if authenticator and authenticator.tls_enabled else None
        config = uvicorn.Config(
            app,
            http=_protocol(limits or ConnectionLimits(), secure),
            ssl_context_factory=(lambda _config, _default: _context(secure)) if secure else None,
            ws=transport.protocol,  # type: ignore[arg-type] # a function, which imports wsproto when it is needed
            ws_max_size=transport.MAX_BYTES,
            ws_ping_interval=transport.PING_SECONDS,
            ws_ping_timeout=transport.PONG_SECONDS,
            ws_per_message_deflate=False,  # it would compress each message once for each client
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the peer of the connection is the client: any header can be forged
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        super().__init__(config)
        self._listener = listener
        self._ready = ready
        self._stopping = asyncio.Event()

    async def run_until_stopped(self) -> None:
        """Serve until `stop` is called."""
        await self.serve(sockets=[self._listener])

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to serve, then call `ready`."""
        await super().startup(sockets)
        self._ready()

    async def main_loop(self) -> None:
        """Update the header `Date` each second until `stop` is called. uvicorn's own loop wakes ten times a second."""
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), 1)

    def stop(self) -> None:
        """Stop accepting requests, finish the running ones, and return from `run_until_stopped`."""
        self.should_exit = True
        self._stopping.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers: the caller handles signals."""
        yield


def listen(address: Address) -> socket.socket:
    """Open a listening socket; raise `ListenError` if the address is not available."""
    family = socket.AF_INET6 if ":" in address.ip or not address.ip else socket.AF_INET
    try:
        dual = not address.ip and socket.has_dualstack_ipv6()
        if not address.ip and not dual:
            family = socket.AF_INET
        return socket.create_server((address.ip, address.port), family=family, backlog=_BACKLOG, dualstack_ipv6=dual)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise ListenError(f"cannot listen on {address}: {why}. Set another address with --listen.") from error


def _context(authenticator: Authenticator) -> ssl.SSLContext:
    """Return a context that uses the current certificate of the files for each connection."""
    context = authenticator.current().context
    assert context is not None  # noqa: S101 -- tls_enabled

    def use_current(connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        current = authenticator.current().context
        if current is not None:
            connection.context = current

    context.sni_callback = use_current
    return context


def _protocol(connection_limits: ConnectionLimits, authenticator: Authenticator | None) -> type[LimitedConnection]:
    """Return a protocol with these limits, which closes connections whose client certificate has no allowed name."""

    class Protocol(LimitedConnection):
        limits = connection_limits

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            """Accept the connection, or close it if it exceeds a limit."""
            found: ssl.SSLObject | None = transport.get_extra_info("ssl_object")
            super().connection_made(transport)
            if authenticator and found is not None and not authenticator.allows(found.getpeercert() or {}):
                transport.close()

    return Protocol
