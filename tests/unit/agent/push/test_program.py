"""The agent as a process that pushes: without a web server, killed while it buffers, and with wrong settings."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from metricat_agent.push.segments import Segments
from metricat_hub.api.write import routes
from metricat_hub.use_cases.write import SampleWriter
from support.hub_server import serving
from support.memory_store import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FEW = ("--collector.disable-defaults", "--collector.loadavg", "--web.listen-address=", "--push.interval=1")


def command(port: int, folder: Path, *arguments: str) -> list[str]:
    push = (f"--push.url=http://127.0.0.1:{port}/api/v1/write", f"--push.token-file={folder / 'token'}")
    return [sys.executable, "-m", "metricat_agent", *FEW, *push, *arguments]


@contextmanager
def agent(port: int, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    with (
        (folder / "log").open("ab") as log,
        subprocess.Popen(command(port, folder, *arguments), stderr=log, env={"NODE_NAME": "worker-1"}) as program,
    ):
        try:
            yield program
        finally:
            program.kill()


def until(condition: Callable[[], object], timeout: float = 60) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def loads(store: MemoryStore) -> dict[int, float]:
    """Return the samples of the load average of one minute."""
    return next((found for labels, found in store.samples.items() if ("__name__", "node_load1") in labels), {})


def test_agent_pushes_without_a_web_server_and_ends_with_a_signal(tmp_path: Path) -> None:
    store = MemoryStore(int(time.time() * 1000))
    with serving(routes(SampleWriter(store)), tmp_path) as hub:
        (tmp_path / "token").write_text(hub.key)
        with agent(hub.port, tmp_path) as program:
            until(lambda: len(loads(store)) > 1)
            program.send_signal(signal.SIGTERM)
            assert program.wait(30) == 0
    names = {dict(labels)["__name__"] for labels in store.samples}
    assert {"up", "node_load1", "metricat_push_sent_samples_total", "metricat_push_buffered_bytes"} <= names
    assert {"node": "worker-1", "service": "metricat", "namespace": "local"}.items() <= dict(
        next(iter(store.samples))
    ).items()
    log = (tmp_path / "log").read_text()
    assert "does not listen, because web.listen-address is empty" in log
    assert "works" in log


def test_samples_buffered_before_kill_9_arrive_after_the_restart(tmp_path: Path) -> None:
    store = MemoryStore(int(time.time() * 1000))
    buffer = tmp_path / "buffer"
    with serving(routes(SampleWriter(store)), tmp_path) as hub:
        port, key = hub.port, hub.key
    (tmp_path / "token").write_text(key)
    with agent(port, tmp_path, f"--push.buffer.path={buffer}") as program:
        until(lambda: sum(file.stat().st_size for file in buffer.glob("*.segment")) > 2000)
        program.send_signal(signal.SIGKILL)
        program.wait()
    shutil.copytree(buffer, tmp_path / "copy")
    segments = Segments(str(tmp_path / "copy"), 1 << 20)
    buffered = {record.time for record in segments.oldest(1 << 20, 1 << 20)}
    segments.close()
    assert len(buffered) > 2
    with (
        serving(routes(SampleWriter(store)), tmp_path, port) as hub,
        agent(port, tmp_path, f"--push.buffer.path={buffer}"),
    ):
        (tmp_path / "token").write_text(hub.key)
        until(lambda: len(loads(store)) > len(buffered))
        until(lambda: not list(buffer.glob("*.segment")))
    assert buffered < loads(store).keys()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--push.url=hub:8428"], "--push.url=hub:8428: not a URL with http or https; write for example https://"),
        (["--push.url=https://hub"], "has no path; write for example https://hub.example.org:8428/api/v1/write"),
        (["--push.url=https://a:b@hub/x"], "--push.url=https://***@hub/x: has a user name or password"),
        (["--push.url=https://hub/x#y"], "has a fragment (#), which is never sent; remove it"),
        (["--push.url=https://hub/x", "--push.labels=a=1", "--push.labels=a=2"], "two values of the label a; remove"),
        (["--push.url=https://hub/x", "--push.token-file=/nowhere"], "--push.token-file=/nowhere: not a file"),
        (["--push.url=https://hub/x", "--push.username=a"], "belong together; give both"),
        (["--push.url=https://hub/x", "--push.labels=pool"], "pool: not a label; write NAME=VALUE"),
        (["--push.url=https://hub/x", "--push.interval=0.1"], "--push.interval=0.1: not a number from 1 to 3600"),
        (["--push.url=https://hub/x", "--push.compression=zstd"], "unknown value; write snappy or gzip"),
        (["--push.url=https://hub/x", "--push.buffer.bytes=1"], "not a whole number from 1048576"),
        (["--web.listen-address="], "not a listen address"),
    ],
)
def test_wrong_settings_are_rejected_with_what_to_write(arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "metricat_agent", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert said in done.stderr


def test_push_settings_without_a_url_have_no_effect() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "metricat_agent", "--once", *FEW[:2], "--push.interval=5"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert "--push.interval=5 has no effect: the agent does not push; set --push.url" in done.stderr
    assert "metricat_push" not in done.stdout
