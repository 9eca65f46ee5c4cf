"""The parts around requests to a running hub: rate limits in memory and in a real Redis, access log and audit log."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import cramjam
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from support import hub_process, redis_server
from support.hub_process import HubProcess, send
from support.remote_write import Sent, request_1, snappy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

PATH = "/api/v1/metrics/measures"


def headers(response: hub_process.Response) -> tuple[str, str]:
    return response.headers["ratelimit-limit"], response.headers["ratelimit-remaining"]


def eventually(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def key(folder: Path, *scopes: str) -> str:
    arguments = [f"--scope={scope}" for scope in scopes]
    done = subprocess.run(
        hub_process.command("hub", f"--data={folder}", "keys", "create", *arguments),
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def with_key(hub: HubProcess, text: str) -> HubProcess:
    return HubProcess(hub.process, hub.url, text, "", hub.data)


def test_requests_above_the_limit_get_429_and_when_to_retry(tmp_path: Path) -> None:
    limits = ("--rate-limit.keys=3", "--rate-limit.writes=2", "--rate-limit.scrapes=1")
    with hub_process.running(tmp_path, *limits) as hub:
        found = [hub.get(PATH) for _ in range(4)]
        assert [one.status for one in found] == [200, 200, 200, 429]
        assert [headers(one) for one in found] == [("3", "2"), ("3", "1"), ("3", "0"), ("3", "0")]
        assert found[0].headers["ratelimit-policy"] == '"keys";q=3;w=3600'
        assert re.fullmatch(r'"keys";r=2;t=[0-9]+', found[0].headers["ratelimit"])
        limited = found[3]
        assert limited.headers["content-type"] == "application/problem+json"
        assert limited.json["detail"].startswith(
            f"the client {hub.key.split('_')[1]} has sent 3 requests within an hour"
        )
        assert 1 <= int(limited.headers["retry-after"]) <= 7_200
        assert hub.get("/api/v1/query", query="up").status == 429
        assert [hub.get("/metrics").status for _ in range(2)] == [200, 429]
        assert [hub.post("/api/v1/write", b"").status for _ in range(3)] == [415, 415, 429]
        assert hub.post("/api/v1/metrics/collect", b"{}").status == 429
        assert send(f"{hub.url}/healthz").status == 200
        assert with_key(hub, key(tmp_path)).get(PATH).status == 200
        assert send(f"{hub.url}{PATH}").status == 401


def test_local_clients_without_a_key_share_the_limit_of_users(tmp_path: Path) -> None:
    with hub_process.running(
        tmp_path, "--access.anonymous-loopback", "--rate-limit.users=2", "--rate-limit.keys=7"
    ) as hub:
        assert [send(f"{hub.url}{PATH}").status for _ in range(3)] == [200, 200, 429]
        assert hub.get(PATH).headers["ratelimit-limit"] == "7"


def test_zero_means_no_limit(tmp_path: Path) -> None:
    with hub_process.running(tmp_path, "--rate-limit.keys=0") as hub:
        assert "ratelimit-limit" not in hub.get(PATH).headers


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[redis_server.RedisServer]:
    with redis_server.running(tmp_path / "redis") as server:
        yield server


def test_hubs_share_counts_in_redis_and_count_alone_without_it(tmp_path: Path, redis: redis_server.RedisServer) -> None:
    settings = ("--rate-limit.keys=5",)
    environment = {"METRICAT_HUB_REDIS_URL": redis.url}
    data = tmp_path / "data"
    with (
        hub_process.running(data, *settings, environment=environment) as first,
        hub_process.running(tmp_path / "other", *settings, environment=environment) as second,
    ):
        (tmp_path / "other" / "hub.sqlite").unlink(missing_ok=True)
        assert [headers(first.get(PATH))[1] for _ in range(3)] == ["4", "3", "2"]
        assert headers(second.get(PATH))[1] == "4"  # another key
        redis.stop()
        assert headers(first.get(PATH))[1] == "4"
        status = first.get("/api/status").json
        assert status["status"] == "degraded"
        [problem] = status["problems"]
        assert problem.startswith(f"redis://***@127.0.0.1:{redis.port}/0 does not respond: ")
        assert "open-sesame" not in str(status)
        assert send(f"{first.url}/readyz").status == 200
        redis.start()
        eventually(lambda: with_key(first, key(data)).get("/api/status").json["status"] == "ok")
    assert "open-sesame" not in (data / "hub.log").read_text()


def test_redis_without_its_password_is_reported_without_the_password(
    tmp_path: Path, redis: redis_server.RedisServer
) -> None:
    url = f"redis://:wrong-word@127.0.0.1:{redis.port}/0"
    with hub_process.running(tmp_path / "data", f"--redis.url={url}", "--rate-limit.keys=1000") as hub:
        assert headers(hub.get(PATH)) == ("1000", "999")
        text = hub.get("/api/status").body.decode() + hub.get("/api/v1/status/flags").body.decode()
        assert "does not respond" in text
        assert "wrong-word" not in text


def log_entries(path: Path) -> list[Mapping[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_access_log_has_who_what_from_where_and_outcome(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    query = 'node_procs{groupname="sshd"}'
    with hub_process.running(tmp_path / "data", f"--log.access-file={path}", "--log.mask=values") as hub:
        sent = hub.get("/api/v1/query", {"X-Request-ID": "grafana-1"}, query=query, time="5", ticket="hidden-word")
        assert sent.headers["x-request-id"] == "grafana-1"
        bad = hub.get("/api/status", {"X-Request-ID": "no spaces\tallowed"})
        assert re.fullmatch("[0-9a-f]{16}", bad.headers["x-request-id"])
        assert send(f"{hub.url}/nothing").status == 404
        hub.post("/api/v1/write", b"12345", {"Content-Type": "application/x-protobuf"})
        eventually(lambda: len(log_entries(path)) == 4)
        identifier = hub.key.split("_")[1]
    first, _, unknown, write = log_entries(path)
    assert first["query"] == {"query": 'node_procs{groupname="***"}', "time": "5", "ticket": "***"}
    assert (first["who"], first["kind"], first["client"]) == (identifier, "key", "127.0.0.1")
    assert (first["method"], first["path"], first["handler"]) == ("GET", "/api/v1/query", "query")
    assert (first["status"], first["bytes_in"], first["request_id"]) == (200, 0, "grafana-1")
    assert first["bytes_out"] == len(sent.body)
    assert first["duration_ms"] > 0
    assert (unknown["who"], unknown["status"], unknown["handler"]) == ("", 404, "unknown")
    assert (write["status"], write["bytes_in"]) == (400, 5)
    text = path.read_text()
    assert not any(secret in text for secret in ("hidden-word", "sshd", hub.key.split("_", 2)[2]))


def test_access_log_has_websockets(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with hub_process.running(tmp_path / "data", f"--log.access-file={path}") as hub:
        url = hub.url.replace("http", "ws") + "/api/v1/live"
        with connect(url, additional_headers=[*hub.authorization.items(), ("X-Request-ID", "page-1")]):
            pass
        with pytest.raises(InvalidStatus):
            connect(url)
        eventually(lambda: len(log_entries(path)) == 2)
        identifier = hub.key.split("_")[1]
    found = sorted(log_entries(path), key=lambda one: one["status"])
    assert [(one["method"], one["path"], one["status"], one["who"]) for one in found] == [
        ("WEBSOCKET", "/api/v1/live", 101, identifier),
        ("WEBSOCKET", "/api/v1/live", 401, ""),
    ]
    assert found[0]["request_id"] == "page-1"


def test_access_log_survives_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with hub_process.running(tmp_path / "data", f"--log.access-file={path}") as hub:
        hub.get(PATH)
        eventually(lambda: len(log_entries(path)) == 1)
        path.rename(tmp_path / "access.log.1")

        def written() -> bool:
            hub.get(PATH)
            return bool(log_entries(path))

        eventually(written)


def test_log_that_cannot_be_opened_stops_the_start(tmp_path: Path) -> None:
    done = subprocess.run(
        hub_process.command("hub", f"--data={tmp_path}", "--listen=127.0.0.1:0", "--log.audit-file=/no/audit.log"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "cannot open the audit log /no/audit.log: No such file or directory" in done.stderr


def test_body_above_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with hub_process.running(tmp_path) as hub:
        host, port = hub.url.removeprefix("http://").split(":")
        head = f"POST /api/v1/query HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {hub.key}\r\n"
        for rest, data in (
            (f"Content-Length: {11 << 20}\r\n\r\n", b""),
            ("Transfer-Encoding: chunked\r\n\r\n", b"100000\r\n" + b"x" * (1 << 20) + b"\r\n"),
        ):
            with socket.create_connection((host, int(port)), 30) as connection:
                connection.sendall((head + rest).encode())
                with contextlib.suppress(ConnectionError):
                    for _ in range(11 if data else 0):
                        connection.sendall(data)
                response = connection.recv(1000)
                if response or not data:  # the end of the connection may overtake the response
                    assert response.startswith(b"HTTP/1.1 413 ")
                    assert b"connection: close" in response
        assert hub.get(PATH).status == 200


def history(hub: HubProcess, end: int, sent: Mapping[str, str] | None = None) -> hub_process.Response:
    bounds = {"start": (end - 600_000) / 1000, "end": end / 1000, "step": "1m"}
    return hub.get("/api/v1/metrics/history", sent or {}, metric="level", node="n1", **bounds)


def write(hub: HubProcess, *points: tuple[int, float], name: str = "level") -> None:
    labels = sorted({"__name__": name, "node": "n1"}.items())
    body = snappy(request_1([Sent(labels, list(points))]))
    sent = hub.post("/api/v1/write", body, {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"})
    assert sent.status == 204, sent.body


@pytest.mark.parametrize("where", ["memory", "redis"])
def test_finished_window_comes_from_the_cache_until_a_late_sample_changes_it(tmp_path: Path, where: str) -> None:
    with contextlib.ExitStack() as stack:
        settings = []
        if where == "redis":
            settings = [f"--redis.url={stack.enter_context(redis_server.running(tmp_path / 'redis')).url}"]
        hub = stack.enter_context(hub_process.running(tmp_path / "data", *settings))
        now = int(time.time()) // 60 * 60_000
        end = now - 1_200_000
        write(hub, (end - 60_000, 1.0), (now, 2.0))
        first, again = history(hub, end), history(hub, end)
        assert "age" not in first.headers
        assert "age" in again.headers
        assert again.body == first.body
        assert again.headers["etag"] == first.headers["etag"]
        assert history(hub, end, {"If-None-Match": first.headers["etag"]}).status == 304
        write(hub, (end - 120_000, 5.0))
        late = history(hub, end)
        assert "age" not in late.headers
        assert [value for _, value in late.json["data"][0]["points"]][-3:] == [5.0, 1.0, 1.0]
        assert late.headers["etag"] != first.headers["etag"]
        parameters = {"query": "level", "start": end / 1000 - 600, "end": end / 1000, "step": 60}
        one, two = (hub.get("/api/v1/query_range", **parameters) for _ in range(2))
        assert ("age" in one.headers, "age" in two.headers, one.body == two.body) == (False, True, True)
        assert hub.get("/api/v1/query", query="level", time=end / 1000).json["data"]["result"][0]["value"][1] == "1"
        text = hub.get("/metrics").body.decode()
        assert 'metricat_hub_answers_total{result="cached"} 3.0' in text
        assert 'metricat_hub_answers_total{result="not_modified"} 1.0' in text


def test_current_values_are_never_cached_and_get_304_only_without_new_samples(tmp_path: Path) -> None:
    with hub_process.running(tmp_path, "--collect.interval=1h") as hub:
        now = int(time.time() * 1000)
        write(hub, (now - 20_000, 1.0))
        first = hub.get("/query", metric="level")
        assert hub.get("/query", {"If-None-Match": first.headers["etag"]}, metric="level").status == 304
        write(hub, (now - 10_000, 2.0))
        second = hub.get("/query", {"If-None-Match": first.headers["etag"]}, metric="level")
        assert [second.status, second.json["data"][0]["value"]] == [200, 2.0]
        assert "age" not in second.headers
        third = hub.get("/query", metric="level")
        assert third.json["timestamp"] > second.json["timestamp"]


def test_responses_are_compressed_as_the_client_accepts(tmp_path: Path) -> None:
    with hub_process.running(tmp_path) as hub:
        plain = hub.get(PATH)
        assert "content-encoding" not in plain.headers
        for accepted, coding in (
            ("gzip", "gzip"),
            ("gzip, deflate, br, zstd", "zstd"),
            ("zstd;q=0, gzip;q=0.5", "gzip"),
            ("*", "gzip"),
            ("gzip;q=0", ""),
        ):
            found = hub.get(PATH, {"Accept-Encoding": accepted})
            assert found.headers.get("content-encoding", "") == coding
            assert found.headers["vary"] == "Accept-Encoding"
            body = found.body
            if coding:
                body = bytes(cramjam.gzip.decompress(body) if coding == "gzip" else cramjam.zstd.decompress(body))
            assert body == plain.body
            assert bool(coding) == (len(found.body) < len(plain.body))
        assert "content-encoding" not in hub.get("/api/v1/query", {"Accept-Encoding": "gzip"}, query="1").headers
