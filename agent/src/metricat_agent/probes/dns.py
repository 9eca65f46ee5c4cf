"""Probes by DNS over UDP (RFC 1035)."""

from __future__ import annotations

import os
import socket
import struct
import time
from typing import TYPE_CHECKING

from metricat_agent.probes.connection import resolve
from metricat_agent.probes.result import ProbeError
from metricat_agent.probes.target import RECORD_TYPES

if TYPE_CHECKING:
    from metricat_agent.probes.connection import Deadline
    from metricat_agent.probes.result import Result
    from metricat_agent.probes.target import Target

_RECURSION_DESIRED = 0x0100
_RESPONSE = 0x8000
_INTERNET = 1
_CODES = {1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


def probe(target: Target, deadline: Deadline, result: Result) -> None:
    """Query the server; raise `ProbeError` unless it returns at least one record."""
    family, address = resolve(target, target.host, target.port, socket.SOCK_DGRAM, result)
    number = int.from_bytes(os.urandom(2), "big")
    question = query(number, target.query_name, target.query_type)
    began = time.monotonic()
    with socket.socket(family, socket.SOCK_DGRAM) as opened:
        try:
            opened.settimeout(deadline.left())
            opened.connect(address)
            opened.send(question)
            while True:
                opened.settimeout(deadline.left())
                response = opened.recv(65_535)
                if response[:2] == question[:2] and response[12 : len(question)] == question[12:]:
                    break  # not a late or forged response
        except OSError as error:
            reason = "timeout" if isinstance(error, TimeoutError) else "connect"
            raise ProbeError(reason, f"no response from {address[0]} port {target.port}: {error}") from error
    result.add_phase("request", time.monotonic() - began)
    code, result.answers = response_counts(response)
    if code:
        raise ProbeError("status", f"{target.host} returned {_CODES.get(code, code)} for {target.query_name}")
    if not result.answers:
        kind = next(name for name, number in RECORD_TYPES.items() if number == target.query_type)
        raise ProbeError("status", f"{target.host} has no {kind} record for {target.query_name}")


def query(number: int, name: str, record_type: int) -> bytes:
    """Return a DNS query, with the ID ``number``, for one name and record type."""
    labels = [label.encode() for label in name.split(".")]
    question = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    header = struct.pack("!6H", number, _RECURSION_DESIRED, 1, 0, 0, 0)
    return header + question + struct.pack("!2H", record_type, _INTERNET)


def response_counts(message: bytes) -> tuple[int, int]:
    """Return the response code and the number of answer records; raise `ProbeError` if the message is damaged."""
    if len(message) < 12:
        raise ProbeError("protocol", "the response is shorter than a DNS header")
    _, flags, _, answers, _, _ = struct.unpack_from("!6H", message)
    if not flags & _RESPONSE:
        raise ProbeError("protocol", "the response is a query")
    return flags & 0xF, answers
