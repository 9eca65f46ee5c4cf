"""The endpoint of JSON batches: samples, rejections by name, repetition, rate, and wrong bodies."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_hub.api.collect import RateLimit
from metricat_hub.api.receiver import WriteLimits
from metricat_hub.api.write import routes
from metricat_hub.sources.write.errors import DecodeError
from metricat_hub.sources.write.json_batch import decode
from metricat_hub.store import sequence_log
from metricat_hub.store.sequence_log import SequenceLog
from metricat_hub.use_cases.write import CONFLICTING, TOO_NEW, TOO_OLD, SampleWriter
from support.hub_server import serving
from support.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.hub_server import Answer, Hub

NOW = int(time.time() * 1000)
PATH = "/api/v1/metrics/collect"
COMMON = {"collector": "c1", "instance": "host-1", "job": "collect", "node": "host-1"}


def batch(*metrics: Any, **members: Any) -> dict[str, Any]:
    return {"collector_id": "c1", "hostname": "host-1", "timestamp": NOW, "metrics": list(metrics), **members}


def send(hub: Hub, body: object) -> Answer:
    return hub.post(PATH, json.dumps(body).encode(), {"Content-Type": "application/json"})


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore(NOW)


@pytest.fixture
def hub(store: MemoryStore, tmp_path: Path) -> Iterator[Hub]:
    limits = WriteLimits(batches_per_minute=5, body=100_000)
    log = SequenceLog(tmp_path)
    with serving(routes(SampleWriter(store), limits, log), tmp_path) as running:
        yield running
    log.close()


def test_batch_is_stored_with_the_labels_of_collector_and_host(hub: Hub, store: MemoryStore) -> None:
    answer = send(
        hub,
        batch(
            {"name": "temperature", "value": 21.5, "labels": {"room": "a"}},
            {"name": "b", "value": "+Inf"},
            sequence=1,
        ),
    )
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {
        "collector_id": "c1",
        "sequence": 1,
        "accepted": 2,
        "duplicates": 0,
        "rejected": [],
        "repeated": False,
    }
    labels = tuple(sorted({**COMMON, "__name__": "temperature", "room": "a"}.items()))
    assert store.samples[labels] == {NOW: 21.5}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("2026-11-27T16:00:00Z", 1795795200000),
        ("2026-11-27T17:00:00.250+01:00", 1795795200250),
        (1795795200, 1795795200000),
        (1795795200.5, 1795795200500),
        (1795795200123, 1795795200123),
    ],
)
def test_timestamps_are_iso_8601_or_seconds_or_milliseconds(given: object, expected: int) -> None:
    body = json.dumps(batch({"name": "a", "value": 1, "timestamp": given})).encode()
    assert decode(body, NOW).columns.times.tolist() == [expected]


def test_each_rejected_sample_is_named_and_the_others_are_stored(hub: Hub, store: MemoryStore) -> None:
    metrics = [
        {"name": "good", "value": 1},
        {"name": "no value"},
        {"name": "bad_value", "value": "one"},
        {"name": "bad_value", "value": True},
        {"name": "bad_label", "value": 1, "labels": {"__name__": "x"}},
        {"name": "naive", "value": 1, "timestamp": "2026-11-27T16:00:00"},
        {"name": "old", "value": 1, "timestamp": NOW - 7_200_000},
        {"name": "new", "value": 1, "timestamp": NOW + 7_200_000},
        {"name": "good", "value": 2},
        "text",
        {"name": "last", "value": -1.5},
        {"name": "huge", "value": 10**400},
    ]
    answer = send(hub, batch(*metrics)).json
    assert answer["accepted"] == 2
    reasons = {(one["index"], one["name"]): one["reason"] for one in answer["rejected"]}
    assert sorted(reasons) == [
        (1, "no value"),
        (2, "bad_value"),
        (3, "bad_value"),
        (4, "bad_label"),
        (5, "naive"),
        (6, "old"),
        (7, "new"),
        (8, "good"),
        (9, ""),
        (11, "huge"),
    ]
    assert (reasons[6, "old"], reasons[7, "new"], reasons[8, "good"]) == (TOO_OLD, TOO_NEW, CONFLICTING)
    assert "not a metric name" in reasons[1, "no value"]
    assert "2026-11-27T16:00:00Z" in reasons[5, "naive"]
    assert len(store.samples) == 2


def test_repeated_batch_gets_the_first_answer_also_after_a_restart(tmp_path: Path) -> None:
    body = batch({"name": "a", "value": 1}, {"name": "bad"}, sequence=7)
    answers = []
    for _ in range(2):
        store, log = MemoryStore(NOW), SequenceLog(tmp_path)
        with serving(routes(SampleWriter(store), log=log), tmp_path) as hub:
            answers += [send(hub, body).json for _ in range(2)]
        log.close()
    assert [answer["repeated"] for answer in answers] == [False, True, True, True]
    assert all({**answer, "repeated": False} == answers[0] for answer in answers)
    assert store.samples == {}


def test_sequence_number_of_another_batch_is_a_conflict(hub: Hub) -> None:
    assert send(hub, batch({"name": "a", "value": 1}, sequence=7)).status == 200
    answer = send(hub, batch({"name": "a", "value": 2}, sequence=7))
    assert (answer.status, answer.headers["content-type"]) == (409, "application/problem+json")
    assert send(hub, batch({"name": "a", "value": 1}, sequence=7, collector_id="c2")).json["repeated"] is False


def test_log_keeps_the_newest_batches_of_each_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sequence_log, "KEPT", 3)
    log = SequenceLog(tmp_path)
    for number in range(10):
        log.add("c1", number, (b"digest", b"answer"))
    log.add("c2", 0, (b"digest", b"answer"))
    assert [number for number in range(10) if log.find("c1", number)] == [7, 8, 9]
    assert log.find("c2", 0) == (b"digest", b"answer")
    log.close()


def test_collector_above_its_rate_gets_429_with_retry_after(hub: Hub) -> None:
    for number in range(5):
        assert send(hub, batch({"name": "a", "value": number})).status == 200
    answer = send(hub, batch({"name": "a", "value": 6}))
    assert answer.status == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 61
    assert send(hub, batch({"name": "a", "value": 6}, collector_id="c2")).status == 200


def test_rate_is_that_of_any_minute() -> None:
    rate = RateLimit(2)
    client = ("key", "c1")
    assert [rate.wait(client, now) for now in (0, 30_000, 59_999, 60_000, 60_001, 90_000)] == [0, 0, 1, 0, 30, 0]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "collector_id"),
        (json.dumps({"collector_id": "c", "hostname": ""}).encode(), "hostname"),
        (json.dumps(batch(sequence=-1)).encode(), "sequence"),
        (json.dumps({**batch(), "metrics": {}}).encode(), "metrics"),
        (json.dumps(batch(*[1] * 10_001)).encode(), "at most 10000"),
        (json.dumps(batch(timestamp="yesterday")).encode(), "timestamp"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_invalid_batch_returns_problem_json(hub: Hub, body: bytes, said: str) -> None:
    answer = hub.post(PATH, body)
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert said in answer.json["detail"]


def test_large_body_and_full_store_are_problems(hub: Hub, store: MemoryStore) -> None:
    assert hub.post(PATH, bytes(100_001)).status == 413
    store.is_full = True
    answer = send(hub, batch({"name": "a", "value": 1}))
    assert (answer.status, answer.headers["retry-after"]) == (503, "5")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(metric=st.dictionaries(st.sampled_from(["name", "value", "labels", "timestamp", "x"]), JSON))
def test_any_metric_is_a_sample_or_has_a_reason(metric: dict[str, object]) -> None:
    body = json.dumps(batch(metric)).replace("Infinity", "1e999").replace("NaN", "0").encode()
    try:
        found = decode(body, NOW)
    except DecodeError:
        return
    assert len(found.columns.keys) + len(found.invalid) == 1
