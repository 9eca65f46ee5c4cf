"""Decoders of Prometheus remote write 1.0 and 2.0. Pure.

https://prometheus.io/docs/specs/prw/remote_write_spec/ and https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/.
Decoding labels takes most of the time of a request, and successive requests have the same labels. So a decoder does not
decode the labels of a known series. The key of a series is the bytes of its labels in version 1.0, and the numbers of
their texts in version 2.0.
"""

from __future__ import annotations

import itertools
import threading
from typing import TYPE_CHECKING, Generic, TypeVar, cast

import numpy as np

from metricat_hub.model.columns import distinct
from metricat_hub.model.metadata import Metadata, MetricType
from metricat_hub.sources.write.columns import MAX_LABELS, Columns, checked
from metricat_hub.sources.write.errors import DecodeError, InvalidSeriesError
from metricat_hub.sources.write.protobuf import (
    BYTES,
    FIXED64,
    VARINT,
    double,
    fields,
    signed,
    text,
    varint,
    varint_bytes,
)

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from numpy.typing import NDArray

    from metricat_hub.model.labels import Labels
    from metricat_hub.model.samples import Times, Values
    from metricat_hub.sources.write.columns import Key

_TYPES_1: dict[int, MetricType] = {1: "counter", 2: "gauge", 3: "histogram", 5: "summary", 6: "info", 7: "stateset"}
"""The metric types by their numbers in both versions. 0 (unknown) and 4 (gauge histogram) have no type here."""
_TAIL = 15
"""Bytes of a sample that the fast path copies: the value, a tag, and a timestamp of six bytes.

Timestamps from 2^35 to 2^42 milliseconds (1971 to 2109) have six bytes.
"""
_ZERO = bytes(8)
K = TypeVar("K")
_SYMBOL_BYTES = 150
"""Bytes of memory of a symbol in addition to its text."""
_MARK = -1
"""The first number of each key of version 2.0. No key of version 1.0 starts with its bytes."""


def decode_1(data: bytes, known: Container[Key]) -> Columns:
    """Decode a `prometheus.WriteRequest`; raise `DecodeError` if it is not valid.

    `known` contains the keys of resolved series.
    """
    decoder = _Version1(known)
    decoder.request(data)
    return decoder.columns()


def decode_2(data: bytes, symbols: Symbols | None = None) -> Columns:
    """Decode an `io.prometheus.write.v2.Request`; raise `DecodeError` if it is not valid.

    In requests that share `symbols`, equal series have equal keys.
    """
    return _Version2(symbols or Symbols()).request(data)


class Symbols:
    """Assigns numbers to texts, the same in all requests, so that numbers of labels identify a series. Thread-safe.

    Above `most_bytes` of memory, all texts get new numbers. A number is never reused for another text.
    """

    def __init__(self, most_bytes: int = 16 << 20) -> None:
        self._most_bytes = most_bytes
        self._numbers: dict[bytes, int] = {}
        self._next = 1
        self._bytes = 0
        self._lock = threading.Lock()

    def numbers(self, texts: list[bytes]) -> list[int]:
        """Return the number of each text; 0: the text is not valid UTF-8."""
        with self._lock:
            if self._bytes > self._most_bytes:
                self._numbers, self._bytes = {}, 0
            known = self._numbers
            found = list(map(known.get, texts))
            for index in [index for index, number in enumerate(found) if number is None]:
                symbol = texts[index]
                if symbol not in known:
                    known[symbol] = self._next if _is_utf8(symbol) else 0
                    self._next += 1
                    self._bytes += len(symbol) + _SYMBOL_BYTES
                found[index] = known[symbol]
            return cast("list[int]", found)


def _is_utf8(symbol: bytes) -> bool:
    try:
        symbol.decode()
    except UnicodeDecodeError:
        return False
    return True


