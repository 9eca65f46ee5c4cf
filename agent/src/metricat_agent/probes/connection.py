"""Connections with a deadline for all their steps together."""

from __future__ import annotations

import io
import socket
import time
from typing import TYPE_CHECKING

from metricat_agent.probes.result import ProbeError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from metricat_agent.probes.result import Result
    from metricat_agent.probes.target import Target

_FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6, "": socket.AF_UNSPEC}
Endpoint = tuple[socket.AddressFamily, tuple[object, ...]]


class Deadline:
    """The time by which a probe must end."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Return the remaining seconds; raise `ProbeError` if none remain."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise ProbeError("timeout", "the probe did not end within its timeout")
        return left


class Connection(io.RawIOBase):
    """A connected socket whose reads and writes end at the deadline, also if the peer sends one byte at a time."""

    def __init__(self, connected: socket.socket, deadline: Deadline) -> None:
        super().__init__()
        self.socket = connected
        self._deadline = deadline

    def readable(self) -> bool:
        """Return True: the connection can be read."""
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read at most as many bytes as fit; return 0 at the end of the stream."""
        self.socket.settimeout(self._deadline.left())
        return self.socket.recv_into(buffer)

    def send(self, data: bytes) -> None:
        """Send all bytes."""
        self.socket.settimeout(self._deadline.left())
        self.socket.sendall(data)

    def makefile(self, *_: object) -> io.BufferedReader:
        """Return a buffered reader, as `http.client.HTTPResponse` expects."""
        return io.BufferedReader(self)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close()
        super().close()


def resolve(target: Target, host: str, port: int, kind: socket.SocketKind, result: Result) -> Endpoint:
    """Return the first address of a name; raise `ProbeError` if it does not resolve. Record the phase in `result`."""
    began = time.monotonic()
    try:
        found = socket.getaddrinfo(host, port or None, _FAMILIES[target.ip_protocol], kind)
    except (OSError, UnicodeError) as error:
        raise ProbeError("resolve", f"cannot resolve {host}: {error}") from error
    finally:
        result.add_phase("resolve", time.monotonic() - began)
    family, *_, address = found[0]
    result.ip_version = 6 if family == socket.AF_INET6 else 4
    return family, address


def connect(target: Target, host: str, port: int, deadline: Deadline, result: Result) -> Connection:
    """Return a TCP connection; raise `ProbeError` if it cannot be opened in time. Record the phases in `result`."""
    family, address = resolve(target, host, port, socket.SOCK_STREAM, result)
    left = deadline.left()
    began = time.monotonic()
    opened = socket.socket(family, socket.SOCK_STREAM)
    try:
        opened.settimeout(left)
        opened.connect(address)
    except OSError as error:
        opened.close()
        reason = "timeout" if isinstance(error, TimeoutError) else "connect"
        raise ProbeError(reason, f"cannot connect to {address[0]} port {port}: {error}") from error
    finally:
        result.add_phase("connect", time.monotonic() - began)
    return Connection(opened, deadline)
