"""Three agents in network namespaces push to one hub. The network fails, the hub and an agent are killed: no loss."""

from __future__ import annotations

import itertools
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
from support.paths import ROOT
from support.scaled_clock import scaled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("ip"), reason="needs root and iproute2"),
]
AGENTS = (1, 2, 3)
NETWORKS = itertools.count()
FEW = ("--collector.disable-defaults", "--collector.loadavg", "--web.listen-address=", "--push.interval=1")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


@pytest.fixture
def network() -> Iterator[str]:
    """Create a namespace with a veth pair for each agent; yield the common part of their names."""
    prefix = f"mp{os.getpid() % 10_000}{next(NETWORKS)}"  # the kernel deletes the devices of the previous test later
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
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    with (
        log.open("ab") as output,
        subprocess.Popen(command, stderr=output, stdout=output, env=environment) as program,
    ):
        try:
            yield program
        finally:
            program.kill()


def until(condition: Callable[[], object], timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def started(network: str, number: int, port: int, folder: Path, module: tuple[str, ...]) -> list[str]:
    """Return the command of an agent in its namespace."""
    return [
        *("ip", "netns", "exec", f"{network}-{number}", "env", f"NODE_NAME=node-{number}", sys.executable),
        *(*module, *FEW, f"--push.url=http://10.231.{number}.1:{port}/api/v1/write"),
        *(f"--push.token-file={folder / 'token'}", f"--push.buffer.path={folder / f'buffer-{number}'}"),
    ]


def new_key(folder: Path) -> str:
    """Create the data directory and a key; write the key to the file of the agents."""
    (folder / "data").mkdir()
    key, _ = KeyStore.open(folder / "data", lambda: int(time.time() * 1000)).create("test", ["read", "write"])
    (folder / "token").write_text(key)
    return key


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


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
    key, port = new_key(tmp_path), free_port()
    hub = [
        *(sys.executable, "-m", "metricat_hub", f"--listen=0.0.0.0:{port}", "--insecure"),
        f"--data={tmp_path / 'data'}",
    ]

    def agent(number: int) -> list[str]:
        return started(network, number, port, tmp_path, ("-m", "metricat_agent"))

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


RATE = 60
"""Seconds of samples in a real second of the test with a faster clock: agents then push once a minute."""


def test_outage_of_an_hour_loses_no_sample(tmp_path: Path, network: str) -> None:
    key, port = new_key(tmp_path), free_port()
    origin = time.time()
    clock = ("-m", "support.scaled_clock", str(RATE), str(origin))
    hub = [
        *(sys.executable, *clock, "metricat_hub", f"--listen=0.0.0.0:{port}", "--insecure"),
        f"--data={tmp_path / 'data'}",
    ]

    def now() -> float:
        return scaled(RATE, origin, time.time())

    def scrapes() -> dict[str, list[tuple[float, int]]]:
        """Return time and number of each scrape that the hub has, by node."""
        found = query(port, key, "metricat_push_scrapes_total[12h]")
        return {one["metric"]["node"]: [(at, int(value)) for at, value in one["values"]] for one in found}

    def newest() -> float:
        """Return the time of the newest sample of the node that has the oldest one."""
        found = scrapes()
        return min(found[f"node-{number}"][-1][0] if f"node-{number}" in found else 0.0 for number in AGENTS)

    with ExitStack() as stack:
        agents = [
            stack.enter_context(
                running(
                    started(network, number, port, tmp_path, (*clock, "metricat_agent")), tmp_path / f"{number}.log"
                )
            )
            for number in AGENTS
        ]
        stack.enter_context(running(hub, tmp_path / "hub.log"))
        until(lambda: newest() > origin, 90)
        for number in AGENTS:
            ip("link", "set", f"{network}-{number}", "down")
        begin = now()
        until(lambda: now() > begin + 3_660, 120)
        end = now()
        assert newest() <= begin
        for number in AGENTS:
            ip("link", "set", f"{network}-{number}", "up")
        until(lambda: newest() > end, 120)
        for one in agents:
            one.send_signal(signal.SIGTERM)
            one.wait(60)
        found = scrapes()
        dropped = query(port, key, "sum(max_over_time(metricat_push_dropped_samples_total[12h]))")
    for number in AGENTS:
        numbers = [value for _, value in found[f"node-{number}"]]
        during = [at for at, _ in found[f"node-{number}"] if begin < at < end]
        sys.stderr.write(f"node-{number}: {len(numbers)} scrapes, {len(during)} in {end - begin:.0f} s of outage\n")
        assert numbers == list(range(len(numbers)))
        assert len(during) > 20
    assert dropped[0]["value"][1] == "0"
