"""Listening sockets."""

from __future__ import annotations

import errno
import socket
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metricat_agent.config.settings import Address

BACKLOG = 1024
"""Clients that the kernel queues until the server accepts them; above it, clients retry after a second."""
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class ListenError(Exception):
    """The agent cannot listen on an address. The message holds the cause and the remedy."""


def listen(address: Address) -> socket.socket:
    """Return a listening socket; raise `ListenError` if the address cannot be used.

    Without an IP address, it listens for IPv6 and IPv4, or for IPv4 only if the host lacks IPv6.
    """
    try:
        if not address.ip:
            try:
                return _bind(socket.AF_INET6, ("::", address.port), dual=True)
            except OSError as error:
                if error.errno not in _NO_IPV6:
                    raise
            return _bind(socket.AF_INET, ("0.0.0.0", address.port))  # noqa: S104 -- the setting means every address
        # for a str, Python loads its codec for names with other letters: 0.9 MiB
        host = address.ip.encode() if address.ip.isascii() else address.ip
        family, _, _, _, where = socket.getaddrinfo(host, address.port, type=socket.SOCK_STREAM)[0]
        return _bind(family, where, dual=address.ip == "::")
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE or (sys.platform == "win32" and error.errno == errno.EACCES)
        why = "another process listens there" if taken else error.strerror or str(error)
        raise ListenError(
            f"cannot listen on {address}: {why}; free the address or choose another with --web.listen-address"
        ) from error


def exclusive_option(platform: str) -> int:
    """Return the socket option that reserves a port for one listener, and lets it listen again soon after a restart.

    On Windows, SO_REUSEADDR would let another program listen on the same port and take the agent's clients. A restart
    needs no option there.
    """
    return getattr(socket, "SO_EXCLUSIVEADDRUSE", ~socket.SO_REUSEADDR) if platform == "win32" else socket.SO_REUSEADDR


def _bind(family: int, where: tuple[object, ...], *, dual: bool = False) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, exclusive_option(sys.platform), 1)
        if dual:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(where)
        listener.listen(BACKLOG)
        listener.settimeout(0)
    except BaseException:
        listener.close()
        raise
    return listener
