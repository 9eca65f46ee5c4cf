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
    """A named output."""

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
                f"output {self.name}: {lost} samples were dropped, because the queue was full; if the disk has space, "
                "raise the output's max_size"
            )
        return found

    def close(self) -> None:
        """Send what waits, for at most a few seconds. The rest remains on disk."""
        self.delivery.close()
        self.sender.close()

    def _send(self, parts: Sequence[Samples]) -> Outcome:
        outcome = self.sender.send(parts)
        if not outcome.is_retried and self._metadata:
            with self._lock:
                metadata, self._metadata = self._metadata, {}
            self.sender.send_metadata(metadata)
        return outcome
