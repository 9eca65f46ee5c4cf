"""The types of scrape targets for the API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.labels import Labels

Health: TypeAlias = Literal["up", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target with its last scrape. Interval and timeout are in milliseconds, the duration in seconds."""

    pool: str
    url: str
    labels: Labels
    discovered: Labels
    interval: int
    timeout: int
    health: Health = "unknown"
    error: str = ""
    last_scrape: int = 0
    """Milliseconds since 1970-01-01 UTC; 0: never."""
    duration: float = 0.0


@dataclass(frozen=True, slots=True)
class DroppedTarget:
    """A target that relabelling dropped."""

    pool: str
    discovered: Labels


@dataclass(frozen=True, slots=True)
class Targets:
    """All scrape targets and dropped targets."""

    active: Sequence[TargetState] = ()
    dropped: Sequence[DroppedTarget] = ()
