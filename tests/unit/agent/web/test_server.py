"""The server over HTTP on a loopback port."""

from __future__ import annotations

import http.client
import select
import selectors
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import Address
from metricat_agent.exposition.writer import CONTENT_TYPE
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry, ScrapeResult
from metricat_agent.web.connection import ConnectionLimits
from metricat_agent.web.listener import ListenError, exclusive_option, listen
from metricat_agent.web.routes import Router
from metricat_agent.web.server import Server, host_of
from support.agent_http import LOOPBACK, fetch, running

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from metricat_agent.exposition.layout import Format
    from unit.agent.conftest import Scrape


def router(scrape: Callable[[], str] = lambda: "node_load1 1\n", max_requests: int = 40) -> Router:
    """Return a router that exposes this text, regardless of what the request selects."""

    def page(fmt: Format = "text", collect: Collection[str] = (), exclude: Collection[str] = ()) -> ScrapeResult:
        del fmt, collect, exclude
        return ScrapeResult(scrape().encode())

    return Router(page, max_requests=max_requests)


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait until a condition that other threads change is true; return whether it is."""
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return condition()


def raw(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def test_prometheus_can_parse_the_metrics_of_this_host(scrape_of: Callable[[str], Scrape]) -> None:
    registry = Registry(collector(Host()) for collector in COLLECTORS.values())
    with running(Router(registry.page)) as port:
        response, body = fetch(port)
    assert response.status == 200
    assert response.getheader("Content-Type") == CONTENT_TYPE
    scrape = scrape_of(body.decode())
    assert set(scrape.of("node_scrape_collector_success").values()) == {1}
    assert scrape.of("node_cpu_seconds_total")


@pytest.mark.parametrize(
    ("method", "path", "status", "inside"),
    [
        ("GET", "/", 200, b'<a href="/metrics">'),
        ("GET", "/-/healthy", 200, b"healthy"),
        ("GET", "/-/ready", 200, b"ready"),
        ("GET", "/metrics?collect[]=cpu", 200, b"node_load1"),
        ("HEAD", "/metrics", 200, b""),
        ("GET", "/nothing", 404, b"/metrics"),
        ("POST", "/metrics", 405, b"GET"),
        ("DELETE", "/", 405, b"GET"),
        ("OPTIONS", "*", 405, b"GET"),
        ("TRACE", "/nothing", 405, b"GET"),
    ],
)
def test_each_path_and_method_has_its_response(method: str, path: str, status: int, inside: bytes) -> None:
    with running(router()) as port:
        response, body = fetch(port, path, method)
    assert response.status == status
    assert inside in body
    assert (response.getheader("Allow") == "GET, HEAD") == (status == 405)


def test_one_connection_serves_many_requests() -> None:
    with running(router()) as port, raw(port) as client:
        for _ in range(3):
            client.sendall(b"GET /-/healthy HTTP/1.1\r\n\r\n")
            assert client.recv(4096).endswith(b"healthy\n")


def test_failing_scrape_returns_500(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> str:
        raise ZeroDivisionError

    with running(router(fail)) as port:
        assert fetch(port, "/metrics").status == 500
        assert fetch(port, "/-/healthy").status == 200
    assert "internal error in the request for /metrics" in caplog.text


@pytest.mark.parametrize(
    ("sent", "status"), [(b"nonsense\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431")]
)
def test_invalid_request_is_rejected(sent: bytes, status: bytes) -> None:
    with running(router()) as port, raw(port) as client:
        client.sendall(sent)
        assert client.recv(4096).startswith(b"HTTP/1.1 " + status)


@pytest.mark.parametrize(
    "sent",
    [
        b"\r\nGET /-/healthy HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /-/healthy HTTP/1.1\nHost: a\n\n",
        b"GET http://a/-/healthy HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_lenient_forms_of_requests_are_accepted(sent: bytes) -> None:
    with running(router()) as port, raw(port) as client:
        for _ in range(2):
            client.sendall(sent)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_different_requests_on_one_connection_get_their_own_responses() -> None:
    with running(router()) as port, raw(port) as client:
        for path, status in (("/-/ready", b"200"), ("/-/ready", b"200"), ("/nothing", b"404"), ("/-/ready", b"200")):
            client.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 " + status)


def test_empty_lines_do_not_extend_the_idle_deadline() -> None:
    with running(router(), limits=ConnectionLimits(idle=0.5)) as port, raw(port) as client:
        started = time.monotonic()
        client.settimeout(0.05)
        with suppress(OSError):
            while time.monotonic() - started < 5:
                client.sendall(b"\r\n")
                with suppress(TimeoutError):
                    if client.recv(1) == b"":
                        break
        assert time.monotonic() - started < 3


def test_client_that_sends_single_bytes_is_disconnected() -> None:
    with running(router(), limits=ConnectionLimits(request=0.3)) as port, raw(port) as client:
        started = time.monotonic()
        client.settimeout(0.05)
        client.sendall(b"GET / HTTP/1.1\r\n")
        while time.monotonic() - started < 5:
            try:
                client.sendall(b"x")
                if client.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() - started < 2


def test_client_that_does_not_read_is_disconnected() -> None:
    with running(router(lambda: "x" * 50_000_000), limits=ConnectionLimits(response=0.3)) as port, raw(port) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert fetch(port, "/-/healthy").status == 200
        threads = threading.active_count()
        assert eventually(lambda: threading.active_count() < threads)


def test_idle_connections_give_up_their_slots() -> None:
    with running(router(), limits=ConnectionLimits(connections=3)) as port:
        others = threading.active_count()
        idle = [raw(port) for _ in range(10)]
        try:
            assert fetch(port, "/-/healthy").status == 200
            assert eventually(lambda: threading.active_count() - others <= 3)
        finally:
            for client in idle:
                client.close()


def status_of(client: socket.socket) -> int:
    """Return the status of a response, which must be complete; 0 if the server closed the connection."""
    try:
        response = http.client.HTTPResponse(client)
        response.begin()
        response.read()
    except (ConnectionError, http.client.HTTPException):
        return 0
    return response.status


@pytest.mark.parametrize("line", [b"", b"Connection: close\r\n"])
def test_all_concurrent_clients_get_a_response(line: bytes) -> None:
    def slow() -> str:
        time.sleep(0.005)
        return "node_load1 1\n"

    with running(router(slow), limits=ConnectionLimits(connections=8)) as port, ExitStack() as stack:
        clients = [stack.enter_context(raw(port)) for _ in range(600)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\n" + line + b"\r\n")
        found = Counter(map(status_of, clients))
        assert set(found) <= {200, 503}
        assert found[200] >= 8
        assert fetch(port, "/metrics").status == 200


def test_waiting_client_gets_the_next_free_slot() -> None:
    busy, free = threading.Semaphore(0), threading.Event()

    def slow() -> str:
        busy.release()
        free.wait(5)
        return "node_load1 1\n"

    with running(router(slow), limits=ConnectionLimits(connections=2, queue_timeout=20)) as port, ExitStack() as stack:
        clients = [stack.enter_context(raw(port)) for _ in range(5)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert all(busy.acquire(timeout=60) for _ in range(2))
        free.set()
        assert [status_of(client) for client in clients] == [200] * 5


def test_slow_client_gets_503_when_another_needs_its_slot() -> None:
    with running(router(), limits=ConnectionLimits(connections=2)) as port, ExitStack() as stack:
        slow = [stack.enter_context(raw(port)) for _ in range(2)]
        for client in slow:
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert fetch(port, "/metrics").status == 200
        assert status_of(slow[0]) == 503


def test_waiting_client_gets_503_when_the_server_stops() -> None:
    busy, free = threading.Event(), threading.Event()

    def slow() -> str:
        busy.set()
        free.wait(5)
        return "node_load1 1\n"

    with ExitStack() as stack:
        with running(router(slow), limits=ConnectionLimits(connections=1, queue_timeout=20)) as port:
            clients = [stack.enter_context(raw(port)) for _ in range(2)]
            clients[0].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert busy.wait(5)
            clients[1].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            threading.Timer(0.2, free.set).start()
        assert [status_of(client) for client in clients] == [200, 503]


def test_health_endpoint_responds_while_scrapes_hang() -> None:
    hung, free = threading.Event(), threading.Event()

    def hang() -> str:
        hung.set()
        free.wait(10)
        return ""

    with running(router(hang, max_requests=1)) as port, raw(port) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert hung.wait(5)
        assert fetch(port, "/-/healthy").status == 200
        assert fetch(port, "/metrics").status == 503
        free.set()
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_stop_finishes_the_running_scrape() -> None:
    hung, free = threading.Event(), threading.Event()

    def slow() -> str:
        hung.set()
        free.wait(10)
        return "node_load1 1\n"

    server = Server(router(slow), [LOOPBACK])
    thread = threading.Thread(target=server.run)
    thread.start()
    with raw(server.addresses[0].port) as client, raw(server.addresses[0].port):
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert hung.wait(5)
        server.stop()
        free.set()
        assert b"Connection: close" in client.recv(4096)
    thread.join(3)
    assert not thread.is_alive()


def test_stop_still_serves_the_backlog() -> None:
    server = Server(router(), [LOOPBACK])
    with ExitStack() as stack:
        clients = [stack.enter_context(raw(server.addresses[0].port)) for _ in range(20)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        server.stop()
        server.run()
        assert [status_of(client) for client in clients] == [200] * 20


def test_server_works_with_select_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the server with `select`, the only selector that Windows has."""
    monkeypatch.delattr(select, "poll")
    monkeypatch.setattr(selectors, "DefaultSelector", selectors.SelectSelector)
    with running(router(), limits=ConnectionLimits(connections=1)) as port, ExitStack() as stack:
        clients = [stack.enter_context(raw(port)) for _ in range(3)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert [status_of(client) for client in clients] == [200] * 3


def test_stop_waits_no_longer_than_the_drain_limit() -> None:
    hung, free = threading.Event(), threading.Event()

    def hang() -> str:
        hung.set()
        free.wait(10)
        return ""

    with running(router(hang), limits=ConnectionLimits(drain=0.2)) as port, raw(port) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert hung.wait(5)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    free.set()


@pytest.mark.parametrize("address", [Address("", 0), Address("::", 0)])
def test_server_listens_on_both_address_families(address: Address) -> None:
    with running(router(), address=address) as port:
        assert fetch(port, "/-/healthy").status == 200
        if socket.has_ipv6:
            assert fetch(port, "/-/healthy", host="::1").status == 200


def test_host_without_ipv6_listens_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.socket.bind

    def bind(listener: socket.socket, where: tuple[object, ...]) -> None:
        if listener.family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        original(listener, where)

    monkeypatch.setattr("metricat_agent.web.listener.socket.socket.bind", bind)
    with listen(Address("", 0)) as listener:
        assert listener.family == socket.AF_INET


def test_listener_never_shares_its_port_on_windows() -> None:
    assert exclusive_option("win32") != socket.SO_REUSEADDR
    assert exclusive_option("darwin") == exclusive_option("linux") == socket.SO_REUSEADDR


@pytest.mark.parametrize(
    ("address", "host"), [(("10.0.0.1", 5), "10.0.0.1"), (("::1", 5, 0, 0), "::1"), (None, "unknown"), ("", "unknown")]
)
def test_client_without_an_address_has_an_unknown_host(address: object, host: str) -> None:
    assert host_of(address) == host


def test_port_in_use_is_an_error() -> None:
    with (
        running(router()) as port,
        pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}: another process listens there"),
    ):
        Server(router(), [LOOPBACK, Address("127.0.0.1", port)])


def test_port_in_use_on_all_addresses_is_an_error() -> None:
    with (
        running(router(), address=Address("", 0)) as port,
        pytest.raises(ListenError, match="another process listens there"),
    ):
        Server(router(), [Address("", port)])
