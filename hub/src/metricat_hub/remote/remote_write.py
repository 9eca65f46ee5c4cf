"""Encoder of Prometheus remote write 1.0 and 2.0. Pure.

The decoders are in `sources.write.remote_write`. The agent has its own encoder, which caches the bytes of its series.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.metadata import Metadata
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.remote.records import Samples

_SAMPLE = 18
"""Bytes of an encoded sample: two tags, a length, a value, and a timestamp of six bytes."""
_SHIFTS = np.arange(0, 42, 7)
MOST_TIME = 1 << 42
"""The largest timestamp with six bytes, in 2109. Smaller ones are padded to six bytes, which is valid."""
_TYPES = {"counter": 1, "gauge": 2, "histogram": 3, "summary": 5, "info": 6, "stateset": 7}


def encode_1(samples: Samples, heads: dict[Labels, bytes] | None = None) -> bytes:
    """Encode a `prometheus.WriteRequest`. `heads` is a cache of encoded labels. The caller limits its size."""
    heads = {} if heads is None else heads
    parts: list[bytes] = []
    for labels, fields in _by_series(samples):
        head = heads.get(labels)
        if head is None:
            head = heads[labels] = b"".join(
                [_field(0x0A, _field(0x0A, name.encode()) + _field(0x12, value.encode())) for name, value in labels]
            )
        parts += (b"\x0a", varint(len(head) + len(fields)), head, fields)
    return b"".join(parts)


def encode_2(samples: Samples) -> bytes:
    """Encode an `io.prometheus.write.v2.Request`."""
    symbols: dict[str, int] = {"": 0}
    refs: dict[str, bytes] = {}
    parts: list[bytes] = []
    for labels, fields in _by_series(samples):
        packed = b"".join([refs.get(text) or _ref(text, symbols, refs) for pair in labels for text in pair])
        series = b"\x0a" + varint(len(packed)) + packed + fields
        parts += (b"\x2a", varint(len(series)), series)
    return b"".join([_field(0x22, text.encode()) for text in symbols] + parts)


def encode_metadata(metadata: Mapping[str, Metadata]) -> bytes:
    """Encode a `prometheus.WriteRequest` with type, help text and unit of metrics."""
    parts = []
    for name, one in metadata.items():
        number = _TYPES.get(one.type, 0)
        entry = bytes((0x08, number)) if number else b""
        entry += _field(0x12, name.encode()) + _field(0x22, one.help.encode()) + _field(0x2A, one.unit.encode())
        parts.append(_field(0x1A, entry))
    return b"".join(parts)


def _by_series(samples: Samples) -> Iterator[tuple[Labels, bytes]]:
    """Yield the labels of each series with samples, and these as fields, by ascending time."""
    if not len(samples.times):
        return
    order = np.lexsort((samples.times, samples.index))
    index = samples.index[order]
    fields = _fields(samples.times[order], samples.values[order])
    starts = np.flatnonzero(np.concatenate(([True], index[1:] != index[:-1])))
    stops = np.concatenate((starts[1:], [len(index)]))
    series = index[starts].tolist()
    for number, start, stop in zip(series, (starts * _SAMPLE).tolist(), (stops * _SAMPLE).tolist(), strict=True):
        yield samples.labels[number], fields[start:stop]


def _fields(times: Times, values: Values) -> bytes:
    """Return each sample as field 2 of a series, which it is in both versions."""
    rows = np.empty((len(times), _SAMPLE), np.uint8)
    rows[:, :3] = (0x12, 0x10, 0x09)
    rows[:, 3:11] = np.ascontiguousarray(values, "<f8").view(np.uint8).reshape(-1, 8)
    rows[:, 11] = 0x10
    rows[:, 12:] = (times[:, None] >> _SHIFTS) & 0x7F
    rows[:, 12:17] |= 0x80
    return rows.tobytes()


def _ref(text: str, symbols: dict[str, int], refs: dict[str, bytes]) -> bytes:
    found = refs[text] = varint(symbols.setdefault(text, len(symbols)))
    return found


def _field(tag: int, content: bytes) -> bytes:
    return bytes((tag,)) + varint(len(content)) + content


def varint(number: int) -> bytes:
    """Encode an unsigned number as a protobuf varint."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)
