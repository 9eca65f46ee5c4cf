"""Decoders of remote write: every sample of a valid request, and an error for any other body."""

from __future__ import annotations

import gzip
import math
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from metricat_hub.model.metadata import Metadata
from metricat_hub.sources.write.decompression import decompressed
from metricat_hub.sources.write.errors import DecodeError, InvalidSeriesError, TooLargeError
from metricat_hub.sources.write.remote_write import Symbols, decode_1, decode_2
from support.remote_write import Sent, message, request_1, request_2, scalar, snappy, varint

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from metricat_hub.sources.write.columns import Columns

NOW = 1_795_000_000_000
DECODERS: dict[str, tuple[Callable[[Sequence[Sent]], bytes], Callable[[bytes], Columns]]] = {
    "1.0": (request_1, lambda body: decode_1(body, ())),
    "2.0": (request_2, decode_2),
}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
NAMES = TEXTS.filter(lambda name: name not in ("", "__name__"))
LABELS = st.dictionaries(NAMES, TEXTS.filter(bool), max_size=4).map(
    lambda pairs: [("__name__", "metric"), *pairs.items()]
)
TIMES = st.one_of(st.integers(-(2**63), 2**63 - 1), st.integers(NOW, NOW + 10**9))
SAMPLES = st.tuples(TIMES, st.floats(allow_nan=False).map(lambda value: value or 0.0))
SERIES = st.builds(
    Sent, LABELS, st.lists(SAMPLES, min_size=1, max_size=3), created=st.sampled_from([0, NOW]), kind=st.integers(0, 7)
)


def decoded(columns: Columns) -> list[tuple[tuple[tuple[str, str], ...], int, float]]:
    return sorted(
        (columns.labels_of(key), time, value)
        for key, time, value in zip(columns.keys, columns.times.tolist(), columns.values.tolist(), strict=True)
    )


def expected(series: Sequence[Sent]) -> list[tuple[tuple[tuple[str, str], ...], int, float]]:
    return sorted((tuple(sorted(one.labels)), *sample) for one in series for sample in one.samples)


@pytest.mark.parametrize("version", DECODERS)
@given(series=st.lists(SERIES, max_size=5))
def test_decoders_return_every_sample(version: str, series: list[Sent]) -> None:
    encode, decode = DECODERS[version]
    assert decoded(decode(encode(series))) == expected(series)


@given(series=st.lists(SERIES, max_size=5))
def test_known_series_are_decoded_like_unknown_ones(series: list[Sent]) -> None:
    body = request_1(series)
    known = set(decode_1(body, ()).keys)
    assert decoded(decode_1(body, known)) == expected(series)


@example(value=0.0)
@example(value=math.inf)
@given(value=st.floats(allow_nan=False).map(lambda value: value or 0.0))
def test_fast_path_takes_usual_samples(value: float) -> None:
    body = request_1([Sent([("__name__", "up")], [(NOW, value)])])
    known = set(decode_1(body, ()).keys)
    [key] = decode_1(body, known).keys
    assert key == next(iter(known))
    assert decoded(decode_1(body, known)) == [((("__name__", "up"),), NOW, value)]


@pytest.mark.parametrize("version", DECODERS)
def test_nan_and_staleness_markers_keep_their_bits(version: str) -> None:
    encode, decode = DECODERS[version]
    stale = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
    columns = decode(encode([Sent([("__name__", "up")], [(NOW, stale), (NOW + 1, math.nan)])]))
    assert columns.values.view("<u8").tolist() == [0x7FF0000000000002, 0x7FF8000000000000]


