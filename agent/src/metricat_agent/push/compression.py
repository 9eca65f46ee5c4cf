"""Compression of requests: snappy, which remote write requires, or gzip, which the hub accepts too.

The package cramjam (``pip install metricat-agent[push]``) compresses snappy. Without it, requests are valid snappy that
holds the data uncompressed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from metricat_agent.exposition.compression import gzipped
from metricat_agent.push.series_encoder import varint

if TYPE_CHECKING:
    from collections.abc import Callable

_LITERAL = 65536
"""Bytes of a literal, the longest whose length has two bytes."""
_SHORT = 60
"""Bytes of a literal whose length is in its tag. Some decoders accept no longer form for them."""


def compressor(encoding: str) -> Callable[[bytes], bytes]:
    """Return the function that compresses a body for a content encoding, ``snappy`` or ``gzip``."""
    if encoding == "gzip":
        return gzipped
    try:
        from cramjam import snappy  # noqa: PLC0415 -- optional
    except ImportError:
        return literals
    return lambda data: bytes(snappy.compress_raw(data))


def literals(data: bytes) -> bytes:
    """Return data in snappy's block format without compression."""
    parts = [varint(len(data))]
    for at in range(0, len(data), _LITERAL):
        part = data[at : at + _LITERAL]
        if len(part) <= _SHORT:
            parts += (bytes(((len(part) - 1) << 2,)), part)
        else:
            parts += (b"\xf4", (len(part) - 1).to_bytes(2, "little"), part)
    return b"".join(parts)
