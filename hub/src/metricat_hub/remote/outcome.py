"""The outcome of sending samples, and its derivation from a response. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metricat_hub.remote.http_client import Response

_RETRIED = (401, 403, 404, 408, 425, 429)
"""Client errors that do not mean that the samples are wrong: the key, the address, or the time of the request is."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of sending samples."""

    stored: int = 0
    rejected: int = 0
    """Samples that the receiver will never accept."""
    skipped: int = 0
    """Samples that the format cannot express."""
    text: str = ""
    """The message of a failure or a rejection."""
    is_retried: bool = False
    """Whether the same samples must be sent again. The counts are then 0."""
    retry_after: float | None = None
    """Seconds to wait before."""
    is_too_large: bool = False
    """Whether the receiver accepts only smaller requests."""


def failed(response: Response) -> Outcome | None:
    """Return the outcome of a response that rejects a request only for now; None for any other."""
    if response.status // 100 in (3, 5) or response.status in _RETRIED:
        return Outcome(text=describe(response), is_retried=True, retry_after=response.retry_after)
    if response.status == 413:
        return Outcome(text=describe(response), is_retried=True, is_too_large=True)
    return None


def describe(response: Response) -> str:
    """Return status and message of an error."""
    return f"status {response.status}: {response.text}"
