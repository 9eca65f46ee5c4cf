"""The real server over real HTTP on a loopback port."""

from __future__ import annotations

import http.client
import select
import selectors
import socket
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors.catalog import COLLECTORS
from metricat_agent.config.settings import Address
from metricat_agent.exposition.writer import CONTENT_TYPE
from metricat_agent.host.hostfs import Host
from metricat_agent.scrape.registry import Registry, ScrapeResult
from metricat_agent.web.connection import Limits
from metricat_agent.web.listener import ListenError, listen
from metricat_agent.web.routes import Pages
from metricat_agent.web.server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from metricat_agent.exposition.writer import Format
    from unit.agent.conftest import Scrape

LOOPBACK = Address("127.0.0.1", 0)


def pages(scrape: Callable[[], str] = lambda: "node_load1 1\n", requests: int = 40) -> Pages:
    """Pages whose metrics are this text, whatever is asked for."""

    def page(fmt: Format = "text", collect: Collection[str] = (), exclude: Collection[str] = ()) -> ScrapeResult:
        del fmt, collect, exclude
        return ScrapeResult(scrape().encode())

    return Pages(page, requests=requests)


@contextmanager
def running(served: Pages | None = None, address: Address = LOOPBACK, limits: Limits | None = None) -> Iterator[int]:
    """Run a server; yield its port. It must be gone at the end, and quickly."""
    server = Server(served or pages(), [address], limits=limits)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield server.addresses[0].port
    finally:
        server.stop()
        thread.join(5)
        assert not thread.is_alive()


def ask(port: int, path: str, method: str = "GET", host: str = "127.0.0.1") -> tuple[http.client.HTTPResponse, bytes]:
    client = http.client.HTTPConnection(host, port, timeout=5)
    try:
        client.request(method, path)
        answer = client.getresponse()
        return answer, answer.read()
    finally:
        client.close()


def eventually(true: Callable[[], bool], seconds: float = 3) -> bool:
    """Wait for what other threads bring about."""
    deadline = time.monotonic() + seconds
    while not true() and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return true()


