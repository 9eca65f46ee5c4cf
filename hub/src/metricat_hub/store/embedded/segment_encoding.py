"""Encodes and decodes segments. docs/hub/store-format.md describes the format. Pure.

A segment has samples of many series, and exists for some hours only. So the encoding is fast rather than small: numpy
encodes all series at once, and decodes only the series that a query needs.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from metricat_hub.store.embedded.encoding import LARGEST, SCALES, DamagedError, decode_batch, encode_batch
from metricat_hub.store.embedded.head import Run, Table, run_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from metricat_hub.model.samples import Values
    from metricat_hub.store.embedded.head import Part

_TABLE, _RUN = 1, 2
_CHECKSUM = 4
_CONSTANT, _PLAIN, _SCALED = 0, 1, 2
"""Encodings of a series. From `_SCALED` on: plus four times the exponent, plus the logarithm of the width."""
_WIDTHS = (np.int8, np.int16, np.int32, np.int64)
_LIMITS = tuple(float(np.iinfo(width).max) for width in _WIDTHS)


def encode(part: Part, bounds: bytes) -> bytes:
    """Return the bytes of samples. The checksum includes `bounds`, the other columns of the row in `segments`."""
    body = bytes([_TABLE]) + _encode_table(part) if isinstance(part, Table) else bytes([_RUN]) + encode_batch(part)
    return zlib.crc32(body, zlib.crc32(bounds)).to_bytes(_CHECKSUM, "little") + body


def decode(data: bytes, bounds: bytes, numbers: NDArray[np.int32] | None = None) -> Part | None:
    """Decode the samples of the series `numbers`, which must ascend (None: all series).

    Return None if the segment has no sample of these series.

    Raises:
        DamagedError: the bytes are damaged.
    """
    body = memoryview(data)[_CHECKSUM:]
    if zlib.crc32(body, zlib.crc32(bounds)) != int.from_bytes(data[:_CHECKSUM], "little"):
        raise DamagedError("wrong checksum")
    if body[0] == _TABLE:
        return _decode_table(body[1:], numbers)
    return _chosen(run_of(*decode_batch(bytes(body[1:]))), numbers)


def _chosen(run: Run, numbers: NDArray[np.int32] | None) -> Run | None:
    if numbers is None:
        return run
    if not len(numbers):
        return None
    at = numbers.searchsorted(run.series)
    at[at == len(numbers)] = 0
    chosen = numbers[at] == run.series
    return run_of(run.series[chosen], run.times[chosen], run.values[chosen]) if chosen.any() else None


def _encode_table(table: Table) -> bytes:
    kinds, sections = _encode_values(np.ascontiguousarray(table.values.T))
    parts = [_encode_integers(table.times), _encode_integers(table.series.astype(np.int64)), kinds.tobytes()]
    return b"".join([*parts, *(sections[kind] for kind in sorted(sections))])


@np.errstate(all="ignore")
def _encode_values(values: Values) -> tuple[NDArray[np.uint8], dict[int, bytes]]:
    """Return the encoding of each row, and the bytes of all rows by encoding. A row has the values of a series."""
    bits = values.view(np.uint64)
    kinds = np.full(len(values), _PLAIN, np.uint8)
    sections: dict[int, bytes] = {}
    is_constant = (bits == bits[:, :1]).all(axis=1)
    if is_constant.any():
        kinds[is_constant] = _CONSTANT
        sections[_CONSTANT] = bits[is_constant, 0].tobytes()
    rest = np.flatnonzero(~is_constant)
    for exponent, scale in enumerate(SCALES):
        if not len(rest):
            break
        scaled = np.rint(values[rest] * scale)
        exact = (np.abs(scaled).max(axis=1) < LARGEST) & ((scaled / scale).view(np.uint64) == bits[rest]).all(axis=1)
        exact &= ~((scaled == 0) & np.signbit(scaled)).any(axis=1)
        if exact.any():
            integers = scaled[exact].astype(np.int64)
            widths = np.searchsorted(_LIMITS, np.abs(np.diff(integers, axis=1)).max(axis=1))
            own = _SCALED + exponent * len(_WIDTHS) + widths
            kinds[rest[exact]] = own
            for kind in set(own.tolist()):
                rows = integers[own == kind]
                steps = np.diff(rows, axis=1).astype(_WIDTHS[(kind - _SCALED) % len(_WIDTHS)])
                sections[kind] = rows[:, 0].tobytes() + steps.tobytes()
        rest = rest[~exact]
    if len(rest):
        sections[_PLAIN] = values[rest].tobytes()
    return kinds, sections


def _decode_table(body: memoryview, numbers: NDArray[np.int32] | None) -> Table | None:
    times, at = _decode_integers(body, 0)
    found, at = _decode_integers(body, at)
    series = found.astype(np.int32)
    kinds = np.frombuffer(body, np.uint8, len(series), at)
    at += len(series)
    if numbers is None:
        columns = np.arange(len(series))
    else:
        columns = series.searchsorted(numbers)
        columns[columns == len(series)] = 0
        columns = columns[series[columns] == numbers]
        if not len(columns):
            return None
    count = len(times)
    values = np.empty((len(columns), count))
    own = kinds[columns]
    wanted = set(own.tolist())
    for kind, members in enumerate(np.bincount(kinds).tolist()):
        if kind in wanted:
            places = np.flatnonzero(own == kind)
            rows = np.flatnonzero(kinds == kind).searchsorted(columns[places])
            values[places] = _decode_section(body, at, kind, (members, count), rows)
        at += members * _bytes_of(kind, count)
    return Table(series[columns], times, values.T)


def _decode_section(
    body: memoryview, at: int, kind: int, shape: tuple[int, int], rows: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Return some rows of a section with this number of rows and columns."""
    members, count = shape
    if kind == _CONSTANT:
        return np.frombuffer(body, np.float64, members, at)[rows, None]
    if kind == _PLAIN:
        return np.frombuffer(body, np.float64, members * count, at).reshape(shape)[rows]
    exponent, width = divmod(kind - _SCALED, len(_WIDTHS))
    first = np.frombuffer(body, np.int64, members, at)
    steps = np.frombuffer(body, _WIDTHS[width], members * (count - 1), at + 8 * members).reshape(members, count - 1)
    integers = np.empty((len(rows), count), np.int64)
    integers[:, 0] = first[rows]
    integers[:, 1:] = steps[rows]
    values = np.cumsum(integers, axis=1, out=integers).astype(np.float64)
    return values / SCALES[exponent] if exponent else values


