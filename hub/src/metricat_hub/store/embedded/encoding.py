"""Encodes and decodes stored batches and chunks. docs/hub/store-format.md describes the format. Pure."""

from __future__ import annotations

import hashlib
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import cramjam
import numpy as np
from pcodec import ChunkConfig, standalone

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from metricat_hub.model.samples import Times, Values
    from metricat_hub.store.embedded.head import Run

Codec: TypeAlias = Literal["pcodec", "zstd"]

_VERSION = 1
_BATCH = struct.Struct("<BIIq")
"""The header of a batch: version, CRC, number of samples, first time."""
_CHUNK = struct.Struct("<BIB")
"""The header of a chunk: version, CRC, columns."""
_ID = struct.Struct("<q")
_ONE_TIME, _LZ4 = 1, 2
"""Flags of a batch: all samples have the same time; LZ4 is the compression instead of zstd."""

_CONSTANT, _FLOATS, _INTEGERS, _ZSTD = range(4)
"""Encodings of a column of values."""
_REGULAR, _INLINE, _SHARED = range(3)
"""Encodings of times."""
LARGEST = 2.0**53
SCALES = (1.0, 10.0, 100.0, 1000.0)
_CONFIG = {level: ChunkConfig(compression_level=level) for level in (4, 8)}
FAST, SMALL = 4, 8
"""Compression levels: for a chunk that will be rewritten, and for a complete chunk."""

COLUMNS = ("last", "lost", "min", "max", "avg", "count")
"""The columns of a chunk in their order. A raw chunk has its values in `last`.

`lost` is the sum of a counter's values before each reset since the previous point. So `last` plus all of `lost` never
decreases.
"""


class DamagedError(Exception):
    """Stored bytes are damaged: they differ from the bytes that the store wrote."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Points of one series in one window, by ascending time."""

    times: Times
    columns: Mapping[str, Values]


def encode_batch(run: Run) -> bytes:
    """Return the bytes of a batch."""
    first = int(run.times[0])
    one_time = run.first == run.last
    steps = run.series.copy()
    steps[1:] -= run.series[:-1]
    parts = [steps.tobytes()]
    if not one_time:
        parts.append((run.times - first).tobytes())
    parts.append(run.values.tobytes())
    # LZ4 needs a quarter of zstd's CPU, and its tables stay in the CPU's cache. A batch lives for minutes.
    body = bytes([_LZ4 | one_time]) + bytes(cramjam.lz4.compress_block(b"".join(parts)))
    return _BATCH.pack(_VERSION, zlib.crc32(body), len(run), first) + body


def decode_batch(data: bytes) -> tuple[NDArray[np.int32], Times, Values]:
    """Decode a batch; return its columns.

    Raises:
        DamagedError: the bytes are damaged.
    """
    try:
        version, checksum, count, first = _BATCH.unpack_from(data)
        body = data[_BATCH.size :]
        if version != _VERSION or zlib.crc32(body) != checksum:
            raise DamagedError("wrong checksum")
        decompress = cramjam.lz4.decompress_block if body[0] & _LZ4 else cramjam.zstd.decompress
        plain = bytes(decompress(body[1:]))
        series = np.cumsum(np.frombuffer(plain, np.int32, count), dtype=np.int32)
        if body[0] & _ONE_TIME:
            times = np.full(count, first, np.int64)
            at = 4 * count
        else:
            times = np.frombuffer(plain, np.int64, count, 4 * count) + first
            at = 12 * count
        return series, times, np.frombuffer(plain, np.float64, count, at)
    except (struct.error, ValueError, IndexError, cramjam.DecompressionError) as error:
        raise DamagedError(str(error)) from error


def encode_times(times: Times, base: int, level: int = SMALL) -> bytes:
    """Encode times relative to `base`, the start of their window."""
    offsets = times - base
    if len(offsets) == 1:
        return bytes([_REGULAR]) + _varint(int(offsets[0])) + _varint(1)
    steps = np.diff(offsets)
    step = int(steps[0])
    if bool((steps == step).all()):
        return bytes([_REGULAR]) + _varint(int(offsets[0])) + _varint(step)
    data = bytes(standalone.simple_compress(offsets.astype(np.uint64), _CONFIG[level]))
    return bytes([_INLINE]) + _varint(len(data)) + data


