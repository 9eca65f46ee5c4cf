"""The outcome of sending samples, and its derivation from a response. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metricat_hub.remote.http_client import Response

_RETRIED = (401, 403, 404, 408, 425, 429)
"""Statuses 4xx that are not caused by the samples but by credentials, URL or timing. A retry can succeed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of sending samples."""

    stored: int = 0
    rejected: int = 0
    """Number of samples that the receiver will never accept."""
    skipped: int = 0
    """Number of samples that the format cannot express."""
    text: str = ""
    """The error message of a failure or a rejection."""
    is_retried: bool = False
    """Whether the sender must retry with the same samples. The counts are then 0."""
    retry_after: float | None = None
    """Seconds to wait before the retry, if the receiver requests a delay."""
    is_too_large: bool = False
    """Whether the receiver accepts only smaller requests."""


def failed(response: Response) -> Outcome | None:
    """Return the outcome if the response means that a retry can succeed; otherwise None."""
    if response.status // 100 in (3, 5) or response.status in _RETRIED:
        return Outcome(text=describe(response), is_retried=True, retry_after=response.retry_after)
    if response.status == 413:
        return Outcome(text=describe(response), is_retried=True, is_too_large=True)
    return None


def describe(response: Response) -> str:
    """Return status and message of an error response."""
    return f"status {response.status}: {response.text}"
