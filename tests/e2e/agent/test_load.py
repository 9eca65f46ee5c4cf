"""A thousand clients on loopback: the agent stays small, responds to well-behaved clients, and recovers."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1 << 20


@dataclass
class Agent:
    process: subprocess.Popen[str]
    port: int

    def status(self, path: str = "/metrics", timeout: float = 10) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=timeout) as response:
                response.read()
                status: int = response.status
                return status
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def resident(self) -> int:
        fields = Path(f"/proc/{self.process.pid}/statm").read_text().split()
        return int(fields[1]) * resource.getpagesize()

    def open_files(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))  # noqa: PTH208 -- a count

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)


@contextmanager
def running(*arguments: str, files: int | None = None) -> Iterator[Agent]:
    limit = [] if files is None else ["prlimit", f"--nofile={files}:{files}", "--"]
    command = [*limit, sys.executable, "-m", "metricat_agent", "--web.listen-address=127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            found = re.search(r"listens on 127\.0\.0\.1:(\d+)", process.stderr.readline())
            assert found
            drain = threading.Thread(target=process.stderr.read, daemon=True)
            drain.start()
            yield Agent(process, int(found[1]))
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 0
        finally:
            process.kill()


def eventually_responds(agent: Agent, seconds: float = 10) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if agent.status() == 200:
            return True
        time.sleep(0.1)
    return False


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096) if hard != resource.RLIM_INFINITY else 4096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_agent_survives_a_thousand_concurrent_scrapes() -> None:
    with running() as agent:
        statuses: Counter[int] = Counter()
        started = time.monotonic()
        with ExitStack() as stack:
            clients = [stack.enter_context(agent.connect()) for _ in range(1000)]
            for client in clients:
                client.settimeout(20)
                try:
                    client.sendall(b"GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n")
                except OSError:
                    statuses[0] += 1
            for client in clients:
                try:
                    head = client.recv(65536)
                    statuses[int(head.split()[1]) if head else 0] += 1
                except OSError:
                    statuses[0] += 1
        took = time.monotonic() - started
        sys.stdout.write(
            f"1,000 concurrent scrapes: {dict(statuses)}, {took:.1f} s, {agent.resident() / MIB:.1f} MiB\n"
        )
        assert statuses[200] >= 1
        assert took < 20
        assert agent.resident() < 64 * MIB
        assert eventually_responds(agent)


def test_thousand_slow_clients_do_not_block_prometheus() -> None:
    with running() as agent, ExitStack() as stack:
        before = agent.resident()
        for number in range(1000):
            client = stack.enter_context(agent.connect())
            if number % 2:
                client.sendall(b"GET /metrics HTTP/1.1\r\nX-Slow: ")
        started = time.monotonic()
        assert eventually_responds(agent, 5)
        took = time.monotonic() - started
        sys.stdout.write(f"1,000 slow clients: a scrape after {took:.2f} s, {agent.resident() / MIB:.1f} MiB\n")
        assert agent.resident() < 64 * MIB
        assert agent.resident() - before < 32 * MIB


def test_oversize_heads_are_rejected() -> None:
    with running() as agent:
        statuses: Counter[bytes] = Counter()
        for _ in range(200):
            with agent.connect() as client:
                try:
                    client.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000)
                    statuses[client.recv(100).split(b" ")[1]] += 1
                except (OSError, IndexError):
                    statuses[b"disconnected"] += 1
        sys.stdout.write(f"200 oversize heads: {dict(statuses)}\n")
        assert set(statuses) <= {b"431", b"disconnected"}
        assert agent.status() == 200
        assert agent.resident() < 64 * MIB


def test_agent_recovers_when_it_runs_out_of_descriptors() -> None:
    with running(files=60) as agent, ExitStack() as stack:
        assert agent.status() == 200
        for _ in range(100):
            stack.enter_context(agent.connect())
        assert eventually_responds(agent, 10), "the agent closes the connections that wait longest"
        stack.close()
        assert eventually_responds(agent)
        assert agent.open_files() <= 60


def test_stop_during_a_scrape_finishes_or_closes_cleanly() -> None:
    with running() as agent:
        stop = threading.Timer(0.01, agent.process.send_signal, (signal.SIGTERM,))
        with agent.connect() as client, agent.connect():
            stop.start()
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            body = b""
            while chunk := client.recv(65536):
                body += chunk
            assert agent.process.wait(60) == 0
        assert body == b"" or body.endswith(b"\n")
