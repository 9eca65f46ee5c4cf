"""Probes of real servers on the loopback interface."""

from __future__ import annotations

import datetime as dt
import logging
import os
import socket
import ssl
import struct
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from metricat_agent.probes import icmp, tls
from metricat_agent.probes.runner import Runner, probe
from metricat_agent.probes.target import parse_lines
from support.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from metricat_agent.probes.result import Result


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/redirect":
            self._answer(302, b"", Location="/ok")
        elif self.path == "/loop":
            self._answer(302, b"", Location="/loop")
        elif self.path == "/elsewhere":
            self._answer(302, b"", Location="ftp://a/")
        elif self.path == "/token":
            self._answer(200 if self.headers["Authorization"] == "Bearer s3cr3t" else 401, b"")
        elif self.path == "/error":
            self._answer(503, b"broken")
        else:
            self._answer(200, b"ok")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def http_server(certificate: Path | None = None) -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def raw_server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serve one connection with a function."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    answer(connection)
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def run(text: str) -> Result:
    [target] = parse_lines(text)
    return probe(target)


def test_http_success_has_status_phases_and_length() -> None:
    with http_server() as port:
        result = run(f"http://127.0.0.1:{port}/")
    assert result.success, result.message
    assert (result.status, result.http_version, result.content_length, result.redirects) == (200, 1.1, 2, 0)
    assert set(result.phases) == {"resolve", "connect", "processing", "transfer"}
    assert sum(result.phases.values()) <= result.duration
    assert (result.ip_version, result.ended_with_tls) == (4, False)


def test_http_follows_redirects_unless_disabled() -> None:
    with http_server() as port:
        followed = run(f"http://127.0.0.1:{port}/redirect")
        stopped = run(f'{{"url": "http://127.0.0.1:{port}/redirect", "follow_redirects": false}}')
        accepted = run(
            f'{{"url": "http://127.0.0.1:{port}/redirect", "follow_redirects": false, "valid_status_codes": ["302"]}}'
        )
    assert (followed.success, followed.redirects, followed.status) == (True, 1, 200)
    assert (stopped.reason, stopped.status) == ("status", 302)
    assert accepted.success


@pytest.mark.parametrize("path", ["/loop", "/elsewhere"])
def test_http_redirect_without_end_or_to_another_scheme_fails(path: str) -> None:
    with http_server() as port:
        assert run(f"http://127.0.0.1:{port}{path}").reason == "protocol"


def test_http_status_and_body_decide() -> None:
    with http_server() as port:
        failed = run(f"http://127.0.0.1:{port}/error")
        accepted = run(f'{{"url": "http://127.0.0.1:{port}/error", "valid_status_codes": ["5xx"]}}')
        matched = run(f'{{"url": "http://127.0.0.1:{port}/", "body_pattern": "^o.$"}}')
        different = run(f'{{"url": "http://127.0.0.1:{port}/", "body_pattern": "broken"}}')
    assert (failed.reason, failed.status) == ("status", 503)
    assert accepted.success
    assert (matched.success, matched.matched) == (True, True)
    assert (different.reason, different.matched) == ("body", False)