class _Samples(Generic[K]):
    """Samples: those of the fast path as bytes, the others as numbers."""

    def __init__(self) -> None:
        self.fast_keys: list[K] = []
        self.tails: list[bytes] = []
        self.keys: list[K] = []
        self.times: list[int] = []
        self.values: list[float] = []

    def add(self, key: K, data: bytes, begin: int, end: int) -> None:
        """Add a `Sample` of any form."""
        value, time = 0.0, 0
        for number, kind, at, _ in fields(data, begin, end):
            if number == 1 and kind == FIXED64:
                value = double(data, at)
            elif number == 2 and kind == VARINT:
                time = signed(data, at)
        self.keys.append(key)
        self.times.append(time)
        self.values.append(value)

    def columns(self) -> tuple[list[K], Times, Values]:
        """Return all samples as columns."""
        keys, tails = self.fast_keys, self.tails
        rows = np.frombuffer(b"".join(tails), dtype=np.uint8).reshape(-1, _TAIL)
        number = rows[:, _TAIL - 6 :].astype(np.int64)
        usual = (number[:, :5] >= 0x80).all(axis=1) & (number[:, 5] < 0x80)
        if not usual.all():  # the six bytes are not one timestamp
            for index in np.flatnonzero(~usual).tolist():
                self.add(keys[index], b"\x09" + tails[index], 0, 1 + _TAIL)
            keys = [keys[index] for index in np.flatnonzero(usual).tolist()]
            rows, number = rows[usual], number[usual]
        times = ((number & 0x7F) << np.arange(0, 42, 7)).sum(axis=1)
        values = np.ascontiguousarray(rows[:, :8]).view("<f8").ravel()
        return (
            keys + self.keys,
            np.concatenate((times, np.array(self.times, dtype=np.int64))),
            np.concatenate((values, np.array(self.values, dtype=np.float64))),
        )


class _Version1:
    def __init__(self, known: Container[Key]) -> None:
        self._known = known
        self._samples: _Samples[Key] = _Samples()
        self._histograms = self._exemplars = 0
        self._metadata: dict[str, Metadata] = {}

    def columns(self) -> Columns:
        return Columns(*self._samples.columns(), _labels_1, self._metadata, self._histograms, self._exemplars)

    def request(self, data: bytes) -> None:
        """Decode the fields of a `WriteRequest`.

        The fast path decodes known series that end with one sample of the usual form. The bytes before the sample are
        the key, so all bytes are read.
        """
        known, samples = self._known, self._samples
        add_key, add_tail = samples.fast_keys.append, samples.tails.append
        at, end = 0, len(data)
        while at < end:
            if data[at] != 0x0A:
                at = self._other(data, at, end)
                continue
            size, begin = varint(data, at + 1)
            at = begin + size
            if at > end:
                raise DecodeError("a series is longer than the request")
            # 12 10: a sample of 16 bytes, 09: its value, 10: its timestamp
            if size > 18 and data[at - 18 : at - 15] == b"\x12\x10\x09" and data[at - 7] == 0x10:
                key = data[begin : at - 18]
                if key in known:
                    add_key(key)
                    add_tail(data[at - 15 : at])
                    continue
            elif size > 9 and data[at - 9 : at - 6] == b"\x12\x07\x10":  # a sample with the value 0 has no value
                key = data[begin : at - 9]
                if key in known:
                    add_key(key)
                    add_tail(_ZERO + data[at - 7 : at])
                    continue
            self._series(data, begin, at)

    def _series(self, data: bytes, begin: int, end: int) -> None:
        labels: list[bytes] = []
        samples: list[tuple[int, int]] = []
        for number, kind, at, stop in fields(data, begin, end):
            if kind != BYTES:
                continue
            if number == 1:
                labels.append(b"\x0a" + varint_bytes(stop - at) + data[at:stop])
            elif number == 2:
                samples.append((at, stop))
            elif number == 3:
                self._exemplars += 1
            elif number == 4:
                self._histograms += 1
        key = b"".join(labels)
        for at, stop in samples:
            self._samples.add(key, data, at, stop)

    def _other(self, data: bytes, at: int, end: int) -> int:
        """Decode a field that is not a series, and return the position after it."""
        number, kind, begin, stop = next(fields(data, at, end))
        if number == 3 and kind == BYTES:
            kinds, name, help_text, unit = 0, "", "", ""
            for part, wire, start, finish in fields(data, begin, stop):
                if part == 1 and wire == VARINT:
                    kinds = varint(data, start)[0]
                elif part == 2 and wire == BYTES:
                    name = text(data, start, finish)
                elif part == 4 and wire == BYTES:
                    help_text = text(data, start, finish)
                elif part == 5 and wire == BYTES:
                    unit = text(data, start, finish)
            if name:
                self._metadata[name] = Metadata(_TYPES_1.get(kinds, "unknown"), help_text, unit)
        elif number == 1:
            raise DecodeError("a series is not a message")
        return stop


