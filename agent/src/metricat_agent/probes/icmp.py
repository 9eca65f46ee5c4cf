"""Probes by ICMP echo (RFC 792, RFC 4443).

They need an unprivileged ICMP socket, which Linux allows to the groups in net.ipv4.ping_group_range, or CAP_NET_RAW.
"""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import TYPE_CHECKING

from metricat_agent.probes.connection import resolve
from metricat_agent.probes.result import ProbeError

if TYPE_CHECKING:
    from metricat_agent.probes.connection import Deadline
    from metricat_agent.probes.result import Result
    from metricat_agent.probes.target import Target

_ECHO = {socket.AF_INET: (8, 0, socket.IPPROTO_ICMP), socket.AF_INET6: (128, 129, socket.IPPROTO_ICMPV6)}
"""By address family: the types of request and reply, and the protocol."""


def probe(target: Target, deadline: Deadline, result: Result) -> None:
    """Send an echo request and wait for its reply; raise `ProbeError` without one."""
    family, address = resolve(target, target.host, 0, socket.SOCK_DGRAM, result)
    request, reply, protocol = _ECHO[family]
    payload = os.urandom(16)
    began = time.monotonic()
    with _socket(family, protocol) as opened:
        raw_ipv4 = opened.type == socket.SOCK_RAW and family == socket.AF_INET
        try:
            opened.settimeout(deadline.left())
            opened.connect(address)
            opened.send(echo_request(request, payload))
            while True:
                opened.settimeout(deadline.left())
                packet = opened.recv(65_535)
                if raw_ipv4 and packet:
                    packet = packet[(packet[0] & 0xF) * 4 :]  # the IP header precedes the message
                if packet[:1] == bytes([reply]) and packet[8:] == payload:
                    break
        except OSError as error:
            reason = "timeout" if isinstance(error, TimeoutError) else "connect"
            raise ProbeError(reason, f"no echo reply from {address[0]}: {error}") from error
    result.add_phase("rtt", time.monotonic() - began)


def _socket(family: socket.AddressFamily, protocol: int) -> socket.socket:
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol)
    except OSError:
        try:
            return socket.socket(family, socket.SOCK_RAW, protocol)
        except OSError as error:
            raise ProbeError(
                "permission",
                "cannot open an ICMP socket: set the sysctl net.ipv4.ping_group_range, or add the capability NET_RAW",
            ) from error


def echo_request(kind: int, payload: bytes) -> bytes:
    """Return an echo request. The kernel replaces identifier and checksum, except on a raw IPv4 socket."""
    message = struct.pack("!BBHHH", kind, 0, 0, os.getpid() & 0xFFFF, 1) + payload
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def checksum(message: bytes) -> int:
    """Return the internet checksum of a message (RFC 1071)."""
    padded = message + b"\0" * (len(message) % 2)
    total: int = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
