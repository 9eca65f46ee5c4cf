"""Encoding of pages as remote write requests, read back by the hub's decoder."""

from __future__ import annotations

import math

import pytest

from metricat_agent.exposition.model import Family, Metrics, counter, gauge
from metricat_agent.exposition.writer import Writer
from metricat_agent.push.series_encoder import MOST_SAMPLES, Batch, SeriesEncoder, metadata
from metricat_hub.model.metadata import Metadata
from metricat_hub.model.samples import is_stale
from metricat_hub.sources.write.remote_write import decode_1

NOW = 1_795_000_000_000
LABELS = {"job": "metricat", "node": "worker-1"}


def page(metrics: Metrics) -> bytes:
    return Writer().text(metrics).encode()


def decoded(batches: list[Batch]) -> dict[str, tuple[int, float]]:
    """Return time and value of each series by its labels without those of the encoder."""
    found = {}
    for batch in batches:
        columns = decode_1(batch.body, ())
        assert len(columns.keys) == batch.samples
        for key, time, value in zip(columns.keys, columns.times.tolist(), columns.values.tolist(), strict=True):
            labels = dict(columns.labels_of(key))
            assert LABELS.items() <= labels.items()
            own = {name: text for name, text in labels.items() if LABELS.get(name) != text}
            found[" ".join(f"{name}={text}" for name, text in sorted(own.items()))] = (time, value)
    return found


def test_every_series_of_a_page_is_encoded_with_the_labels() -> None:
    metrics: Metrics = [
        (gauge("a", "Help."), [((), 1.5)]),
        (counter("b_total", "Help.", "device"), [(("sda",), 2), (('"\\\n\u00fc',), math.inf)]),
        (gauge("zero", "Help."), [((), 0)]),
    ]
    for _ in range(2):
        encoder = SeriesEncoder(LABELS)
        assert decoded(encoder.encode(page(metrics), NOW)) == {
            "__name__=a": (NOW, 1.5),
            "__name__=b_total device=sda": (NOW, 2.0),
            '__name__=b_total device="\\\n\u00fc': (NOW, math.inf),
            "__name__=zero": (NOW, 0.0),
            "__name__=up": (NOW, 1.0),
        }


def test_histogram_parts_are_series() -> None:
    family = Family("h", "histogram", "Help.", ("le",))
    samples = [(("0.5", "_bucket"), 1.0), (("+Inf", "_bucket"), 3.0), (("", "_sum"), 2.5), (("", "_count"), 3.0)]
    assert set(decoded(SeriesEncoder(LABELS).encode(page([(family, samples)]), NOW))) == {
        "__name__=h_bucket le=0.5",
        "__name__=h_bucket le=+Inf",
        "__name__=h_sum",
        "__name__=h_count",
        "__name__=up",
    }


def test_series_that_ends_gets_one_staleness_marker() -> None:
    encoder = SeriesEncoder(LABELS)
    encoder.encode(page([(gauge("a", "Help.", "x"), [(("1",), 1.0), (("2",), 1.0)])]), NOW)
    shorter = page([(gauge("a", "Help.", "x"), [(("1",), 1.0)])])
    [batch] = encoder.encode(shorter, NOW + 1000)
    columns = decode_1(batch.body, ())
    stale = [dict(columns.labels_of(columns.keys[index]))["x"] for index in is_stale(columns.values).nonzero()[0]]
    assert (len(columns.keys), stale) == (3, ["2"])
    [batch] = encoder.encode(shorter, NOW + 2000)
    assert batch.samples == 2


def test_own_labels_that_conflict_are_exported() -> None:
    found = decoded(SeriesEncoder(LABELS).encode(page([(gauge("a", "Help.", "node"), [(("0",), 1.0)])]), NOW))
    assert "__name__=a exported_node=0" in found


def test_large_pages_become_several_batches() -> None:
    metrics: Metrics = [(gauge("a", "Help.", "x"), [((str(number),), number) for number in range(MOST_SAMPLES + 10)])]
    batches = SeriesEncoder(LABELS).encode(page(metrics), NOW)
    assert [batch.samples for batch in batches] == [MOST_SAMPLES, 11]
    assert len(decoded(batches)) == MOST_SAMPLES + 11


@pytest.mark.parametrize("time", [1, 2**34, 2**42 - 1])
def test_any_time_is_encoded(time: int) -> None:
    encoder = SeriesEncoder(LABELS)
    encoder.encode(page([(gauge("a", "Help."), [((), 1.0)])]), NOW)
    assert decoded(encoder.encode(page([(gauge("a", "Help."), [((), 1.0)])]), time))["__name__=a"] == (time, 1.0)
    assert decoded(encoder.encode(page([(gauge("a", "Help."), [((), 1.0)])]), NOW))["__name__=a"] == (NOW, 1.0)


def test_metadata_has_types_and_help_texts() -> None:
    metrics: Metrics = [(counter("a_total", "Help \\ a."), [((), 1.0)]), (gauge("b", "Help."), [((), 1.0)])]
    assert decode_1(metadata(page(metrics)), ()).metadata == {
        "a_total": Metadata("counter", "Help \\ a."),
        "b": Metadata("gauge", "Help."),
    }