def _labels_1(key: Key) -> Labels:
    """Return the labels of a series from the bytes of its label fields."""
    data = cast("bytes", key)
    pairs: list[tuple[str, str]] = []
    try:
        for _, _, begin, end in fields(data, 0, len(data)):
            name = value = ""
            for number, kind, at, stop in fields(data, begin, end):
                if number == 1 and kind == BYTES:
                    name = text(data, at, stop)
                elif number == 2 and kind == BYTES:
                    value = text(data, at, stop)
            pairs.append((name, value))
    except DecodeError as error:
        raise InvalidSeriesError(f"invalid labels: {error}") from None
    return checked(pairs)


class _Version2:
    """Decodes the label references of all series together with numpy: they are most of a request."""

    def __init__(self, symbols: Symbols) -> None:
        self._all = symbols
        self._samples: _Samples[int] = _Samples()
        """All samples. The key of a sample is the position of its series."""
        self._refs: list[bytes] = []
        """The packed label references of each series."""
        self._histograms = self._exemplars = 0
        self._empty: list[int] = []
        """The series that have neither a sample nor a histogram."""
        self._symbols: list[bytes] = []
        self._metadata_of: list[tuple[int, bytes]] = []
        """Metadata as bytes, and the position of its series."""

    def request(self, data: bytes) -> Columns:
        """Decode the message: symbols and series may be in any order."""
        symbols: list[bytes] = []
        at, end = 0, len(data)
        while at < end:
            if data[at] in (0x22, 0x2A):  # symbols and series
                size, begin = varint(data, at + 1)
                stop = begin + size
                if stop > end:
                    raise DecodeError("a field is longer than the request")
                if data[at] == 0x22:
                    symbols.append(data[begin:stop])
                elif not self._usual_series(data, begin, stop):
                    self._series(data, begin, stop)
            else:
                number, kind, _, stop = next(fields(data, at, end))
                if number in (4, 5):
                    raise DecodeError(f"field {number} has the wire type {kind}")
            at = stop
        if symbols and symbols[0]:
            raise DecodeError("the first symbol is not empty")
        self._symbols = symbols
        return self._columns()

    def _usual_series(self, data: bytes, begin: int, end: int) -> bool:
        """Decode a series of the usual form: label references, one sample, metadata or not. Return whether it is one.

        Each of these fields is shorter than 128 bytes, so that its tag and its length have one byte each.
        """
        if end - begin < 11 or data[begin] != 0x0A or data[begin + 1] > 0x7F:
            return False
        sample = begin + 2 + data[begin + 1]
        if sample + 9 > end or data[sample] != 0x12:
            return False
        metadata = sample + 2 + data[sample + 1]
        if metadata == end:
            encoded = b""
        elif metadata + 2 <= end and data[metadata] == 0x2A and metadata + 2 + data[metadata + 1] == end:
            if data[metadata + 1] > 0x7F:
                return False
            encoded = data[metadata + 2 : end]
        else:
            return False
        if data[sample + 1] == 16 and data[sample + 2] == 0x09 and data[sample + 11] == 0x10:
            tail = data[sample + 3 : metadata]
        elif data[sample + 1] == 7 and data[sample + 2] == 0x10:
            tail = _ZERO + data[sample + 2 : metadata]
        else:
            return False
        series = len(self._refs)
        self._refs.append(data[begin + 2 : sample])
        self._samples.fast_keys.append(series)
        self._samples.tails.append(tail)
        if encoded:
            self._metadata_of.append((series, encoded))
        return True

    def _series(self, data: bytes, begin: int, end: int) -> None:
        """Decode a series of any form."""
        series = len(self._refs)
        refs: list[bytes] = []
        samples = histograms = 0
        for number, kind, at, stop in fields(data, begin, end):
            if number == 1 and kind in (BYTES, VARINT):
                refs.append(data[at:stop])  # one number if the field is not packed
            elif kind != BYTES:
                continue
            elif number == 2:
                samples += 1
                self._samples.add(series, data, at, stop)
            elif number == 3:
                histograms += 1
            elif number == 4:
                self._exemplars += 1
            elif number == 5:
                self._metadata_of.append((series, data[at:stop]))
        self._refs.append(b"".join(refs))
        self._histograms += histograms
        if not samples and not histograms:
            self._empty.append(series)

    def _columns(self) -> Columns:
        flat, counts = _unpacked(self._refs)
        numbers = np.array([*self._all.numbers(self._symbols), 0], dtype=np.int64)
        flat = np.minimum(flat, len(self._symbols))
        stops = np.cumsum(counts)
        starts = stops - counts
        invalid = self._invalid_series(numbers[flat] == 0, counts, stops)
        marked = np.insert(numbers[flat], starts, _MARK).tobytes()
        bounds = (8 * (np.concatenate(([0], stops)) + np.arange(len(counts) + 1))).tolist()
        keys = [marked[begin:end] for begin, end in itertools.pairwise(bounds)]
        for series in self._empty:
            labels = [self._text(ref) for ref in flat[starts[series] : stops[series]][:20].tolist()]
            invalid.setdefault(series, f"series without a sample: {labels}")
        positions, times, values = self._samples.columns()
        if not invalid.keys().isdisjoint(positions):
            kept = [index for index, series in enumerate(positions) if series not in invalid]
            positions, times, values = [positions[index] for index in kept], times[kept], values[kept]
        texts = dict(zip(numbers.tolist(), self._symbols, strict=False))
        return Columns(
            [keys[series] for series in positions],
            times,
            values,
            lambda key: _labels_2(texts, key),
            self._all_metadata(flat, starts, counts),
            self._histograms,
            self._exemplars,
            list(invalid.values()),
        )

    def _invalid_series(
        self, wrong: NDArray[np.bool_], counts: NDArray[np.int64], stops: NDArray[np.int64]
    ) -> dict[int, str]:
        """Return the reasons of series with invalid references, by position; ``wrong`` marks references."""
        invalid: dict[int, str] = {}
        for series in distinct(np.searchsorted(stops, np.flatnonzero(wrong), side="right")).tolist():
            invalid[series] = (
                f"a label reference is beyond the {len(self._symbols)} symbols, or a symbol is not valid UTF-8"
            )
        for series in np.flatnonzero((counts % 2 != 0) | (counts > 2 * MAX_LABELS)).tolist():
            invalid[series] = f"{counts[series]} label references: an odd number, or above {2 * MAX_LABELS}"
        return invalid

    def _all_metadata(
        self, flat: NDArray[np.int64], starts: NDArray[np.int64], counts: NDArray[np.int64]
    ) -> dict[str, Metadata]:
        """Return the metadata by metric name. The labels are sorted, so the name comes first."""
        found: dict[str, Metadata] = {}
        seen: set[tuple[int, bytes]] = set()
        for series, encoded in self._metadata_of:
            if counts[series] < 2:
                continue
            name_ref = int(flat[starts[series] + 1])
            if (name_ref, encoded) in seen:
                continue
            seen.add((name_ref, encoded))
            name = self._text(name_ref)
            if name and name not in found and self._text(int(flat[starts[series]])) == "__name__":
                found[name] = self._decoded_metadata(encoded)
        return found

    def _text(self, ref: int) -> str:
        """Return a symbol; empty for a reference beyond the symbols."""
        return self._symbols[ref].decode("utf-8", "replace") if ref < len(self._symbols) else ""

    def _decoded_metadata(self, data: bytes) -> Metadata:
        """Return the metadata; references beyond the symbols count as empty."""
        refs = {number: varint(data, at)[0] for number, kind, at, _ in fields(data, 0, len(data)) if kind == VARINT}
        help_text, unit = self._text(refs.get(3, 0)), self._text(refs.get(4, 0))
        return Metadata(_TYPES_1.get(refs.get(1, 0), "unknown"), help_text, unit)