@pytest.mark.parametrize("version", DECODERS)
def test_sample_with_two_numbers_in_place_of_the_timestamp_is_decoded_by_its_fields(version: str) -> None:
    # value, timestamp 5, and an unknown field: 16 bytes, as a usual sample
    content = b"\x09" + struct.pack("<d", 1.5) + b"\x10\x05" + b"\x20\x80\x80\x01"
    assert len(content) == 15
    content = b"\x09" + struct.pack("<d", 1.5) + b"\x10\x05" + b"\x20\x80\x80\x80\x01"
    encode, _ = DECODERS[version]
    body = encode([Sent([("__name__", "up")], extra=message(2, content))])
    if version == "1.0":
        known = set(decode_1(body, ()).keys)
        columns = decode_1(body, known)
    else:
        columns = decode_2(body)
    assert decoded(columns) == [((("__name__", "up"),), 5, 1.5)]


@pytest.mark.parametrize("version", DECODERS)
def test_metadata_is_decoded(version: str) -> None:
    encode, decode = DECODERS[version]
    series = Sent([("__name__", "a_seconds_total")], [(NOW, 1.0)], kind=1, help="Help.", unit="seconds")
    assert decode(encode([series])).metadata == {"a_seconds_total": Metadata("counter", "Help.", "seconds")}


@pytest.mark.parametrize("version", DECODERS)
def test_histograms_and_exemplars_are_counted(version: str) -> None:
    encode, decode = DECODERS[version]
    columns = decode(encode([Sent([("__name__", "a")], [(NOW, 1.0)], histograms=2, exemplars=3)]))
    assert (columns.histograms, columns.exemplars, len(columns.keys)) == (2, 3, 1)


@pytest.mark.parametrize("version", DECODERS)
@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([], "missing metric name"),
        ([("job", "a")], "missing metric name"),
        ([("__name__", "")], "missing metric name"),
        ([("__name__", "a"), ("b", "1"), ("b", "2")], "duplicate label name 'b'"),
        ([("__name__", "a"), ("", "1")], "empty label name"),
        ([("__name__", "a"), *((f"l{number}", "x") for number in range(128))], "129 labels"),
        ([("__name__", "a" * 9000)], "8192 characters"),
        ([("__name__", "a"), ("b" * 1025, "x")], "above 1024"),
    ],
)
def test_invalid_labels_are_rejected(version: str, labels: list[tuple[str, str]], reason: str) -> None:
    encode, decode = DECODERS[version]
    columns = decode(encode([Sent(labels, [(NOW, 1.0)])]))
    if columns.invalid:  # more references than labels may have
        assert "258 label references" in columns.invalid[0]
        return
    with pytest.raises(InvalidSeriesError, match=reason):
        columns.labels_of(columns.keys[0])


@pytest.mark.parametrize("version", DECODERS)
def test_unsorted_labels_are_sorted_and_empty_values_left_out(version: str) -> None:
    encode, decode = DECODERS[version]
    columns = decode(encode([Sent([("z", "1"), ("a", ""), ("__name__", "m")], [(NOW, 1.0)])]))
    assert columns.labels_of(columns.keys[0]) == (("__name__", "m"), ("z", "1"))


def test_label_that_is_not_utf8_is_rejected() -> None:
    body = message(1, message(1, message(1, b"__name__") + message(2, b"\xff")) + message(2, scalar(2, NOW)))
    columns = decode_1(body, ())
    with pytest.raises(InvalidSeriesError, match="UTF-8"):
        columns.labels_of(columns.keys[0])
    body = b"".join(message(4, text) for text in (b"", b"__name__", b"\xff"))
    columns = decode_2(body + message(5, message(1, b"\x01\x02") + message(2, scalar(2, NOW))))
    assert "UTF-8" in columns.invalid[0]


@pytest.mark.parametrize(
    ("refs", "reason"),
    [(b"\x01", "odd number"), (b"\x01\x05", "beyond the 3 symbols"), (b"\x01\xff\xff\xff\xff\x0f", "beyond")],
)
def test_version_2_rejects_series_with_wrong_references_and_keeps_the_others(refs: bytes, reason: str) -> None:
    symbols = b"".join(message(4, text) for text in (b"", b"__name__", b"up"))
    good = message(5, message(1, b"\x01\x02") + message(2, scalar(2, NOW)))
    columns = decode_2(symbols + message(5, message(1, refs) + message(2, scalar(2, NOW))) + good)
    assert reason in columns.invalid[0]
    assert decoded(columns) == [((("__name__", "up"),), NOW, 0.0)]