def _bytes_of(kind: int, count: int) -> int:
    """Return the bytes of a series with so many values."""
    if kind == _CONSTANT:
        return 8
    if kind == _PLAIN:
        return 8 * count
    return 8 + (count - 1) * (1 << (kind - _SCALED) % len(_WIDTHS))


def _encode_integers(numbers: NDArray[np.int64]) -> bytes:
    """Return the bytes of ascending integers: count, width, the first one, and the differences."""
    steps = np.diff(numbers)
    width = int(np.searchsorted(_LIMITS, steps.max(initial=0)))
    head = len(numbers).to_bytes(4, "little") + bytes([width]) + int(numbers[0]).to_bytes(8, "little", signed=True)
    return head + steps.astype(_WIDTHS[width]).tobytes()


def _decode_integers(body: memoryview, at: int) -> tuple[NDArray[np.int64], int]:
    count, width = int.from_bytes(body[at : at + 4], "little"), body[at + 4]
    numbers = np.empty(count, np.int64)
    numbers[0] = int.from_bytes(body[at + 5 : at + 13], "little", signed=True)
    numbers[1:] = np.frombuffer(body, _WIDTHS[width], count - 1, at + 13)
    return np.cumsum(numbers, out=numbers), at + 13 + (count - 1) * (1 << width)
