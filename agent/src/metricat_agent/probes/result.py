"""Results of probes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

REASONS = {
    "resolve": "The name of the host cannot be resolved.",
    "connect": "No connection can be opened: it is refused, or no route exists.",
    "timeout": "The probe does not end within its timeout.",
    "tls": "The TLS handshake fails, for example because the certificate is not valid.",
    "protocol": "The response is not valid, or the connection ends early.",
    "status": "The HTTP status code is not in `valid_status_codes`, or DNS returned an error or no record of the type.",
    "body": "The body does not match `body_pattern`.",
    "permission": "The agent may not open the socket or read a file that the probe needs.",
    "internal": "The probe itself failed; the log has the error.",
}
"""By the value of the label ``reason``: its meaning."""


class ProbeError(Exception):
    """The probe failed. ``reason`` is a key of `REASONS`; the message is for the log."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(slots=True)
class Result:
    """The result of one probe. A field that the probe did not reach is None or empty."""

    duration: float = 0.0
    """Seconds from the start to the end."""
    reason: str = ""
    """Why the probe failed, a key of `REASONS`; empty after success."""
    message: str = ""
    phases: dict[str, float] = field(default_factory=dict)
    """Seconds of each phase: resolve, connect, tls, processing, transfer, request or rtt."""
    ip_version: int | None = None
    status: int | None = None
    http_version: float | None = None
    redirects: int | None = None
    content_length: int | None = None
    """Bytes that the response declares, -1 if it declares none."""
    ended_with_tls: bool | None = None
    """Whether the last request of a probe by HTTP used TLS."""
    matched: bool | None = None
    """Whether the body matched the pattern."""
    certificate_expiry: float | None = None
    """When the first of the server's certificates expires, in seconds since 1970 (UTC)."""
    tls_version: str = ""
    answers: int | None = None
    """Records in the answer section of a DNS response."""

    @property
    def success(self) -> bool:
        """Whether the probe succeeded."""
        return not self.reason

    def add_phase(self, name: str, seconds: float) -> None:
        """Add seconds to the duration of a phase: each redirect repeats the phases."""
        self.phases[name] = self.phases.get(name, 0.0) + seconds