def raw(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def test_metrics_of_this_host_as_prometheus_reads_them(scrape_of: Callable[[str], Scrape]) -> None:
    registry = Registry(collector(Host()) for collector in COLLECTORS.values())
    with running(Pages(registry.page)) as port:
        answer, body = ask(port, "/metrics")
    assert answer.status == 200
    assert answer.getheader("Content-Type") == CONTENT_TYPE
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
def test_paths_and_methods(method: str, path: str, status: int, inside: bytes) -> None:
    with running() as port:
        answer, body = ask(port, path, method)
    assert answer.status == status
    assert inside in body
    assert (answer.getheader("Allow") == "GET, HEAD") == (status == 405)


def test_one_connection_for_many_requests() -> None:
    with running() as port, raw(port) as client:
        for _ in range(3):
            client.sendall(b"GET /-/healthy HTTP/1.1\r\n\r\n")
            assert client.recv(4096).endswith(b"healthy\n")


def test_a_failing_scrape_is_an_answer_too(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> str:
        raise ZeroDivisionError

    with running(pages(fail)) as port:
        assert ask(port, "/metrics")[0].status == 500
        assert ask(port, "/-/healthy")[0].status == 200
    assert "cannot answer /metrics" in caplog.text


@pytest.mark.parametrize(
    ("sent", "status"), [(b"nonsense\r\n\r\n", b"400"), (b"GET / HTTP/1.1\r\nX: " + b"x" * 20_000, b"431")]
)
def test_what_is_no_request_is_refused(sent: bytes, status: bytes) -> None:
    with running() as port, raw(port) as client:
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
def test_what_is_as_good_as_a_request_is_answered(sent: bytes) -> None:
    with running() as port, raw(port) as client:
        for _ in range(2):
            client.sendall(sent)
            assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_another_request_on_the_same_connection_gets_its_own_answer() -> None:
    with running() as port, raw(port) as client:
        for path, status in (("/-/ready", b"200"), ("/-/ready", b"200"), ("/nothing", b"404"), ("/-/ready", b"200")):
            client.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            assert client.recv(4096).startswith(b"HTTP/1.1 " + status)


def test_empty_lines_win_no_time() -> None:
    with running(limits=Limits(idle=0.5)) as port, raw(port) as client:
        started = time.monotonic()
        client.settimeout(0.05)
        with suppress(OSError):
            while time.monotonic() - started < 5:
                client.sendall(b"\r\n")
                with suppress(TimeoutError):
                    if client.recv(1) == b"":
                        break
        assert time.monotonic() - started < 3


def test_a_client_that_trickles_is_cut_off() -> None:
    with running(limits=Limits(request=0.3)) as port, raw(port) as client:
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


def test_a_client_that_does_not_read_is_cut_off() -> None:
    with running(pages(lambda: "x" * 50_000_000), limits=Limits(answer=0.3)) as port, raw(port) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert ask(port, "/-/healthy")[0].status == 200
        threads = threading.active_count()
        assert eventually(lambda: threading.active_count() < threads)


def test_idle_clients_make_room_for_new_ones() -> None:
    with running(limits=Limits(connections=3)) as port:
        others = threading.active_count()
        idle = [raw(port) for _ in range(10)]
        try:
            assert ask(port, "/-/healthy")[0].status == 200
            assert eventually(lambda: threading.active_count() - others <= 3)
        finally:
            for client in idle:
                client.close()


def status_of(client: socket.socket) -> int:
    """The status of an answer, which must come whole; 0 if the client was cut off."""
    try:
        answer = http.client.HTTPResponse(client)
        answer.begin()
        answer.read()
    except (ConnectionError, http.client.HTTPException):
        return 0
    return answer.status


@pytest.mark.parametrize("line", [b"", b"Connection: close\r\n"])
def test_a_crowd_is_answered_to_the_last(line: bytes) -> None:
    def slow() -> str:
        time.sleep(0.005)
        return "node_load1 1\n"

    with running(pages(slow), limits=Limits(connections=8)) as port, ExitStack() as stack:
        clients = [stack.enter_context(raw(port)) for _ in range(600)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\n" + line + b"\r\n")
        found = Counter(map(status_of, clients))
        assert set(found) <= {200, 503}
        assert found[200] >= 8
        assert ask(port, "/metrics")[0].status == 200


def test_who_waits_gets_a_place_when_one_is_free() -> None:
    busy, free = threading.Semaphore(0), threading.Event()

    def slow() -> str:
        busy.release()
        free.wait(5)
        return "node_load1 1\n"

    with running(pages(slow), limits=Limits(connections=2, patience=20)) as port, ExitStack() as stack:
        clients = [stack.enter_context(raw(port)) for _ in range(5)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert all(busy.acquire(timeout=5) for _ in range(2))
        free.set()
        assert [status_of(client) for client in clients] == [200] * 5


def test_who_keeps_us_waiting_is_told_so_when_others_come() -> None:
    with running(limits=Limits(connections=2)) as port, ExitStack() as stack:
        slow = [stack.enter_context(raw(port)) for _ in range(2)]
        for client in slow:
            client.sendall(b"GET /metrics HTTP/1.1\r\n")
        assert ask(port, "/metrics")[0].status == 200
        assert status_of(slow[0]) == 503


def test_a_stop_tells_those_who_wait_for_a_place() -> None:
    busy, free = threading.Event(), threading.Event()

    def slow() -> str:
        busy.set()
        free.wait(5)
        return "node_load1 1\n"

    with ExitStack() as stack:
        with running(pages(slow), limits=Limits(connections=1, patience=20)) as port:
            clients = [stack.enter_context(raw(port)) for _ in range(2)]
            clients[0].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert busy.wait(5)
            clients[1].sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            threading.Timer(0.2, free.set).start()
        assert [status_of(client) for client in clients] == [200, 503]


def test_health_answers_while_scrapes_hang() -> None:
    hung, free = threading.Event(), threading.Event()

    def hang() -> str:
        hung.set()
        free.wait(10)
        return ""

    with running(pages(hang, requests=1)) as port, raw(port) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert hung.wait(5)
        assert ask(port, "/-/healthy")[0].status == 200
        assert ask(port, "/metrics")[0].status == 503
        free.set()
        assert client.recv(100).startswith(b"HTTP/1.1 200")


def test_stopping_finishes_the_scrape_under_way() -> None:
    hung, free = threading.Event(), threading.Event()

    def slow() -> str:
        hung.set()
        free.wait(10)
        return "node_load1 1\n"

    server = Server(pages(slow), [LOOPBACK])
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


def test_a_stop_answers_who_has_asked_already() -> None:
    server = Server(pages(), [LOOPBACK])
    with ExitStack() as stack:
        clients = [stack.enter_context(raw(server.addresses[0].port)) for _ in range(20)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        server.stop()
        server.run()
        assert [status_of(client) for client in clients] == [200] * 20


def test_a_system_that_knows_select_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As Windows does."""
    monkeypatch.delattr(select, "poll")
    monkeypatch.setattr(selectors, "DefaultSelector", selectors.SelectSelector)
    with running(limits=Limits(connections=1)) as port, ExitStack() as stack:
        clients = [stack.enter_context(raw(port)) for _ in range(3)]
        for client in clients:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert [status_of(client) for client in clients] == [200] * 3


def test_stopping_does_not_wait_for_ever() -> None:
    hung, free = threading.Event(), threading.Event()

    def hang() -> str:
        hung.set()
        free.wait(10)
        return ""

    with running(pages(hang), limits=Limits(drain=0.2)) as port, raw(port) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert hung.wait(5)
        started = time.monotonic()
    assert time.monotonic() - started < 2
    free.set()


@pytest.mark.parametrize("address", [Address("", 0), Address("::", 0)])
def test_every_address_of_both_families(address: Address) -> None:
    with running(address=address) as port:
        assert ask(port, "/-/healthy")[0].status == 200
        if socket.has_ipv6:
            assert ask(port, "/-/healthy", host="::1")[0].status == 200


def test_a_host_without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    original = socket.socket.bind

    def bind(listener: socket.socket, where: tuple[object, ...]) -> None:
        if listener.family == socket.AF_INET6:
            raise OSError(97, "Address family not supported by protocol")
        original(listener, where)

    monkeypatch.setattr("metricat_agent.web.listener.socket.socket.bind", bind)
    with listen(Address("", 0)) as listener:
        assert listener.family == socket.AF_INET


def test_a_port_that_is_taken() -> None:
    with running() as port, pytest.raises(ListenError, match=rf"127\.0\.0\.1:{port}: something else listens there"):
        Server(pages(), [LOOPBACK, Address("127.0.0.1", port)])


def test_a_port_that_is_taken_on_every_address() -> None:
    with running(address=Address("", 0)) as port, pytest.raises(ListenError, match="something else listens there"):
        Server(pages(), [Address("", port)])