def _unpacked(parts: list[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the numbers of packed lists of varints below 2^32, one list after the other, and each list's length."""
    data = np.frombuffer(b"".join(parts), dtype=np.uint8)
    if not len(data):
        return np.zeros(0, dtype=np.int64), np.zeros(len(parts), dtype=np.int64)
    last = data < 0x80
    stops = np.cumsum([len(part) for part in parts])
    ends_before = np.concatenate(([0], np.cumsum(last)))
    if not last[stops[stops > 0] - 1].all():
        raise DecodeError("a list of label references ends within a number")
    counts = np.diff(ends_before[np.concatenate(([0], stops))])
    begins = np.concatenate(([0], np.flatnonzero(last)[:-1] + 1))
    shift = np.arange(len(data)) - np.repeat(begins, np.diff(np.concatenate((begins, [len(data)]))))
    if shift.max() > 4:
        raise DecodeError("a label reference has more than 5 bytes")
    numbers = np.add.reduceat((data & 0x7F).astype(np.int64) << (7 * shift), begins)
    return numbers, counts


def _labels_2(texts: Mapping[int, bytes], key: Key) -> Labels:
    """Return the labels of a series from the numbers of its symbols."""
    numbers = np.frombuffer(cast("bytes", key), dtype=np.int64)[1:].tolist()
    found = [texts[number].decode() for number in numbers]
    return checked(zip(found[::2], found[1::2], strict=True))
