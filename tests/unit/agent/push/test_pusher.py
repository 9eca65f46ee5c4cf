"""The pusher against the hub and against receivers that fail: nothing lost, nothing twice, one log line an outage."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from metricat_agent.push import pusher as module
from metricat_agent.push.pusher import Pusher
from metricat_hub.api.write import routes
from metricat_hub.sources.write.decompression import decompressed
from metricat_hub.sources.write.remote_write import decode_1
from metricat_hub.use_cases.write import SampleWriter
from support.hub_server import serving
from support.memory_store import MemoryStore
from support.push import push_settings
from support.scripted_receiver import Received, Reply, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from metricat_agent.config.push_settings import PushSettings


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.02)
    monkeypatch.setattr(module, "_MOST_WAIT", 0.05)


class Counting:
    """Pages with one series, whose value is the number of the page."""

    def __init__(self) -> None:
        self.pages = 0

    def scrape(self) -> bytes:
        self.pages += 1
        return f"# TYPE pages counter\npages {self.pages}\n".encode()


@contextmanager
def pushing(settings: PushSettings, interval: float = 0.05) -> Iterator[tuple[Pusher, Counting]]:
    made, source = Pusher(replace(settings, interval=interval)), Counting()
    made.start(source.scrape)
    try:
        yield made, source
    finally:
        made.stop()


def until(condition: Callable[[], object], timeout: float = 30) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def value(pusher: Pusher, name: str, *labels: str) -> float:
    [samples] = [samples for family, samples in pusher.metrics() if family.name == name]
    return dict(samples)[labels]


def pushed(requests: list[Received]) -> list[float]:
    """Return the values of the series `pages` in the order of arrival."""
    found = []
    for request in requests:
        columns = decode_1(decompressed(request.body, 1 << 20), ())
        for key, number in zip(columns.keys, columns.values.tolist(), strict=True):
            if ("__name__", "pages") in columns.labels_of(key):
                found.append(number)
    return found


def test_samples_and_metadata_arrive_in_the_hub(tmp_path: Path) -> None:
    store = MemoryStore(int(time.time() * 1000))
    with serving(routes(SampleWriter(store)), tmp_path) as hub:
        (tmp_path / "token").write_text(hub.key)
        given = push_settings(hub.port, f"--push.token-file={tmp_path / 'token'}", "--push.labels=pool=gpu")
        with pushing(given) as (_, source):
            until(lambda: source.pages > 5 and store.metadata)
    labels = {"job": "metricat", "namespace": "local", "service": "metricat", "node": "worker-1", "pool": "gpu"}
    expected = tuple(sorted({**labels, "instance": "worker-1", "__name__": "pages"}.items()))
    assert sorted(store.samples[expected].values()) == [float(number) for number in range(1, source.pages + 1)]
    assert store.metadata["pages"].type == "counter"


@pytest.mark.parametrize("has_disk", [True, False])
def test_outage_loses_and_doubles_nothing(tmp_path: Path, has_disk: bool) -> None:  # noqa: FBT001 -- a parameter
    store = MemoryStore(int(time.time() * 1000))
    path = [f"--push.buffer.path={tmp_path / 'buffer'}"] if has_disk else []
    token = tmp_path / "token"
    token.write_text("")
    with serving(routes(SampleWriter(store)), tmp_path) as hub:
        port = hub.port
        token.write_text(hub.key)
        given = push_settings(port, f"--push.token-file={token}", *path)
        pusher = Pusher(replace(given, interval=0.05))
        source = Counting()
        pusher.start(source.scrape)
        until(lambda: source.pages > 3)
    try:
        until(lambda: source.pages > 20)
        assert value(pusher, "metricat_push_buffered_samples") > 10
        assert bool(list((tmp_path / "buffer").glob("*.segment"))) == has_disk
        with serving(routes(SampleWriter(store)), tmp_path, port) as hub:
            token.write_text(hub.key)
            until(lambda: source.pages > 30)
            pusher.stop()
    finally:
        pusher.stop()
    [samples] = [found for labels, found in store.samples.items() if ("__name__", "pages") in labels]
    assert sorted(samples.values()) == [float(number) for number in range(1, source.pages + 1)]


def test_order_is_kept_and_requests_are_merged_while_draining(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(503)]
        with pushing(push_settings(receiver.port, f"--push.buffer.path={tmp_path / 'buffer'}")) as (pusher, source):
            until(lambda: source.pages > 15)
            failed = len(receiver.requests)
            receiver.replies = [Reply(204)]
            until(lambda: value(pusher, "metricat_push_sent_samples_total") > 30)
        numbers = pushed(receiver.requests)
        assert len(receiver.requests) - failed < 15
    delivered = numbers[numbers.index(1.0, len(numbers) - source.pages) :]
    assert delivered == [float(number) for number in range(1, source.pages + 1)]


def test_rejected_batch_is_dropped_counted_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(400, {"X-Prometheus-Remote-Write-Samples-Written": "1"}, b"out of bounds"), Reply()]
        with pushing(push_settings(receiver.port)) as (pusher, _):
            until(lambda: value(pusher, "metricat_push_sent_samples_total") > 3)
            assert value(pusher, "metricat_push_dropped_samples_total", "rejected") == 1
    assert "the receiver rejected 1 of 2 samples with status 400: out of bounds" in caplog.text


@pytest.mark.parametrize("status", [0, 401, 429, 500])
def test_failure_is_retried_and_logged_once(caplog: pytest.LogCaptureFixture, status: int) -> None:
    caplog.set_level(logging.INFO)
    with receiving() as receiver:
        receiver.replies = [Reply(status, body=b"later")] * 5 + [Reply()]
        with pushing(push_settings(receiver.port)) as (pusher, source):
            until(lambda: value(pusher, "metricat_push_sent_samples_total") > 3)
            assert value(pusher, "metricat_push_failed_requests_total") >= 4
            assert value(pusher, "metricat_push_dropped_samples_total", "rejected") == 0
        assert set(pushed(receiver.requests)) == {float(number) for number in range(1, source.pages + 1)}
    assert caplog.text.count("fails:") == 1
    assert caplog.text.count(" works") == 1


def test_retry_after_is_honored(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    wait = module._wait

    def recorded(failures: int, retry_after: float | None) -> float:
        waits.append(wait(failures, retry_after))
        return 0.01

    monkeypatch.setattr(module, "_wait", recorded)
    with receiving() as receiver:
        receiver.replies = [Reply(429, {"Retry-After": "7"}), Reply(503, {"Retry-After": "100000"}), Reply()]
        with pushing(push_settings(receiver.port)) as (pusher, _):
            until(lambda: value(pusher, "metricat_push_sent_samples_total") > 0)
    assert waits == [7.0, 300.0]


def test_too_large_request_is_sent_in_parts() -> None:
    with receiving() as receiver:
        receiver.replies = [Reply(503)]
        with pushing(push_settings(receiver.port)) as (pusher, source):
            until(lambda: source.pages > 5)
            receiver.replies = [Reply(413), Reply()]
            until(lambda: value(pusher, "metricat_push_sent_samples_total") > 10)
            assert value(pusher, "metricat_push_dropped_samples_total", "rejected") == 0


def test_stop_sends_what_is_buffered() -> None:
    with receiving() as receiver:
        with pushing(push_settings(receiver.port), interval=0.01) as (_, source):
            until(lambda: source.pages > 5)
        assert [number for number in pushed(receiver.requests) if number == source.pages]
