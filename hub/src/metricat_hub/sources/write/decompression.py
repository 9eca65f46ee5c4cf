"""Decompression of request bodies within limits. Pure."""

from __future__ import annotations

import zlib

import cramjam

from metricat_hub.sources.write.errors import DecodeError, TooLargeError


def decompressed(body: bytes, limit: int, encoding: str = "snappy") -> bytes:
    """Decompress a body in snappy's block format or in gzip format. The limit is checked before memory is allocated.

    Raises:
        TooLargeError: the decompressed body has more than `limit` bytes.
        DecodeError: the body is not valid.
    """
    if encoding == "gzip":
        return _gunzipped(body, limit)
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > limit:
            raise TooLargeError(
                f"the body has {size} bytes after decompression, but the limit is {limit}. Send smaller batches."
            )
        return bytes(cramjam.snappy.decompress_raw(body))  # nosemgrep: decompression-without-limit -- checked above
    except cramjam.DecompressionError as error:
        raise DecodeError(f"the body is not in snappy's block format: {error}") from None


def _gunzipped(body: bytes, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while body:
        member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        try:
            parts.append(member.decompress(body, limit - size + 1))
        except zlib.error as error:
            raise DecodeError(f"the body is not in gzip's format: {error}") from None
        size += len(parts[-1])
        if size > limit:
            raise TooLargeError(f"the body has more than {limit} bytes after decompression. Send smaller batches.")
        if not member.eof:
            raise DecodeError("the gzip data of the body is not complete")
        body = member.unused_data
    return b"".join(parts)
