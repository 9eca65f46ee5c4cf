"""The counters of the live values, as metrics of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.self_metrics import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.api.live.statistics import Statistics


def samples(statistics: Statistics) -> Sequence[Sample]:
    """Return the metrics."""
    counters = (
        ("rounds", "Rounds that were evaluated.", statistics.rounds),
        ("rounds_seconds", "Time that the evaluation of the rounds took.", statistics.seconds),
        ("delivered_rounds", "Rounds that were sent, one count for each client.", statistics.delivered),
        ("skipped_rounds", "Rounds that slow clients did not get, one count for each client.", statistics.skipped),
        ("replayed_rounds", "Rounds from stored samples, for clients after a gap.", statistics.replayed),
    )
    return [
        Sample("metricat_hub_live_connections", "Clients by WebSocket and gRPC.", statistics.clients),
        *(Sample(f"metricat_hub_live_{name}", text, value, is_counter=True) for name, text, value in counters),
    ]
