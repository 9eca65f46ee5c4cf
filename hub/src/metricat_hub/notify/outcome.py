"""The outcome of one attempt to deliver a message. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Result: TypeAlias = Literal["delivered", "failed", "rejected"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt."""

    result: Result = "delivered"
    """`failed`: a retry of the message can succeed. `rejected`: the service will never accept this message."""
    error: str = ""
    """The error, without secrets. A delivered message has an error if some recipients did not get it."""
    retry_after: float | None = None
    """Seconds to wait before the next attempt, if the service requests a delay."""
    progress: str = ""
    """State for the next attempt, such as accepted recipients. Each channel has its own format."""


DELIVERED = Outcome()