def times_reference(times: Times) -> int:
    """Return the key of times that several chunks of a window share: a hash of 40 bits."""
    return int.from_bytes(hashlib.blake2b(times.tobytes(), digest_size=5).digest(), "little")


def encode_reference(reference: int) -> bytes:
    """Encode a reference to shared times for a chunk."""
    return bytes([_SHARED]) + _varint(reference)


def is_regular(times: Times) -> bool:
    """Return whether the times are equally spaced."""
    steps = np.diff(times)
    return not len(steps) or bool((steps == steps[0]).all())


def encode_shared(times: Times, base: int) -> bytes:
    """Encode a row of the table `times`: times that several chunks share."""
    data = bytes(standalone.simple_compress((times - base).astype(np.uint64), _CONFIG[SMALL]))
    return zlib.crc32(data).to_bytes(4, "little") + data


def decode_shared(data: bytes, base: int) -> Times:
    """Decode a row of the table `times`.

    Raises:
        DamagedError: the bytes are damaged.
    """
    if zlib.crc32(data[4:]) != int.from_bytes(data[:4], "little"):
        raise DamagedError("wrong checksum of shared times")
    times: Times = standalone.simple_decompress(data[4:]).astype(np.int64) + base
    return times


def encode_chunk(
    identity: int, times: bytes, columns: Mapping[str, Values], codec: Codec = "pcodec", level: int = SMALL
) -> bytes:
    """Encode a chunk from its encoded times (`encode_times` or `encode_reference`) and its columns.

    The checksum includes `identity`, the ID of the chunk in its table.
    """
    mask = 0
    parts = [_varint(len(next(iter(columns.values())))), times]
    for bit, name in enumerate(COLUMNS):
        if name in columns:
            mask |= 1 << bit
            data = encode_values(columns[name], codec, level)
            parts += [_varint(len(data)), data]
    body = b"".join(parts)
    return _CHUNK.pack(_VERSION, _checksum(identity, mask, body), mask) + body


def decode_chunk(  # noqa: PLR0913, PLR0917 -- what a chunk refers to
    identity: int,
    data: bytes,
    base: int,
    shared: Callable[[int], Times],
    wanted: Sequence[str] | None = None,
    regular: dict[tuple[int, int, int], Times] | None = None,
) -> Chunk:
    """Decode the times and the wanted columns of a chunk.

    Args:
        identity: the ID of the chunk in its table.
        data: the bytes of the chunk.
        base: the start of the chunk's window in milliseconds.
        shared: returns shared times by their reference.
        wanted: names of columns; None: all. Columns that the chunk does not have are left out.
        regular: a cache of regular times by first time, step and count. All chunks with equal regular times get the
            same array.

    Raises:
        DamagedError: the chunk or its shared times are damaged.
    """
    try:
        version, checksum, mask = _CHUNK.unpack_from(data)
        body = data[_CHUNK.size :]
        if version != _VERSION or _checksum(identity, mask, body) != checksum:
            raise DamagedError("wrong checksum")
        count, at = _read_varint(body, 0)
        found, at = _decode_times(body, at, count, base, shared, {} if regular is None else regular)
        columns = {}
        for bit, name in enumerate(COLUMNS):
            if mask >> bit & 1:
                size, at = _read_varint(body, at)
                if wanted is None or name in wanted:
                    columns[name] = decode_values(body[at : at + size], count)
                at += size
        return Chunk(found, columns)
    except (struct.error, ValueError, IndexError, TypeError, RuntimeError, cramjam.DecompressionError) as error:
        raise DamagedError(str(error)) from error


def shared_reference(data: bytes) -> int | None:
    """Return the chunk's reference to shared times; None if it has its own times."""
    _, at = _read_varint(data, _CHUNK.size)
    return _read_varint(data, at + 1)[0] if data[at] == _SHARED else None


