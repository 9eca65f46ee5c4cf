"""The counters of live values, as metrics of the hub."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.model.self_metrics import Sample

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.api.live.statistics import Statistics


def samples(statistics: Statistics) -> Sequence[Sample]:
    """Return the counters as samples of the hub's own metrics."""
    counters = (
        ("rounds", "Evaluations of live values (rounds).", statistics.rounds),
        ("rounds_seconds", "Time of the evaluations of live values, in seconds.", statistics.seconds),
        ("delivered_rounds", "Rounds of live values that were sent, counted for each client.", statistics.delivered),
        (
            "skipped_rounds",
            "Rounds of live values that were not sent to a client, counted for each client.",
            statistics.skipped,
        ),
        (
            "replayed_rounds",
            "Missed rounds of live values that were evaluated later from stored samples, for reconnected clients.",
            statistics.replayed,
        ),
    )
    return [
        Sample(
            "metricat_hub_live_connections",
            "Connected clients of live values, by WebSocket and gRPC.",
            statistics.clients,
        ),
        *(Sample(f"metricat_hub_live_{name}", text, value, is_counter=True) for name, text, value in counters),
    ]
