"""Stores a JSON batch of a collector only once, and reports each rejected sample."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Protocol

import msgspec

from metricat_hub.model.errors import HubError

if TYPE_CHECKING:
    from metricat_hub.sources.write.json_batch import JsonBatch
    from metricat_hub.use_cases.write import SampleWriter

    class Log(Protocol):
        """The log of stored batches. `store.sequence_log.SequenceLog` implements it."""

        def find(self, collector: str, sequence: int) -> tuple[bytes, bytes] | None:
            """Return digest and response of a stored batch; None if it is not stored."""

        def add(self, collector: str, sequence: int, batch: tuple[bytes, bytes]) -> None:
            """Store digest and response of a batch."""


class SequenceConflictError(HubError):
    """The collector has used the sequence number for another batch."""


class RejectedSample(msgspec.Struct, frozen=True):
    """A metric of the batch that is not stored."""

    index: int
    name: str
    reason: str


class Collected(msgspec.Struct, frozen=True):
    """The response to a batch."""

    collector_id: str
    sequence: int | None
    accepted: int
    duplicates: int
    rejected: list[RejectedSample]
    repeated: bool = False
    """Whether an earlier request stored the batch. The response is then that of the earlier request."""


def collect(writer: SampleWriter, log: Log, batch: JsonBatch, body: bytes) -> Collected:
    """Store a batch. Without a sequence number, repetitions are not detected.

    Raises:
        SequenceConflictError: the collector has used the sequence number for another batch.
        StoreUnavailableError: the store is not available now.
    """
    digest = hashlib.sha256(body).digest()
    if batch.sequence is not None and (found := log.find(batch.collector, batch.sequence)):
        earlier, answer = found
        if earlier != digest:
            raise SequenceConflictError(
                f"{batch.collector} has sent another batch with the sequence number {batch.sequence}. "
                "Use a new number for each batch."
            )
        return msgspec.structs.replace(msgspec.msgpack.decode(answer, type=Collected), repeated=True)
    written = writer.write(batch.columns)
    reasons = {**batch.invalid, **{batch.positions[one.index]: one.reason for one in written.rejections}}
    rejected = [RejectedSample(index, batch.names[index], reason) for index, reason in sorted(reasons.items())]
    stored = written.stored - written.duplicates
    collected = Collected(batch.collector, batch.sequence, stored, written.duplicates, rejected)
    if batch.sequence is not None:
        log.add(batch.collector, batch.sequence, (digest, msgspec.msgpack.encode(collected)))
    return collected
