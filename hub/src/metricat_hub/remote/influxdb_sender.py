"""Sends samples to InfluxDB in its line protocol: `/write` of version 1, `/api/v2/write` of version 2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_hub.remote import line_protocol, records
from metricat_hub.remote.http_client import Client, RequestError
from metricat_hub.remote.outcome import Outcome, describe, failed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.server import Server
    from metricat_hub.remote.records import Samples

_MOST_HEADS = 200_000


class InfluxSender:
    """Sends samples to one server. Not thread-safe."""

    def __init__(self, server: Server) -> None:
        """Send to the URL of the server itself, whose query names the database or the bucket."""
        self.server = server
        self._client = Client(server)
        self._heads: dict[Labels, str] = {}

    def send(self, parts: Sequence[Samples]) -> Outcome:
        """Send samples in one request; return the outcome."""
        samples = records.merged(parts)
        if len(self._heads) > _MOST_HEADS:
            self._heads = {}
        body, count = line_protocol.encode(samples, self._heads)
        skipped = len(samples.times) - count
        if not count:
            return Outcome(skipped=skipped)
        try:
            response = self._client.request(
                "POST", "?precision=ms", body, {"Content-Type": "text/plain; charset=utf-8"}
            )
        except RequestError as error:
            return Outcome(text=str(error), is_retried=True)
        if outcome := failed(response):
            return outcome
        if response.status // 100 == 2:
            return Outcome(count, skipped=skipped)
        return Outcome(rejected=count, skipped=skipped, text=describe(response))

    def send_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Do nothing, because the protocol has no metadata."""

    def close(self) -> None:
        """Close the connection."""
        self._client.close()
