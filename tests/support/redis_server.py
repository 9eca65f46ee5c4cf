"""A real Redis on loopback, with its data in a temporary folder."""

from __future__ import annotations

import socket
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from metricat_tools.binaries import ensure_debian

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass
class RedisServer:
    """A Redis, which tests stop and start again on the same port."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://:open-sesame@127.0.0.1:{self.port}/0"

    def start(self) -> None:
        program = self.folder / "redis-server"  # Debian's programs of Redis are one binary, which looks at its name
        if not program.exists():
            program.symlink_to(ensure_debian("redis-tools")["redis-tools"])
        self.process = subprocess.Popen(
            [
                *(str(program), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)),
                *("--save", "", "--appendonly", "no", "--requirepass", "open-sesame"),
            ],
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + 30
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), 1) as connection:
                    connection.sendall(b"PING\r\n")
                    assert connection.recv(100)
                    return
            except OSError:
                assert self.process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait(30)
            self.process = None


@contextmanager
def running(folder: Path) -> Iterator[RedisServer]:
    """Run Redis until the end of the block."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = RedisServer(folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
