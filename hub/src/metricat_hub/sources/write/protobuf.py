"""Decoder of protobuf's wire format. Pure.

This decoder needs less memory and time than the package `protobuf`, see docs/design/0031. It accepts fields in
any order, skips unknown ones, and raises `DecodeError` for any other bytes.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from metricat_hub.sources.write.errors import DecodeError

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types. Groups (3 and 4) are deprecated, and no supported message has them."""
_MAX_FIELD = (1 << 29) - 1
_DOUBLE = struct.Struct("<d")


def varint(data: bytes, at: int) -> tuple[int, int]:
    """Decode the unsigned varint at a position; return it with the position after it. It has at most 64 bits."""
    value = shift = 0
    while shift < 70:
        try:
            byte = data[at]
        except IndexError:
            raise DecodeError("the message ends within a number") from None
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise DecodeError("a number has more than 10 bytes")


def fields(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield number, wire type, begin and end of each field between two positions.

    Begin is the position after the tag and, for bytes, after the length.
    """
    while at < end:
        tag, at = varint(data, at)
        number, kind = tag >> 3, tag & 7
        if not 0 < number <= _MAX_FIELD:
            raise DecodeError(f"invalid field number {number}")
        if kind == BYTES:
            size, at = varint(data, at)
            stop = at + size
        elif kind == VARINT:
            _, stop = varint(data, at)
        elif kind == FIXED64:
            stop = at + 8
        elif kind == FIXED32:
            stop = at + 4
        else:
            raise DecodeError(f"invalid wire type {kind} of field {number}")
        if stop > end:
            raise DecodeError(f"field {number} is longer than its message")
        yield number, kind, at, stop
        at = stop


def text(data: bytes, begin: int, end: int) -> str:
    """Decode a field of bytes as UTF-8."""
    try:
        return data[begin:end].decode()
    except UnicodeDecodeError:
        raise DecodeError("a string is not valid UTF-8; encode the names and values of labels as UTF-8") from None


def double(data: bytes, begin: int) -> float:
    """Decode a field of 64 bits as a double."""
    value: float = _DOUBLE.unpack_from(data, begin)[0]
    return value


def signed(data: bytes, begin: int) -> int:
    """Decode a varint field as a signed number of 64 bits."""
    value = varint(data, begin)[0]
    return value - (1 << 64) if value >> 63 else value


def varint_bytes(value: int) -> bytes:
    """Encode a number as a varint in its shortest form."""
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)
