"""The outcome of one attempt to deliver a message. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Result: TypeAlias = Literal["delivered", "failed", "rejected"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt."""

    result: Result = "delivered"
    """`failed`: the same message may succeed later. `rejected`: the service will never accept this message."""
    error: str = ""
    """What went wrong, without secrets. A delivered message has one if some of its recipients did not get it."""
    retry_after: float | None = None
    """Seconds to wait before the next attempt, if the service gives them."""
    progress: str = ""
    """What the attempt achieved, for the next attempt. Its meaning is that of the channel."""


DELIVERED = Outcome()