def test_version_2_rejects_series_without_samples() -> None:
    assert "without a sample" in decode_2(request_2([Sent([("__name__", "up")])])).invalid[0]


def test_version_2_accepts_references_that_are_not_packed_and_series_before_symbols() -> None:
    series = message(5, b"\x08\x01\x08\x02" + message(2, scalar(2, NOW)))
    columns = decode_2(series + b"".join(message(4, text) for text in (b"", b"__name__", b"up")))
    assert decoded(columns) == [((("__name__", "up"),), NOW, 0.0)]


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a",
        b"\x0a\x05ab",
        b"\x0b",
        b"\x00\x01",
        b"\x08" + b"\xff" * 11,
        message(1, b"\x0a\x7fabc"),
        b"\x2a\x05ab",
        b"\x22\x05",
        b"\x28\x05",
        message(4, b"first"),
        message(5, message(1, b"\x80")),
        message(5, message(1, b"\x80\x80\x80\x80\x80\x80\x01")),
    ],
)
def test_broken_messages_raise_decode_errors(body: bytes) -> None:
    errors = 0
    for decode in (lambda data: decode_1(data, ()), decode_2):
        try:
            decode(body)
        except DecodeError:
            errors += 1
    assert errors


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Return a valid request with some bytes changed, removed or inserted."""
    body = bytearray(draw(st.sampled_from([request_1, request_2]))(draw(st.lists(SERIES, max_size=3))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(body)


@given(body=st.one_of(st.binary(max_size=200), damaged()))
def test_any_bytes_are_decoded_or_raise_a_decode_error(body: bytes) -> None:
    for decode in (lambda data: decode_1(data, ()), decode_2):
        try:
            columns = decode(body)
        except DecodeError:
            continue
        assert len(columns.keys) == len(columns.times) == len(columns.values)
        for key in columns.keys:
            try:
                columns.labels_of(key)
            except InvalidSeriesError:
                continue


def test_decompression_is_limited_before_it_allocates() -> None:
    assert decompressed(snappy(b"a" * 1000), 1000) == b"a" * 1000
    with pytest.raises(TooLargeError, match="4294967295"):
        decompressed(varint(2**32 - 1) + b"\x00a", 1000)
    for body in (b"", b"\xff", b"\x05\x00", snappy(b"abc")[:-1]):
        with pytest.raises(DecodeError, match="snappy"):
            decompressed(body, 1000)


def test_gzip_is_decompressed_within_the_limit() -> None:
    body = gzip.compress(b"a" * 600) + gzip.compress(b"b" * 400)
    assert decompressed(body, 1000, "gzip") == b"a" * 600 + b"b" * 400
    with pytest.raises(TooLargeError, match="more than 999 bytes"):
        decompressed(body, 999, "gzip")
    for broken in (b"x", body[:-1], body + b"x"):
        with pytest.raises(DecodeError, match="gzip"):
            decompressed(broken, 1000, "gzip")


def test_requests_that_share_symbols_have_equal_keys_for_equal_series() -> None:
    symbols = Symbols()
    one, two = Sent([("__name__", "a"), ("x", "1")], [(NOW, 1.0)]), Sent([("__name__", "b")], [(NOW, 1.0)])
    [key] = decode_2(request_2([one]), symbols).keys
    assert decode_2(request_2([two, one]), symbols).keys[1] == key
    assert key not in decode_1(request_1([one, two]), ()).keys


def test_symbols_above_the_limit_are_removed_and_their_numbers_never_used_again() -> None:
    symbols = Symbols(most_bytes=1000)
    seen: set[int] = set()
    for number in range(100):
        [found] = symbols.numbers([f"text {number}".encode()])
        assert found not in seen
        seen.add(found)
        assert len(symbols._numbers) < 10