def point_count(data: bytes) -> int:
    """Return the number of points of a chunk without decoding it."""
    return _read_varint(data, _CHUNK.size)[0]


def encode_values(values: Values, codec: Codec, level: int) -> bytes:
    """Encode a column of values losslessly: as a constant, as scaled integers, or compressed with the codec."""
    bits = values.view(np.uint64)
    if bool((bits == bits[0]).all()):
        return bytes([_CONSTANT]) + bits[:1].tobytes()
    if codec == "pcodec":
        scaled = _as_integers(values)
        if scaled is not None:
            exponent, integers = scaled
            data = bytes(standalone.simple_compress(integers, _CONFIG[level]))
            if bool((standalone.simple_decompress(data) == integers).all()):
                return bytes([_INTEGERS, exponent]) + data
        else:
            data = bytes(standalone.simple_compress(values, _CONFIG[level]))
            if bool((standalone.simple_decompress(data).view(np.uint64) == bits).all()):
                return bytes([_FLOATS]) + data
    return bytes([_ZSTD]) + bytes(cramjam.zstd.compress(values.tobytes(), 6))


def decode_values(data: bytes, count: int) -> Values:
    """Decode a column of values.

    Raises:
        DamagedError: the column does not have `count` values, or an unknown encoding.
    """
    kind = data[0]
    if kind == _CONSTANT:
        return np.full(count, np.frombuffer(data, np.float64, 1, 1)[0])
    values: Values
    if kind == _INTEGERS:
        values = standalone.simple_decompress(data[2:]).astype(np.float64)
        if data[1]:
            values /= SCALES[data[1]]
    elif kind == _FLOATS:
        values = standalone.simple_decompress(data[1:])
    elif kind == _ZSTD:
        plain = bytes(cramjam.zstd.decompress(data[1:]))  # nosemgrep: decompression-without-limit -- the hub's own file
        values = np.frombuffer(plain, np.float64)
    else:
        raise DamagedError(f"unknown encoding {kind}")
    if len(values) != count:
        raise DamagedError(f"{len(values)} values instead of {count}")
    return values


@np.errstate(all="ignore")
def _as_integers(values: Values) -> tuple[int, NDArray[np.int64]] | None:
    """Return an exponent, and integers that are exactly value * 10 ** exponent; None: no such integers exist."""
    largest = float(np.abs(values).max())
    for exponent, scale in enumerate(SCALES):
        if not largest * scale < LARGEST:  # also for NaN
            return None
        rounded = np.rint(values * scale)
        if bool(((rounded / scale).view(np.uint64) == values.view(np.uint64)).all()):
            integers = rounded.astype(np.int64)
            negative_zero = bool((integers.astype(np.float64).view(np.uint64) != rounded.view(np.uint64)).any())
            return None if negative_zero else (exponent, integers)
    return None


def _decode_times(  # noqa: PLR0913, PLR0917 -- as in `decode_chunk`
    body: bytes,
    at: int,
    count: int,
    base: int,
    shared: Callable[[int], Times],
    regular: dict[tuple[int, int, int], Times],
) -> tuple[Times, int]:
    kind = body[at]
    at += 1
    if kind == _REGULAR:
        first, at = _read_varint(body, at)
        step, at = _read_varint(body, at)
        key = base + first, step, count
        found = regular.get(key)
        if found is None:
            found = regular[key] = np.arange(count, dtype=np.int64) * step + (base + first)
        return found, at
    size, at = _read_varint(body, at)
    if kind == _SHARED:
        times = shared(size)
    elif kind == _INLINE:
        times = standalone.simple_decompress(body[at : at + size]).astype(np.int64) + base
        at += size
    else:
        raise DamagedError(f"unknown encoding {kind}")
    if len(times) != count:
        raise DamagedError(f"{len(times)} times instead of {count}")
    return times, at


def _checksum(identity: int, mask: int, body: bytes) -> int:
    return zlib.crc32(body, zlib.crc32(_ID.pack(identity) + bytes([mask])))


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
