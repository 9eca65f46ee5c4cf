"""Sends samples by Prometheus remote write, in version 2.0, or 1.0 to receivers without support for 2.0.

If one sample is out of order, Prometheus rejects a whole request of version 1.0, but only the sample in version 2.0. A
receiver with only 1.0 may accept a request of 2.0 and store nothing. By the specification, the sender detects this
because the response has no count of stored samples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import cramjam

from metricat_hub.remote import records
from metricat_hub.remote.http_client import Client, RequestError, Response
from metricat_hub.remote.outcome import Outcome, describe, failed
from metricat_hub.remote.remote_write import encode_1, encode_2, encode_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.server import Server
    from metricat_hub.remote.records import Samples

Version: TypeAlias = Literal["1.0", "2.0"]
_WRITTEN = "x-prometheus-remote-write-samples-written"
_HEADERS: dict[Version, dict[str, str]] = {
    "1.0": {"Content-Type": "application/x-protobuf", "X-Prometheus-Remote-Write-Version": "0.1.0"},
    "2.0": {
        "Content-Type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
        "X-Prometheus-Remote-Write-Version": "2.0.0",
    },
}
_MOST_HEADS = 200_000
_MOST_SPLITS = 128
"""The most requests for a rejected batch of version 1.0, to find the samples that the receiver accepts."""


class RemoteWriteSender:
    """Sends samples to one receiver. Not thread-safe."""

    def __init__(self, server: Server) -> None:
        """Send to the URL of the server itself."""
        self.server = server
        self.version: Version = "2.0"
        """The version of the next request. It is 2.0 until a response shows that the receiver does not support 2.0."""
        self._client = Client(server)
        self._heads: dict[Labels, bytes] = {}

    def send(self, parts: Sequence[Samples]) -> Outcome:
        """Send samples, if possible in one request; return the outcome."""
        return self._sent(records.merged(parts), [_MOST_SPLITS])

    def send_metadata(self, metadata: Mapping[str, Metadata]) -> None:
        """Send type, help text and unit of metrics if the version is 1.0; with 2.0, do nothing. Ignore failures."""
        if metadata and self.version == "1.0":
            try:
                self._request("1.0", encode_metadata(metadata))
            except RequestError:
                return

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _sent(self, samples: Samples, budget: list[int]) -> Outcome:
        count = len(samples.times)
        version = self.version
        if len(self._heads) > _MOST_HEADS:
            self._heads = {}
        body = encode_2(samples) if version == "2.0" else encode_1(samples, self._heads)
        try:
            response = self._request(version, body)
        except RequestError as error:
            return Outcome(text=str(error), is_retried=True)
        if outcome := failed(response):
            return outcome
        is_success = response.status // 100 == 2
        written = response.headers.get(_WRITTEN, "")
        text = "" if is_success else describe(response)
        if version == "2.0":
            if not written.isdigit():  # a receiver of 1.0, whether it accepts or rejects the request
                self.version = "1.0"
                return self._sent(samples, budget)
            stored = min(int(written), count)
            return Outcome(stored, count - stored, text=text)
        budget[0] -= not is_success
        if is_success or count == 1 or budget[0] <= 0:
            return Outcome(count if is_success else 0, 0 if is_success else count, text=text)
        return self._halved(samples, budget)

    def _halved(self, samples: Samples, budget: list[int]) -> Outcome:
        """Send the halves of samples, of which the receiver rejected some."""
        middle = len(samples.times) // 2
        first = self._sent(samples.part(0, middle), budget)
        if first.is_retried:
            return first
        second = self._sent(samples.part(middle, len(samples.times)), budget)
        if second.is_retried:
            return second
        return Outcome(first.stored + second.stored, first.rejected + second.rejected, text=first.text or second.text)

    def _request(self, version: Version, body: bytes) -> Response:
        compressed = bytes(cramjam.snappy.compress_raw(body))
        return self._client.request("POST", "", compressed, {**_HEADERS[version], "Content-Encoding": "snappy"})