def test_http_token_is_read_at_each_probe_and_sent(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with http_server() as port:
        text = f'{{"url": "http://127.0.0.1:{port}/token", "bearer_token_file": "{file}"}}'
        assert run(text).reason == "permission"
        file.write_text("old\n")
        assert run(text).reason == "status"
        file.write_text("s3cr3t\n")
        assert run(text).success


def test_https_verifies_the_certificate_and_reports_its_expiry(tmp_path: Path) -> None:
    self_signed(tmp_path, "a")
    expiry = x509.load_pem_x509_certificate((tmp_path / "a.crt").read_bytes()).not_valid_after_utc
    with http_server(tmp_path / "a") as port:
        verified = run(f'{{"url": "https://localhost:{port}/", "ca_file": "{tmp_path}/a.crt", "ip_protocol": "4"}}')
        unknown = run(f'{{"url": "https://localhost:{port}/", "ip_protocol": "4"}}')
        skipped = run(f'{{"url": "https://127.0.0.1:{port}/", "insecure_skip_verify": true}}')
        misnamed = run(f'{{"url": "https://127.0.0.1:{port}/", "ca_file": "{tmp_path}/a.crt"}}')
        named = run(
            f'{{"url": "https://127.0.0.1:{port}/", "ca_file": "{tmp_path}/a.crt", "server_name": "localhost"}}'
        )
        handshake = run(f'{{"url": "tls://127.0.0.1:{port}", "insecure_skip_verify": true}}')
    assert verified.success, verified.message
    assert named.success, named.message
    assert verified.certificate_expiry == skipped.certificate_expiry == handshake.certificate_expiry
    assert verified.certificate_expiry == expiry.timestamp()
    assert verified.tls_version == "TLSv1.3"
    assert "tls" in verified.phases
    assert (unknown.reason, misnamed.reason) == ("tls", "tls")
    assert "certificate" in unknown.message
    assert (skipped.success, handshake.success) == (True, True)


def test_missing_ca_file_is_reported(tmp_path: Path) -> None:
    self_signed(tmp_path, "a")
    with http_server(tmp_path / "a") as port:
        result = run(f'{{"url": "https://127.0.0.1:{port}/", "ca_file": "{tmp_path}/none.crt"}}')
    assert (result.reason, "none.crt" in result.message) == ("permission", True)


def test_expiry_of_der_is_the_one_that_cryptography_reads(tmp_path: Path) -> None:
    self_signed(tmp_path, "a")
    certificate = x509.load_pem_x509_certificate((tmp_path / "a.crt").read_bytes())
    der = ssl.PEM_cert_to_DER_cert((tmp_path / "a.crt").read_text())
    assert tls.expiry(der) == certificate.not_valid_after_utc.timestamp()
    for end in range(0, len(der), 7):
        with pytest.raises(ValueError, match=r"DER|validity"):
            tls.expiry(der[:end])


@pytest.mark.parametrize(
    ("tag", "text", "expected"),
    [
        (0x17, b"491231235959Z", "2049-12-31T23:59:59"),
        (0x17, b"500101000000Z", "1950-01-01"),
        (0x18, b"20500101000000Z", "2050-01-01"),
    ],
)
def test_expiry_reads_both_forms_of_time(tag: int, text: bytes, expected: str) -> None:
    assert tls._seconds(tag, text) == dt.datetime.fromisoformat(expected).replace(tzinfo=dt.UTC).timestamp()


def test_refused_connection_and_unknown_name_have_their_reasons() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert run(f"tcp://127.0.0.1:{port}").reason == "connect"
    assert run("tcp://does-not-exist.invalid:80").reason == "resolve"
    assert run(f"tcp://{'a' * 64}.example:80").reason == "resolve"


def test_tcp_probe_succeeds_when_the_port_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        result = run(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
    assert result.success
    assert set(result.phases) == {"resolve", "connect"}


def test_server_that_trickles_ends_at_the_timeout() -> None:
    def trickle(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while True:
            connection.sendall(b"a")
            time.sleep(0.02)

    with raw_server(trickle) as port:
        result = run(f'{{"url": "http://127.0.0.1:{port}/", "timeout": "300ms"}}')
    assert result.reason == "timeout"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[\r\nContent-Length: 0\r\n\r\n",
    ],
)
def test_invalid_response_fails_as_protocol_error(answer: bytes) -> None:
    def send(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(answer)

    with raw_server(send) as port:
        assert run(f"http://127.0.0.1:{port}/").reason == "protocol"


def test_body_is_read_up_to_a_limit() -> None:
    def endless(connection: socket.socket) -> None:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"a" * 65_536)

    with raw_server(endless) as port:
        result = run(f"http://127.0.0.1:{port}/")
    assert (result.success, result.content_length) == (True, -1)


@contextmanager
def dns_server(code: int, answers: int) -> Iterator[int]:
    """Answer one query: first with a forged number, then with the right one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def serve() -> None:
            query, client = server.recvfrom(4096)
            header = struct.pack("!5H", 0x8180 | code, 1, answers, 0, 0)
            server.sendto(b"\0\0" + header + query[12:], client)
            server.sendto(query[:2] + header + query[12:], client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


@pytest.mark.parametrize(("code", "answers", "reason"), [(0, 2, ""), (0, 0, "status"), (3, 0, "status")])
def test_dns_probe_needs_a_record(code: int, answers: int, reason: str) -> None:
    with dns_server(code, answers) as port:
        result = run(f"dns://127.0.0.1:{port}/shop.example")
    assert (result.reason, result.answers) == (reason, answers)
    assert "request" in result.phases


def test_dns_probe_without_a_response_times_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        assert run(f'{{"url": "dns://127.0.0.1:{port}/a", "timeout": "200ms"}}').reason == "timeout"


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
def test_icmp_probe_of_loopback_succeeds(address: str) -> None:
    if os.geteuid():
        pytest.skip("ICMP sockets need root or net.ipv4.ping_group_range")
    if address != "127.0.0.1" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("the machine has no IPv6")
    result = run(f"icmp://{address}")
    assert result.success, result.message
    assert "rtt" in result.phases


def test_checksum_is_that_of_the_rfc() -> None:
    assert icmp.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF - 0xDDF2  # RFC 1071, section 3
    assert icmp.checksum(icmp.echo_request(8, b"odd")) in (0, 0xFFFF)


def test_runner_probes_at_the_interval_and_logs_changes_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    runner = Runner(parse_lines(f'{{"name": "a", "url": "tcp://127.0.0.1:{port}", "interval": "1s", "timeout": "1s"}}'))
    [record] = runner.records
    try:
        assert record.result is None
        _eventually(lambda: record.attempts >= 2)
        assert record.failures == {"connect": record.attempts}
        with socket.create_server(("127.0.0.1", port)):
            _eventually(lambda: record.result is not None and record.result.success)
    finally:
        runner.stop()
    assert [entry.message.partition(":")[0] for entry in caplog.records] == [
        "probe a failed",
        "probe a succeeded again",
    ]
    assert runner.cpu_seconds > 0


def test_running_probe_past_its_deadline_counts_as_failed() -> None:
    runner = Runner(())
    [target] = parse_lines("tcp://127.0.0.1:1")
    from metricat_agent.probes.runner import Record  # noqa: PLC0415 -- only here

    record = Record(target, deadline=100.0)
    assert record.current(99.0) is None
    stuck = record.current(101.0)
    assert stuck is not None
    assert stuck.reason == "timeout"
    runner.stop()


def _eventually(check: Callable[[], bool]) -> None:
    for _ in range(600):
        if check():
            return
        time.sleep(0.05)
    pytest.fail("it did not happen within 30 s")
