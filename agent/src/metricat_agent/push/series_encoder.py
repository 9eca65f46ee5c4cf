"""Encoder of metrics in the text format as remote write 1.0 requests (`prometheus.WriteRequest`). Pure.

Almost all of a request is labels, which are the same at each push. So the encoder keeps the bytes of each series up to
its value, by the text of its line up to the value.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from metricat_agent.exposition import parser

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_SAMPLES = 5000
"""Upper bound of samples in one batch."""
_STALE = struct.pack("<Q", 0x7FF0000000000002)
"""Prometheus' staleness marker: a NaN with its own bits, which marks the end of a series."""
_pack_double = struct.Struct("<d").pack
_TYPES = {"counter": 1, "gauge": 2, "histogram": 3, "summary": 5}
_SAMPLE = 16
"""Bytes of a sample: a tag and eight bytes for its value, a tag and six bytes for its time."""


class Batch(NamedTuple):
    """An encoded `prometheus.WriteRequest` whose samples all have the same time."""

    body: bytes
    samples: int
    time: int
    """Milliseconds since 1970-01-01 UTC."""


class SeriesEncoder:
    """Encodes scrapes, and adds ``labels`` to each series. A series that the next scrape lacks gets a staleness marker.

    A label in the scrape with the name of an added label becomes ``exported_NAME``, as when Prometheus scrapes.
    """

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = dict(labels)
        self._heads: dict[bytes, bytes] = {}

    def encode(self, page: bytes, time: int) -> list[Batch]:
        """Return the samples of ``page`` (text format) and ``up 1`` as batches; ``time`` is in Unix milliseconds."""
        end = b"\x10" + _six_bytes(time)
        known, heads = self._heads, {}
        parts: list[bytes] = []
        for line in (*page.split(b"\n"), b"up 1"):
            if not line or line[0] == 35:  # a comment
                continue
            series, _, number = line.rpartition(b" ")
            head = known.get(series)
            if head is None:
                head = self._head(series)
            heads[series] = head
            parts.append(head + _pack_double(float(number)) + end)
        if heads.keys() != known.keys():
            parts += [head + _STALE + end for series, head in known.items() if series not in heads]
        self._heads = heads
        return [
            Batch(b"".join(parts[at : at + MOST_SAMPLES]), len(parts[at : at + MOST_SAMPLES]), time)
            for at in range(0, len(parts), MOST_SAMPLES)
        ]

    def _head(self, series: bytes) -> bytes:
        """Return a `TimeSeries` message up to the value of its only sample."""
        name, _, inner = series.decode().partition("{")
        own = parser.labels(inner.removesuffix("}"))
        renamed = {f"exported_{label}" if label in self._labels else label: value for label, value in own.items()}
        pairs = {**renamed, **self._labels, "__name__": name}
        labels = b"".join(
            [field(1, field(1, label.encode()) + field(2, pairs[label].encode())) for label in sorted(pairs)]
        )
        return b"\x0a" + varint(len(labels) + 2 + _SAMPLE) + labels + b"\x12" + varint(_SAMPLE) + b"\x09"


def metadata(page: bytes) -> bytes:
    """Return a request with the type and help text of each metric in ``page`` (text format)."""
    found = parser.Exposition()
    lines = [line for line in page.decode().split("\n") if line.startswith("#")]
    found = parser.parse("\n".join(lines))
    parts: list[bytes] = []
    for name, kind in found.kinds.items():
        number = _TYPES.get(kind)
        entry = b"\x08" + bytes((number,)) if number else b""
        parts.append(field(3, entry + field(2, name.encode()) + field(4, found.helps.get(name, "").encode())))
    return b"".join(parts)


def _six_bytes(time: int) -> bytes:
    """Return a time until 2109 as a varint of six bytes.

    The bytes of a time before 1971 end in zeros, which is valid.
    """
    groups = [time >> shift & 0x7F for shift in range(0, 42, 7)]
    return bytes([*(group | 0x80 for group in groups[:-1]), groups[-1]])


def varint(number: int) -> bytes:
    """Return an unsigned number in protobuf's variable length."""
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    found.append(number)
    return bytes(found)


def field(number: int, content: bytes) -> bytes:
    """Return a protobuf field of the type bytes: its number, the length and the content."""
    return bytes((number << 3 | 2,)) + varint(len(content)) + content
