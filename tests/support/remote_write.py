"""Encoder of remote write requests, for tests of the decoders. Written from the published protobuf definitions."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cramjam

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass
class Sent:
    """A series of a request: its labels in order, and samples as (milliseconds, value)."""

    labels: Sequence[tuple[str, str]]
    samples: Sequence[tuple[int, float]] = ()
    histograms: int = 0
    exemplars: int = 0
    kind: int = 0
    help: str = ""
    unit: str = ""
    created: int = 0
    extra: bytes = field(default=b"", repr=False)
    """Bytes after the fields of the series."""


def varint(number: int) -> bytes:
    """Return an unsigned number, or a negative one of 64 bits."""
    number &= (1 << 64) - 1
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def message(number: int, content: bytes) -> bytes:
    """Return a field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def scalar(number: int, value: int) -> bytes:
    """Return a varint field; empty for 0, as proto3 encodes it."""
    return varint(number << 3) + varint(value) if value else b""


def sample(time: int, value: float, created: int = 0) -> bytes:
    """Return a `Sample`. Go leaves out zeros, of either sign."""
    encoded = b"\x09" + struct.pack("<d", value) if value else b""
    return encoded + scalar(2, time) + scalar(3, created)


def request_1(series: Sequence[Sent]) -> bytes:
    """Return a `prometheus.WriteRequest`."""
    parts = []
    for one in series:
        labels = [message(1, message(1, name.encode()) + message(2, value.encode())) for name, value in one.labels]
        samples = [message(2, sample(*pair)) for pair in one.samples]
        others = [message(3, b"")] * one.exemplars + [message(4, b"")] * one.histograms
        parts.append(message(1, b"".join([*labels, *samples, *others]) + one.extra))
        if one.kind:
            name = dict(one.labels)["__name__"]
            entry = scalar(1, one.kind) + message(2, name.encode()) + message(4, one.help.encode())
            parts.append(message(3, entry + message(5, one.unit.encode())))
    return b"".join(parts)


def request_2(series: Sequence[Sent]) -> bytes:
    """Return an `io.prometheus.write.v2.Request`."""
    symbols = {"": 0}

    def ref(text: str) -> int:
        return symbols.setdefault(text, len(symbols))

    parts = []
    for one in series:
        refs = b"".join(varint(ref(text)) for pair in one.labels for text in pair)
        samples = [message(2, sample(*pair, one.created)) for pair in one.samples]
        others = [message(3, b"")] * one.histograms + [message(4, b"")] * one.exemplars
        metadata = scalar(1, one.kind) + scalar(3, ref(one.help)) + scalar(4, ref(one.unit))
        content = message(1, refs) + b"".join([*samples, *others]) + (message(5, metadata) if metadata else b"")
        parts.append(message(5, content + one.extra))
    return b"".join([message(4, text.encode()) for text in symbols] + parts)


def snappy(body: bytes) -> bytes:
    """Return a body in snappy's block format."""
    return bytes(cramjam.snappy.compress_raw(body))
