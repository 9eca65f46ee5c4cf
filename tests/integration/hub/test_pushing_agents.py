"""Three agents in network namespaces push to one hub. The network fails, the hub and an agent are killed: no loss."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from urllib.request import Request, urlopen

import msgspec
import pytest

from metricat_hub.access.keys import KeyStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and iproute2"),
]
AGENTS = (1, 2, 3)
FEW = ("--collector.disable-defaults", "--collector.loadavg", "--web.listen-address=", "--push.interval=1")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture
def network() -> Iterator[str]:
    """Create a namespace with a veth pair for each agent; yield the common part of their names."""
    prefix = f"mp{os.getpid() % 10_000}"
    with ExitStack() as stack:
        for number in AGENTS:
            name = f"{prefix}-{number}"
            ip("netns", "add", name)
            stack.callback(ip, "netns", "delete", name)
            ip("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("address", "add", f"10.231.{number}.1/30", "dev", name)
            ip("link", "set", name, "up")
            ip("-n", name, "address", "add", f"10.231.{number}.2/30", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield prefix


@contextmanager
def running(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as output, subprocess.Popen(command, stderr=output, stdout=output) as program:
        try:
            yield program
        finally:
            program.kill()


def until(condition: Callable[[], object], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def query(port: int, key: str, text: str) -> list[dict[str, Any]]:
    """Return the result of a query; empty while the hub does not answer."""
    request = Request(
        f"http://127.0.0.1:{port}/api/v1/query?query={quote(text)}", headers={"Authorization": f"Bearer {key}"}
    )
    try:
        with urlopen(request, timeout=10) as response:
            found: list[dict[str, Any]] = msgspec.json.decode(response.read())["data"]["result"]
            return found
    except OSError:
        return []


def test_no_sample_is_lost_or_doubled(tmp_path: Path, network: str) -> None:
    (tmp_path / "data").mkdir()
    key, _ = KeyStore.open(tmp_path / "data", lambda: int(time.time() * 1000)).create("test", ["read", "write"])
    (tmp_path / "token").write_text(key)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    hub = [
        *(sys.executable, "-m", "metricat_hub", f"--listen=0.0.0.0:{port}", "--insecure"),
        f"--data={tmp_path / 'data'}",
    ]

    def agent(number: int) -> list[str]:
        return [
            *("ip", "netns", "exec", f"{network}-{number}", "env", f"NODE_NAME=node-{number}", sys.executable),
            *("-m", "metricat_agent", *FEW, f"--push.url=http://10.231.{number}.1:{port}/api/v1/write"),
            *(f"--push.token-file={tmp_path / 'token'}", f"--push.buffer.path={tmp_path / f'buffer-{number}'}"),
        ]

    def scrapes() -> dict[str, list[int]]:
        """Return the numbers of the scrapes that the hub has, by node, in the order of time."""
        found = query(port, key, "metricat_push_scrapes_total[1h]")
        return {one["metric"]["node"]: [int(value) for _, value in one["values"]] for one in found}

    def counts() -> list[int]:
        return [len(scrapes().get(f"node-{number}", [])) for number in AGENTS]

    with ExitStack() as stack:
        logs = {number: tmp_path / f"{number}.log" for number in AGENTS}
        programs = {number: stack.enter_context(running(agent(number), logs[number])) for number in AGENTS}
        with running(hub, tmp_path / "hub.log") as program:
            until(lambda: min(counts()) > 5, 90)
            for number in AGENTS:
                ip("link", "set", f"{network}-{number}", "down")
            time.sleep(8)
            until(lambda: list((tmp_path / "buffer-3").glob("*.segment")), 60)
            programs[3].send_signal(signal.SIGKILL)
            programs[3].wait()
            programs[3] = stack.enter_context(running(agent(3), logs[3]))
            program.send_signal(signal.SIGKILL)
            program.wait()
            time.sleep(4)
        for number in AGENTS:
            ip("link", "set", f"{network}-{number}", "up")
        with running(hub, tmp_path / "hub.log"):
            before = len(AGENTS) * 15
            until(lambda: sum(counts()) > before, 120)
            until(lambda: not any(list((tmp_path / f"buffer-{number}").glob("*.segment")) for number in AGENTS), 120)
            for one in programs.values():
                one.send_signal(signal.SIGTERM)
                one.wait(30)
            found = scrapes()
            dropped = query(port, key, "sum(max_over_time(metricat_push_dropped_samples_total[1h]))")
    for number in (1, 2):
        numbers = found[f"node-{number}"]
        assert numbers == list(range(len(numbers)))
    first_run, second_run = split(found["node-3"])
    assert first_run == list(range(len(first_run)))
    assert second_run == list(range(len(second_run)))
    assert len(first_run) > 12
    assert dropped[0]["value"][1] == "0"


def split(numbers: list[int]) -> tuple[list[int], list[int]]:
    """Return the numbers before and after the restart of the agent."""
    at = numbers.index(0, 1)
    return numbers[:at], numbers[at:]
