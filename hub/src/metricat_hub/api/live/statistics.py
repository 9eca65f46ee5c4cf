"""Counters of the live values. `self_metrics` exposes them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Statistics:
    """Counts since the start."""

    clients: int = 0
    rounds: int = 0
    seconds: float = 0.0
    """Time that the evaluation of the rounds took."""
    delivered: int = 0
    skipped: int = 0
    replayed: int = 0
