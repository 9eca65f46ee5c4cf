"""A cache of decoded chunks. Decoding takes ten times as long as reading the bytes from the file.

The caller always reads the bytes, and the cache returns a chunk only for equal bytes. So the cache stays correct after
a change of the file.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.store.embedded.encoding import Chunk

_MOST_BYTES = 16 << 20
_ENTRY = 500
"""Bytes of memory of an entry in addition to its arrays."""

_Key = tuple[str, int, tuple[str, ...] | None]


class ChunkCache:
    """A cache that drops the least recently used chunks first. Thread-safe."""

    def __init__(self, most_bytes: int = _MOST_BYTES) -> None:
        self._most = most_bytes
        self._chunks: OrderedDict[_Key, tuple[bytes, Chunk, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def get(self, tier: str, identity: int, data: bytes, wanted: Sequence[str] | None) -> Chunk | None:
        """Return the cached chunk that was decoded from equal bytes; None if the cache does not have it."""
        key = _key(tier, identity, wanted)
        with self._lock:
            found = self._chunks.get(key)
            if found is None or found[0] != data:
                return None
            self._chunks.move_to_end(key)
            return found[1]

    def put(self, tier: str, identity: int, data: bytes, wanted: Sequence[str] | None, chunk: Chunk) -> None:
        """Cache a chunk. The caller must not change its arrays afterwards."""
        key = _key(tier, identity, wanted)
        size = _ENTRY + len(data) + 8 * len(chunk.times) * (1 + len(chunk.columns))
        with self._lock:
            before = self._chunks.pop(key, None)
            self.bytes += size - (before[2] if before else 0)
            self._chunks[key] = data, chunk, size
            while self.bytes > self._most:
                self.bytes -= self._chunks.popitem(last=False)[1][2]


def _key(tier: str, identity: int, wanted: Sequence[str] | None) -> _Key:
    return tier, identity, None if wanted is None else tuple(wanted)
