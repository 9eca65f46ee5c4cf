"""TLS handshakes of probes, and the validity of certificates."""

from __future__ import annotations

import calendar
import ssl
import time
from typing import TYPE_CHECKING

from metricat_agent.probes.connection import Connection
from metricat_agent.probes.result import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from metricat_agent.probes.connection import Deadline
    from metricat_agent.probes.result import Result
    from metricat_agent.probes.target import Target

_SEQUENCE, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0x17, 0x18


def handshake(target: Target, host: str, connection: Connection, deadline: Deadline, result: Result) -> Connection:
    """Perform a TLS handshake and return the encrypted connection; raise `ProbeError` if the handshake fails.

    Set the TLS version and the earliest expiry of the server's certificates in ``result``. They stay unset if the
    handshake fails. Before Python 3.13, the expiry is that of the server's own certificate, without its issuers.
    """
    context = _context(target)
    connection.socket.settimeout(deadline.left())
    began = time.monotonic()
    try:
        wrapped = context.wrap_socket(connection.socket, server_hostname=target.server_name or host)
    except OSError as error:  # ssl.SSLError is one
        reason = "timeout" if isinstance(error, TimeoutError) else "tls"
        raise ProbeError(reason, f"the TLS handshake with {host} failed: {error}") from error
    except ValueError as error:
        raise ProbeError("tls", f"{target.server_name or host} is not a valid server name: {error}") from error
    finally:
        result.add_phase("tls", time.monotonic() - began)
    result.tls_version = wrapped.version() or ""
    result.certificate_expiry = min(map(expiry, _chain(wrapped)), default=None)
    return Connection(wrapped, deadline)


def _context(target: Target) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=target.ca_file or None)
    except OSError as error:
        raise ProbeError("permission", f"cannot read {target.ca_file}: {error}. Check the path and the PEM") from error
    if target.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # nosemgrep: tls-without-verification -- a setting
    return context


def _chain(wrapped: ssl.SSLSocket) -> list[bytes]:
    """Return the server's certificates in DER; before Python 3.13, only the first one."""
    chain = getattr(wrapped, "get_unverified_chain", None)
    if chain is not None:
        return [bytes(one) for one in chain()]
    leaf = wrapped.getpeercert(binary_form=True)
    return [leaf] if leaf else []


def expiry(certificate: bytes) -> float:
    """Return the end of a certificate's validity in seconds since 1970 (UTC). Raise ValueError for other bytes.

    ``ssl`` decodes only verified certificates. RFC 5280, section 4.1: Certificate, TBSCertificate, and in it the first
    sequence that contains two times.
    """
    try:
        _, body = next(_elements(certificate))
        _, to_be_signed = next(_elements(body))
        for tag, content in _elements(to_be_signed):
            times = list(_elements(content)) if tag == _SEQUENCE else []
            if len(times) == 2 and all(kind in (_UTC_TIME, _GENERALIZED_TIME) for kind, _ in times):
                return _seconds(*times[1])
    except (IndexError, StopIteration) as error:
        raise ValueError("not a certificate in DER") from error
    raise ValueError("the certificate has no validity")


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of each DER element."""
    at = 0
    while at < len(data):
        tag, length, at = data[at], data[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, at = int.from_bytes(data[at : at + size], "big"), at + size
        if at + length > len(data):
            raise ValueError("a DER element is truncated")
        yield tag, data[at : at + length]
        at += length


def _seconds(tag: int, text: bytes) -> float:
    digits = text.decode("ascii").removesuffix("Z")
    if tag == _UTC_TIME:  # RFC 5280, section 4.1.2.5.1: years from 1950 to 2049
        digits = ("19" if digits >= "50" else "20") + digits
    return float(calendar.timegm(time.strptime(digits, "%Y%m%d%H%M%S")))
