"""Decompression of request bodies within limits. Pure."""

from __future__ import annotations

import cramjam

from metricat_hub.sources.write.errors import DecodeError, TooLargeError


def decompressed(body: bytes, limit: int) -> bytes:
    """Return a body in snappy's block format; raise `TooLargeError` above ``limit`` bytes, before decompression."""
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > limit:
            raise TooLargeError(f"the body has {size} bytes decompressed, the limit is {limit}. Send smaller batches.")
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as error:
        raise DecodeError(f"the body is not in snappy's block format: {error}") from None
