"""An output: forwards samples to another server, from a queue on disk."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from metricat_hub.model.times import utc
from metricat_hub.remote.delivery import Delivery, QueueSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.self_metrics import Sample
    from metricat_hub.model.server import Server
    from metricat_hub.remote.outcome import Outcome
    from metricat_hub.remote.records import Samples

_REASONS = {"buffer_full": "queue full", "too_old": "older than max_age", "damaged": "damaged file"}
"""The text of each reason for which the queue drops samples."""


class Sender(Protocol):
    """Sends samples in the format of one kind of server. Not thread-safe."""

    server: Server

    def send(self, parts: Sequence[Samples]) -> Outcome:
        """Send samples; return the outcome."""

    def send_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Send type, help text and unit of metrics, if the format supports them. Ignore failures."""

    def close(self) -> None:
        """Close the connections."""


class Output:
    """A named server to which the hub forwards samples, with its queue on disk."""

    def __init__(
        self,
        name: str,
        sender: Sender,
        queue: QueueSettings,
        clock: Callable[[], int],
        waits: tuple[float, float] = (1.0, 30.0),
    ) -> None:
        self.name = name
        self.sender = sender
        self._metadata: dict[str, Metadata] = {}
        self._lock = threading.Lock()
        self.delivery = Delivery(f"output {name}", queue, self._send, clock, waits)
        self.delivery.start()

    def set_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Send the metadata with the next samples."""
        with self._lock:
            self._metadata.update(metadata)

    def metrics(self) -> list[Sample]:
        """Return the state of the output as metrics."""
        return self.delivery.metrics("metricat_hub_output", {"output": self.name})

    def notices(self) -> list[str]:
        """Return messages about a current outage and about dropped samples, each with a remedy."""
        state = self.delivery.state()
        found = []
        if state.failing_since:
            found.append(
                f"output {self.name}: {self.sender.server.shown} accepts no samples since {utc(state.failing_since)}: "
                f"{state.error.rstrip('.')}; {state.waiting_samples} samples wait in "
                f"{state.waiting_bytes / 2**20:.1f} of {self.delivery.most_bytes / 2**20:.0f} MiB; "
                "check the server and the output's settings"
            )
        if lost := sum(state.dropped.values()):
            found.append(
                f"output {self.name}: {lost} waiting samples were dropped ({_reasons(state.dropped)}); check the "
                "server; for longer outages, raise max_size and max_age of the output"
            )
        return found

    def close(self) -> None:
        """Send waiting samples, for at most a few seconds. Unsent samples remain on disk."""
        self.delivery.close()
        self.sender.close()

    def _send(self, parts: Sequence[Samples]) -> Outcome:
        outcome = self.sender.send(parts)
        if not outcome.is_retried and self._metadata:
            with self._lock:
                metadata, self._metadata = self._metadata, {}
            self.sender.send_metadata(metadata)
        return outcome


def _reasons(dropped: Mapping[str, int]) -> str:
    """Return the number of dropped samples for each reason, as text."""
    return ", ".join(f"{_REASONS.get(reason, reason)}: {count}" for reason, count in dropped.items() if count)
