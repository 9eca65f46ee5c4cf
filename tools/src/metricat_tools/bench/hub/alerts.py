"""The part `alerts`: time from a firing alert to its mail, and a storm: messages, loss, time and memory."""

from __future__ import annotations

import email
import email.policy
import json
import sys
import threading
import time
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cramjam
from aiosmtpd.controller import Controller

from metricat_agent.push.series_encoder import SeriesEncoder
from metricat_tools.bench.hub.machine import memory
from metricat_tools.bench.hub.programs import announced, free_port
from metricat_tools.bench.hub.report import Figure
from metricat_tools.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiosmtpd.smtp import SMTP, Envelope, Session

    from metricat_tools.bench.hub.programs import Server

_HEADERS = {
    "Content-Type": "application/x-protobuf",
    "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}
_PATIENCE = 120
_MOST_SECONDS, _MOST_MESSAGES = 5, 20
_RULES = """
groups:
  - name: bench
    interval: 1s
    rules:
      - alert: High
        expr: level > 10
        for: 2s
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.place }} is high"}
      - {alert: Storm, expr: storm > 0 and on () trigger > 0, labels: {severity: warning}}
"""
_SETTINGS = """
receivers:
  - name: default
    email_configs: [{{to: a@example.com, from: b@example.com, smarthost: '127.0.0.1:{smtp}', require_tls: false}}]
  - {{name: storm, webhook_configs: [{{url: 'http://127.0.0.1:{http}/'}}]}}
route:
  receiver: default
  group_by: ['...']
  group_wait: 0s
  routes: [{{matchers: [alertname=Storm], receiver: storm, group_wait: 1s}}]
"""


class _Sink:
    """A mail server and an HTTP server that note what they receive, and when."""

    def __init__(self) -> None:
        self.mails: list[tuple[float, str]] = []
        self.bodies: list[Any] = []

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 -- aiosmtpd's
        content = envelope.content
        message = email.message_from_bytes(content if isinstance(content, bytes) else b"", policy=email.policy.default)
        body = message.get_body(("plain",))
        self.mails.append((time.time(), str(body.get_content()) if body else ""))
        return "250 OK"

    def storm(self) -> set[str]:
        """Return the label `number` of each alert in the webhook messages."""
        return {alert["labels"]["number"] for body in list(self.bodies) for alert in body["alerts"]}

    @contextmanager
    def running(self) -> Iterator[tuple[int, int]]:
        """Run both servers; yield their ports."""
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sink.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                """Log nothing."""

        smtp = Controller(self, hostname="127.0.0.1", port=free_port())
        smtp.start()
        http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=http.serve_forever, daemon=True).start()
        try:
            yield smtp.port, http.server_address[1]
        finally:
            http.shutdown()
            http.server_close()
            smtp.stop()


def measure(folder: Path, alerts: int, storm: int) -> list[Figure]:
    """Return the figures of `alerts` single alerts, and of a storm of `storm` alerts at the same time."""
    sink = _Sink()
    with sink.running() as (smtp, http):
        (folder / "rules.yaml").write_text(_RULES)
        (folder / "hub.yaml").write_text(_SETTINGS.format(smtp=smtp, http=http))
        command = [
            *(
                sys.executable,
                "-m",
                "metricat_cli",
                "hub",
                f"--data={folder / 'data'}",
                f"--config.file={folder / 'hub.yaml'}",
            ),
            *(f"--listen=127.0.0.1:{free_port()}", f"--rules.files={folder / 'rules.yaml'}", "--no-rules.shipped"),
            *("--access.anonymous-loopback", "--rate-limit.keys=0"),
        ]
        with announced("metricat hub", command, folder) as server:
            delays = [_delay(server, sink, number) for number in range(alerts)]
            return [_delivery(delays), *_storm(server, sink, storm)]


def _delivery(delays: list[float]) -> Figure:
    slowest = max(delays)
    text = f"{sorted(delays)[len(delays) // 2]:.1f} s, slowest {slowest:.1f} s of {len(delays)}"
    return Figure("alert fires to mail: median", text, goal=f"{_MOST_SECONDS} s", met=slowest <= _MOST_SECONDS)


def _delay(server: Server, sink: _Sink, number: int) -> float:
    """Return the seconds from the evaluation after which an alert fires to its mail."""
    name = f"place-{number}-end"
    _push(server, f'level{{place="{name}"}} 60')
    _wait(lambda: any(name in text for _, text in list(sink.mails)))
    arrived = next(at for at, text in sink.mails if name in text)
    found = json.loads(server.get("/api/v1/alerts/active?alert=High"))["data"]
    fired = next(one["fired_at"] for one in found if one["labels"]["place"] == name)
    return arrived - datetime.fromisoformat(fired).timestamp()


def _storm(server: Server, sink: _Sink, count: int) -> list[Figure]:
    before, _ = memory(server.pid)
    _push(server, "\n".join(f'storm{{number="{number}"}} 1' for number in range(count)))
    begin = time.monotonic()
    _push(server, "trigger 1")
    _wait(lambda: len(sink.storm()) == count)
    seconds = time.monotonic() - begin
    time.sleep(10)
    messages = len(sink.bodies)
    peak = int(
        next(line for line in Path(f"/proc/{server.pid}/status").read_text().splitlines() if "VmHWM" in line).split()[1]
    )
    return [
        Figure(
            f"{count:,} alerts at once: messages",
            f"{messages}, no alert lost",
            goal=f"{_MOST_MESSAGES}",
            met=messages <= _MOST_MESSAGES,
        ),
        Figure(f"{count:,} alerts at once: all delivered", f"{seconds:.1f} s after the trigger"),
        Figure(f"{count:,} alerts at once: peak of memory", f"{peak / 1024:.0f} MiB, {before:.0f} MiB before"),
    ]


def _push(server: Server, page: str) -> None:
    for batch in SeriesEncoder({"job": "bench"}).encode(page.encode(), time.time_ns() // 1_000_000):
        server.post("/api/v1/write", bytes(cramjam.snappy.compress_raw(batch.body)), _HEADERS)


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise ToolError("the hub sent no message in time. See its log in the output above")
        time.sleep(0.02)
