"""The hash by which `limit_ratio` selects series: XXH64 of the labels as Prometheus encodes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metricat_hub.model.labels import Labels

_MASK = (1 << 64) - 1
_P1, _P2, _P3, _P4, _P5 = (
    0x9E3779B185EBCA87,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x85EBCA77C2B2AE63,
    0x27D4EB2F165667C5,
)


def share(labels: Labels) -> float:
    """Return a number from 0 to 1 that depends only on the labels."""
    return float(xxh64(encoded(labels))) / float(_MASK)


def encoded(labels: Labels) -> bytes:
    """Encode names and values, each after its length: one byte, or 255 and three bytes."""
    parts = []
    for pair in labels:
        for text in pair:
            data = text.encode()
            size = len(data)
            parts.append(bytes([size]) if size < 255 else bytes([255]) + size.to_bytes(3, "little"))
            parts.append(data)
    return b"".join(parts)


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(state: int, word: int) -> int:
    return _rotated((state + word * _P2) & _MASK, 31) * _P1 & _MASK


def xxh64(data: bytes) -> int:
    """Return the XXH64 of the data with seed 0."""
    length, position = len(data), 0
    if length >= 32:
        states = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
        while position + 32 <= length:
            for index in range(4):
                word = int.from_bytes(data[position + 8 * index : position + 8 * index + 8], "little")
                states[index] = _round(states[index], word)
            position += 32
        value = sum(_rotated(state, bits) for state, bits in zip(states, (1, 7, 12, 18), strict=True)) & _MASK
        for state in states:
            value = ((value ^ _round(0, state)) * _P1 + _P4) & _MASK
    else:
        value = _P5
    value = (value + length) & _MASK
    while position + 8 <= length:
        value ^= _round(0, int.from_bytes(data[position : position + 8], "little"))
        value = (_rotated(value, 27) * _P1 + _P4) & _MASK
        position += 8
    if position + 4 <= length:
        value ^= int.from_bytes(data[position : position + 4], "little") * _P1 & _MASK
        value = (_rotated(value, 23) * _P2 + _P3) & _MASK
        position += 4
    for byte in data[position:]:
        value ^= byte * _P5 & _MASK
        value = _rotated(value, 11) * _P1 & _MASK
    value ^= value >> 33
    value = value * _P2 & _MASK
    value ^= value >> 29
    value = value * _P3 & _MASK
    return value ^ (value >> 32)
