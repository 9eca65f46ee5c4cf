"""Samples with labels, and the format of records in a queue. Pure.

A record contains the labels of its series. So a queue stays valid after a restart, when series have other numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cramjam
import msgspec
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values

_VERSION = 1


class DamagedRecordError(ValueError):
    """A record is damaged, or has another version."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as columns. `index` has the position of each sample's series in `labels`."""

    labels: Sequence[Labels]
    index: NDArray[np.int32]
    times: Times
    values: Values

    def part(self, start: int, stop: int) -> Samples:
        """Return the samples from position `start` to `stop` (exclusive)."""
        return Samples(self.labels, self.index[start:stop], self.times[start:stop], self.values[start:stop])


class _Record(msgspec.Struct, array_like=True, frozen=True):
    version: int
    labels: list[tuple[tuple[str, str], ...]]
    index: bytes
    times: bytes
    values: bytes


_DECODER = msgspec.msgpack.Decoder(_Record)


def encode(samples: Samples) -> bytes:
    """Encode samples as a record."""
    return msgspec.msgpack.encode(
        _Record(
            _VERSION,
            list(samples.labels),
            np.ascontiguousarray(samples.index, "<i4").tobytes(),
            np.ascontiguousarray(samples.times, "<i8").tobytes(),
            np.ascontiguousarray(samples.values, "<f8").tobytes(),
        )
    )


def decode(data: bytes) -> Samples:
    """Decode a record; raise `DamagedRecordError` if it is damaged."""
    try:
        found = _DECODER.decode(data)
        columns = (
            np.frombuffer(found.index, "<i4"),
            np.frombuffer(found.times, "<i8"),
            np.frombuffer(found.values, "<f8"),
        )
    except (msgspec.MsgspecError, ValueError) as error:
        raise DamagedRecordError(f"a record is damaged: {error}") from None
    sizes = {len(column) for column in columns}
    if found.version != _VERSION or len(sizes) > 1 or (len(columns[0]) and columns[0].max() >= len(found.labels)):
        raise DamagedRecordError(f"a record is damaged, or of another version: {found.version}")
    return Samples(found.labels, *columns)


def compress(data: bytes) -> bytes:
    """Compress a record for the queue."""
    return bytes(cramjam.snappy.compress_raw(data))


def decompress(data: bytes) -> bytes:
    """Decompress a record of the queue; raise `DamagedRecordError` if it is damaged."""
    try:
        return bytes(cramjam.snappy.decompress_raw(data))  # nosemgrep: decompression-without-limit -- an own file
    except cramjam.DecompressionError as error:
        raise DamagedRecordError(f"a record is damaged: {error}") from None


def merged(parts: Sequence[Samples]) -> Samples:
    """Merge samples of several records. The result has each series once."""
    if len(parts) == 1:
        return parts[0]
    numbers: dict[Labels, int] = {}
    indices = []
    for part in parts:
        places = np.array([numbers.setdefault(one, len(numbers)) for one in part.labels], np.int32)
        indices.append(places[part.index] if len(part.index) else part.index)
    return Samples(
        list(numbers),
        np.concatenate(indices),
        np.concatenate([part.times for part in parts]),
        np.concatenate([part.values for part in parts]),
    )
