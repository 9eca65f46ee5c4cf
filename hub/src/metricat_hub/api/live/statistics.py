"""Counters of the live values. `self_metrics` exposes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Statistics:
    """Counts since the start of the hub, and the current number of clients (`clients`)."""

    clients: int = 0
    rounds: int = 0
    seconds: float = 0.0
    """Total time of all evaluations, in seconds."""
    delivered: int = 0
    skipped: int = 0
    replayed: int = 0
