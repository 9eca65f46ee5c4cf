"""Delivery from a queue: order, retries, restarts, and what a receiver's responses mean."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import cramjam
import numpy as np
import pytest

from metricat_hub.model.labels import from_mapping
from metricat_hub.model.server import Server
from metricat_hub.remote.delivery import Delivery, QueueSettings
from metricat_hub.remote.http_client import Client, RequestError, TooLargeResponseError
from metricat_hub.remote.influxdb_sender import InfluxSender
from metricat_hub.remote.outcome import Outcome
from metricat_hub.remote.records import Samples
from metricat_hub.remote.remote_write_sender import RemoteWriteSender
from metricat_hub.sources.write.remote_write import decode_1, decode_2
from support.scripted_receiver import Received, Receiver, Reply, receiving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

UP = from_mapping({"__name__": "up", "node": "a"})
WRITTEN = "X-Prometheus-Remote-Write-Samples-Written"
FAST = (0.01, 0.02)


def batch(*times: int) -> Samples:
    return Samples([UP], np.zeros(len(times), np.int32), np.array(times, np.int64), np.array(times, np.float64))


def now() -> int:
    return time.time_ns() // 1_000_000


def times_of(requests: Sequence[Received]) -> list[int]:
    """Return the times of all samples, in the order in which they arrived."""
    found: list[int] = []
    for one in requests:
        body = bytes(cramjam.snappy.decompress_raw(one.body))
        is_2 = "v2" in one.headers["content-type"]
        found += (decode_2(body) if is_2 else decode_1(body, ())).times.tolist()
    return found


@contextmanager
def delivering(
    folder: Path,
    send: Callable[[Sequence[Samples]], Outcome],
    most_bytes: int = 1 << 20,
    most_age: int = 1 << 60,
) -> Iterator[Delivery]:
    delivery = Delivery("test", QueueSettings(folder, most_bytes, most_age), send, now, FAST)
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def server(receiver: Receiver, path: str = "/api/v1/write") -> Server:
    return Server(f"http://127.0.0.1:{receiver.port}{path}", timeout=10)


def test_samples_arrive_in_order_after_failures(tmp_path: Path, receiver: Receiver) -> None:
    receiver.replies = [
        *(Reply(503), Reply(0), Reply(429, {"Retry-After": "0"}), Reply(500, {}, b"broken"), Reply(401)),
        Reply(204, {WRITTEN: "7"}),
    ]
    sender = RemoteWriteSender(server(receiver))
    with delivering(tmp_path, sender.send) as delivery:
        for at in range(1, 8):
            delivery.put(batch(at))
        until(delivery.is_empty)
    sender.close()
    assert list(dict.fromkeys(times_of(receiver.requests))) == list(range(1, 8))
    assert times_of(receiver.requests[-1:])[-1] == 7
    assert delivery.state().failed_requests >= 4
    assert not delivery.state().failing_since


def test_samples_survive_a_restart(tmp_path: Path) -> None:
    down = Outcome(text="down", is_retried=True)
    with delivering(tmp_path, lambda _: down) as delivery:
        for at in range(1, 50):
            delivery.put(batch(at))
        until(lambda: delivery.state().failed_requests)
        assert delivery.state().waiting_samples == 49
        assert delivery.state().failing_since
    found: list[int] = []

    def send(parts: Sequence[Samples]) -> Outcome:
        found.extend(time for part in parts for time in part.times.tolist())
        return Outcome(sum(len(part.times) for part in parts))

    with delivering(tmp_path, send) as delivery:
        until(delivery.is_empty)
        assert delivery.state().sent == 49
    assert found == list(range(1, 50))


def test_batch_is_in_a_file_before_put_returns(tmp_path: Path) -> None:
    delivery = Delivery("test", QueueSettings(tmp_path, 1 << 20, 1 << 60), lambda _: Outcome(), now)
    delivery.put(batch(7))
    assert delivery.buffer.is_on_disk()
    copied = b"".join(path.read_bytes() for path in tmp_path.glob("*.segment"))
    assert b"node" in copied
    delivery.close()


def test_oldest_samples_are_dropped_first_and_counted(tmp_path: Path) -> None:
    down = Outcome(text="down", is_retried=True)
    noise = np.random.default_rng(1)
    with delivering(tmp_path, lambda _: down, most_bytes=1 << 20) as delivery:
        for at in range(300):
            values = noise.random(1000)
            index, times = np.zeros(1000, np.int32), np.arange(at * 1000, at * 1000 + 1000)
            delivery.put(Samples([UP], index, times, values))
        state = delivery.state()
    assert state.waiting_samples + state.dropped["buffer_full"] == 300_000
    assert state.waiting_bytes <= 1 << 20
    found: list[int] = []

    def send(parts: Sequence[Samples]) -> Outcome:
        found.extend(time for part in parts for time in part.times.tolist())
        return Outcome(1)

    with delivering(tmp_path, send) as delivery:
        until(delivery.is_empty)
    assert found == list(range(300_000 - state.waiting_samples, 300_000))


def test_error_of_the_sender_does_not_end_the_delivery(tmp_path: Path) -> None:
    calls = 0

    def send(parts: Sequence[Samples]) -> Outcome:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise RuntimeError("bug")
        return Outcome(len(parts[0].times))

    with delivering(tmp_path, send) as delivery:
        delivery.put(batch(1))
        until(delivery.is_empty)
    assert calls == 3


def test_receiver_of_version_1_gets_version_1(tmp_path: Path, receiver: Receiver) -> None:
    sender = RemoteWriteSender(server(receiver))
    with delivering(tmp_path, sender.send) as delivery:
        delivery.put(batch(1))
        until(delivery.is_empty)
        delivery.put(batch(2))
        until(delivery.is_empty)
    sender.close()
    versions = [one.headers["x-prometheus-remote-write-version"] for one in receiver.requests]
    assert versions == ["2.0.0", "0.1.0", "0.1.0"]
    assert times_of(receiver.requests[1:]) == [1, 2]


def test_rejected_samples_of_version_1_are_separated(receiver: Receiver) -> None:
    sender = RemoteWriteSender(server(receiver))
    sender.version = "1.0"
    receiver.replies = [Reply(400), Reply(204), Reply(400), Reply(400, {}, b"out of order"), Reply(204)]
    outcome = sender.send([batch(1, 2, 3, 4)])
    sender.close()
    assert (outcome.stored, outcome.rejected) == (3, 1)
    assert outcome.text == "status 400: out of order"


def test_partial_write_of_version_2_is_counted(receiver: Receiver) -> None:
    sender = RemoteWriteSender(server(receiver))
    receiver.replies = [Reply(400, {WRITTEN: "3"}, b"out of order sample\nmore")]
    outcome = sender.send([batch(1, 2, 3, 4)])
    sender.close()
    assert outcome == Outcome(3, 1, text="status 400: out of order sample")


def test_request_that_is_too_large_is_split(tmp_path: Path, receiver: Receiver) -> None:
    sender = RemoteWriteSender(server(receiver))
    receiver.replies = [Reply(413), Reply(413), Reply(204, {WRITTEN: "2"})]
    with delivering(tmp_path, sender.send) as delivery:
        delivery.put(batch(1, 2, 3, 4))
        until(delivery.is_empty)
        assert delivery.state().sent == 4
    sender.close()
    assert sorted(times_of(receiver.requests[2:])) == [1, 2, 3, 4]


def test_influxdb_gets_lines_and_its_token(tmp_path: Path, receiver: Receiver) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    url = server(receiver, "/api/v2/write?bucket=b&org=o").url
    sender = InfluxSender(Server(url, token_file=str(tmp_path / "token"), token_type="Token"))
    receiver.replies = [Reply(400, {}, b'{"error":"partial write"}'), Reply(204)]
    assert sender.send([batch(1)]).rejected == 1
    nan = Samples([UP], np.zeros(2, np.int32), np.array([1, 2]), np.array([np.nan, 1.5]))
    assert sender.send([nan]) == Outcome(1, skipped=1)
    sender.close()
    last = receiver.requests[-1]
    assert last.path == "/api/v2/write?precision=ms&bucket=b&org=o"
    assert last.headers["authorization"] == "Token s3cret"
    assert last.body == b"up,node=a value=1.5 2\n"


def test_client_limits_bodies_and_time(receiver: Receiver) -> None:
    receiver.replies = [Reply(200, {}, b"x" * 1000)]
    client = Client(server(receiver, ""))
    with pytest.raises(TooLargeResponseError, match="exceeds 100 bytes"):
        client.request("POST", "/", b"", limit=100)
    bomb = bytes(cramjam.gzip.compress(b"\0" * 50_000_000))
    receiver.replies = [Reply(200, {"Content-Encoding": "gzip"}, bomb)]
    with pytest.raises(TooLargeResponseError, match="exceeds 1000000 bytes"):
        client.request("POST", "/", b"", limit=1_000_000)
    receiver.replies = [Reply(200, {"Content-Encoding": "gzip"}, bytes(cramjam.gzip.compress(b"content")))]
    assert client.request("POST", "/", b"").body == b"content"
    with pytest.raises(RequestError, match="timeout"):
        client.request("POST", "/", b"", timeout=0)
    client.close()


def test_client_uses_a_connection_again_and_replaces_a_closed_one(receiver: Receiver) -> None:
    receiver.replies = [Reply(204), Reply(0), Reply(204)]
    client = Client(server(receiver, ""))
    assert client.request("POST", "/", b"1").status == 204
    assert client.request("POST", "/", b"2").status == 204
    client.close()
    assert [one.body for one in receiver.requests] == [b"1", b"2", b"2"]


def test_error_that_repeats_the_request_has_no_secret(tmp_path: Path, receiver: Receiver) -> None:
    token = tmp_path / "token"
    token.write_text("open-sesame\n")
    headers = (("X-Scope-OrgID", "tenant-of-a-team"),)
    at = server(receiver, "/write?key=let%2Fme-in").url
    client = Client(Server(at, token_file=str(token), headers=headers))
    receiver.replies = [Reply(500, body=b"no: Bearer open-sesame tenant-of-a-team key=let%2Fme-in let/me-in")]
    assert client.request("POST", "", b"").text == "no: Bearer <secret> <secret> <secret> <secret>"
    client.close()


def test_secret_is_read_for_each_request(tmp_path: Path, receiver: Receiver) -> None:
    token = tmp_path / "token"
    client = Client(Server(server(receiver, "").url, token_file=str(token)))
    with pytest.raises(RequestError, match="token: No such file"):
        client.request("POST", "/", b"")
    for text in ("one", "two"):
        token.write_text(f"{text}\n")
        client.request("POST", "/", b"")
        assert receiver.requests[-1].headers["authorization"] == f"Bearer {text}"
    client.close()
