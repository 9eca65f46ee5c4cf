"""Records of queues, and the formats in which samples are sent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metricat_hub.model.labels import Labels, from_mapping
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.samples import STALE
from metricat_hub.remote import line_protocol, records
from metricat_hub.remote.records import DamagedRecordError, Samples
from metricat_hub.remote.remote_write import MOST_TIME, encode_1, encode_2, encode_metadata
from metricat_hub.sources.write.remote_write import decode_1, decode_2

Rows = list[tuple[int, int, float]]

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
label_sets = st.builds(
    lambda name, others: from_mapping({**others, "__name__": name}), texts, st.dictionaries(texts, texts, max_size=3)
)
rows = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, MOST_TIME - 1), st.floats(width=64) | st.just(float(STALE))),
    max_size=12,
)


def samples(labels: list[Labels], found: Rows) -> Samples:
    return Samples(
        labels,
        np.array([row[0] for row in found], np.int32),
        np.array([row[1] for row in found], np.int64),
        np.array([row[2] for row in found], np.float64),
    )


def bits(values: object) -> list[int]:
    return [int(one) for one in np.asarray(values, np.float64).view(np.uint64)]


def content(found: Samples) -> list[tuple[Labels, int, int]]:
    return sorted(
        zip([found.labels[at] for at in found.index.tolist()], found.times.tolist(), bits(found.values), strict=True)
    )


distinct = st.lists(label_sets, min_size=4, max_size=4, unique=True)


@settings(max_examples=150)
@given(distinct, rows)
def test_encoded_samples_are_decoded_to_the_same_bits(labels: list[Labels], found: Rows) -> None:
    sent = samples(labels, found)
    assert content(records.decode(records.decompress(records.compress(records.encode(sent))))) == content(sent)
    for columns in (decode_1(encode_1(sent), ()), decode_2(encode_2(sent))):
        received = sorted(
            zip(map(columns.labels_of, columns.keys), columns.times.tolist(), bits(columns.values), strict=True)
        )
        assert received == content(sent)
        assert not columns.invalid


@settings(max_examples=50)
@given(distinct, rows, rows)
def test_merged_records_have_the_samples_of_all(labels: list[Labels], first: Rows, second: Rows) -> None:
    parts = [samples(labels, first), samples(labels[::-1], second)]
    found = records.merged(parts)
    assert content(found) == sorted(content(parts[0]) + content(parts[1]))
    assert len(set(found.labels)) == len(found.labels)


def test_samples_of_a_series_are_sent_in_order_of_time() -> None:
    one = from_mapping({"__name__": "up"})
    sent = samples([one], [(0, 30, 3.0), (0, 10, 1.0), (0, 20, 2.0)])
    for columns in (decode_1(encode_1(sent), ()), decode_2(encode_2(sent))):
        assert columns.times.tolist() == [10, 20, 30]


@pytest.mark.parametrize(
    "damage", [b"", b"\x00", b"\x95\x01\x90\xc4\x04aaaa\xc4\x00\xc4\x00", b"\x95\x02\x90\xc4\x00\xc4\x00\xc4\x00"]
)
def test_damaged_record_is_refused(damage: bytes) -> None:
    with pytest.raises(DamagedRecordError):
        records.decode(damage)
    with pytest.raises(DamagedRecordError):
        records.decompress(b"\xff\xff")


def test_record_with_a_wrong_series_is_refused() -> None:
    sent = samples([from_mapping({"__name__": "up"})], [(1, 5, 1.0)])
    with pytest.raises(DamagedRecordError):
        records.decode(records.encode(sent))


def test_metadata_is_decoded() -> None:
    given_ = {"up": Metadata("gauge", "Whether it is up.", ""), "t": Metadata("unknown", "é", "seconds")}
    assert decode_1(encode_metadata(given_), ()).metadata == given_


def test_line_protocol() -> None:
    labels = [
        from_mapping({"__name__": "node_load1", "node": "a b", "path": "C:\\x\\", "k": "x,y=z", "n": "1\n2"}),
        from_mapping({"__name__": "up"}),
    ]
    found = samples(
        labels, [(0, 1700000000123, 0.1), (1, 5, 1.0), (1, 6, float("nan")), (1, 7, float("inf")), (1, 8, 1e300)]
    )
    body, count = line_protocol.encode(found)
    assert body.decode().splitlines() == [
        "node_load1,k=x\\,y\\=z,n=1\\ 2,node=a\\ b,path=C:\\x value=0.1 1700000000123",
        "up value=1.0 5",
        "up value=1e+300 8",
    ]
    assert count == 3
