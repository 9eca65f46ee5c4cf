"""Converts numpy columns to and from arrays in PostgreSQL's binary format, without a Python object for each value."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from psycopg.adapt import Dumper
from psycopg.pq import Format

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from psycopg.abc import AdaptContext

    from metricat_hub.model.samples import Times, Values

_HEAD = struct.Struct(">iiIii")
"""Dimensions, whether an element is null, type of the elements, length, first index."""
_EMPTY = struct.Struct(">iiI")
_INT4, _FLOAT8, _TIMESTAMPTZ = 23, 701, 1184
_INT4_ARRAY, _FLOAT8_ARRAY, _TIMESTAMPTZ_ARRAY = 1007, 1022, 1185
_COPY_HEAD, _COPY_END = b"PGCOPY\n\xff\r\n\0" + bytes(8), b"\xff\xff"
_ROW = np.dtype(
    [
        ("columns", ">i2"),
        *(("series_size", ">i4"), ("series", ">i4")),
        *(("time_size", ">i4"), ("time", ">i8")),
        *(("value_size", ">i4"), ("value", ">u8")),
    ]
)
_EPOCH = 946_684_800_000
"""2000-01-01 UTC in milliseconds since 1970: where PostgreSQL's times begin."""
_EARLIEST, _LATEST = -(10**14), 9 * 10**15
"""Milliseconds that PostgreSQL can represent. Times of queries may be outside."""


class _Encoded:
    """A value in the binary format of its type."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        self.data = data


class Integers(_Encoded):
    """An `integer[]`."""

    def __init__(self, numbers: NDArray[np.integer]) -> None:
        super().__init__(_array(np.asarray(numbers), _INT4, ">i4"))


class Floats(_Encoded):
    """A `double precision[]`, with every bit of its values."""

    def __init__(self, values: Values) -> None:
        super().__init__(_array(values, _FLOAT8, ">f8"))


class Moments(_Encoded):
    """A `timestamptz[]` of milliseconds since 1970."""

    def __init__(self, times: Times) -> None:
        super().__init__(_array((times - _EPOCH) * 1000, _TIMESTAMPTZ, ">i8"))


class Moment(_Encoded):
    """A `timestamptz` of milliseconds since 1970."""

    def __init__(self, time: int) -> None:
        super().__init__(struct.pack(">q", (min(max(time, _EARLIEST), _LATEST) - _EPOCH) * 1000))


class _BinaryDumper(Dumper):
    format = Format.BINARY
    type_oid: ClassVar[int]

    def dump(self, obj: _Encoded) -> bytes:
        return obj.data


class _IntegersDumper(_BinaryDumper):
    oid = _INT4_ARRAY


class _FloatsDumper(_BinaryDumper):
    oid = _FLOAT8_ARRAY


class _MomentsDumper(_BinaryDumper):
    oid = _TIMESTAMPTZ_ARRAY


class _MomentDumper(_BinaryDumper):
    oid = _TIMESTAMPTZ


def register(context: AdaptContext) -> None:
    """Register the types of this module with a connection, so that they can be parameters of statements."""
    for kind, dumper in (
        (Integers, _IntegersDumper),
        (Floats, _FloatsDumper),
        (Moments, _MomentsDumper),
        (Moment, _MomentDumper),
    ):
        context.adapters.register_dumper(kind, dumper)


def decode_integers(data: bytes) -> NDArray[np.int64]:
    """Return the elements of an `integer[]` that `array_send` encoded."""
    return _elements(data, ">i4").astype(np.int64)


def decode_floats(data: bytes) -> Values:
    """Return the elements of a `double precision[]`, with every bit."""
    # A conversion of numbers could change the bits of a NaN, so the bytes are swapped as integers.
    return _elements(data, ">u8").astype(np.uint64).view(np.float64)


def decode_moments(data: bytes) -> Times:
    """Return the elements of a `timestamptz[]` as milliseconds since 1970."""
    return _elements(data, ">i8").astype(np.int64) // 1000 + _EPOCH


def _array(values: NDArray[np.generic], element: int, form: str) -> bytes:
    if not len(values):
        return _EMPTY.pack(0, 0, element)
    size = np.dtype(form).itemsize
    rows = np.empty(len(values), np.dtype([("size", ">i4"), ("value", form)]))
    rows["size"] = size
    if form == ">f8":
        rows["value"] = np.ascontiguousarray(values).view(np.uint64).astype(">u8").view(">f8")
    else:
        rows["value"] = values
    return _HEAD.pack(1, 0, element, len(values), 1) + rows.tobytes()


def _elements(data: bytes, form: str) -> NDArray[np.generic]:
    dimensions = int.from_bytes(data[:4], "big")
    if not dimensions:
        return np.zeros(0, form)
    found: NDArray[np.generic] = np.frombuffer(data, np.dtype([("size", ">i4"), ("value", form)]), offset=_HEAD.size)[
        "value"
    ]
    return found


def copy_rows(series: NDArray[np.integer], times: Times, values: Values) -> bytes:
    """Return rows of `integer, timestamptz, double precision` as the data of `COPY ... (FORMAT BINARY)`."""
    rows = np.empty(len(series), _ROW)
    rows["columns"], rows["series_size"], rows["time_size"], rows["value_size"] = 3, 4, 8, 8
    rows["series"] = series
    rows["time"] = (times - _EPOCH) * 1000
    rows["value"] = np.ascontiguousarray(values).view(np.uint64)  # every bit of a NaN
    return _COPY_HEAD + rows.tobytes() + _COPY_END
