"""A real PostgreSQL server in a temporary directory, on a loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from metricat_tools.binaries.debian import ensure_debian

PASSWORD = "a secret/with:signs"
_QUOTED = "a%20secret%2Fwith%3Asigns"
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "max_connections=30",
    "unix_socket_directories=",
    "shared_buffers=64MB",
)


class PostgresServer:
    """A server. It may be stopped, killed and started again on the same port with the same data."""

    def __init__(self, *, durable: bool = False) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="metricat-postgresql-"))
        self._settings = () if durable else _SETTINGS[:2]
        self._bin = _bin()
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
        password = self._folder / "password"
        password.write_text(PASSWORD)
        password.chmod(0o644)
        self._run(
            *(
                "initdb",
                "--pgdata",
                str(self.data),
                "--username=metricat",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
            ),
            *("--encoding=UTF8", "--locale=C", "--no-sync"),
        )
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        self.start()

    @property
    def data(self) -> Path:
        return self._folder / "data"

    def url(self, database: str = "postgres", port: int | None = None) -> str:
        return f"postgresql://metricat:{_QUOTED}@127.0.0.1:{port or self.port}/{database}"

    def new_database(self) -> str:
        """Create an empty database and return its URL."""
        self._databases += 1
        name = f"test_{self._databases}"
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def start(self) -> None:
        """Start the server, and wait until it accepts connections."""
        options = [f"--{one}" for one in (*self._settings, *_SETTINGS[2:])]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._bin / "postgres", "-D", self.data, "-h", "127.0.0.1", "-p", str(self.port), *options],
                stdout=subprocess.DEVNULL,
                stderr=log,
                user=self._user,
                cwd=self._folder,
            )
        end = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url(), connect_timeout=5).close()
            except psycopg.OperationalError:
                if time.monotonic() > end or self._process.poll() is not None:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, number: int = signal.SIGINT) -> None:
        """End the server: SIGINT ends its sessions and shuts down, SIGQUIT is like a crash."""
        if self._process:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process = None

    def close(self) -> None:
        """End the server, and remove its data."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._bin / program, *arguments], check=True, capture_output=True, user=self._user, cwd=self._folder
        )


def _bin() -> Path:
    """Return the directory of the server's programs, and install the package if it is missing."""
    if program := shutil.which("postgres"):
        return Path(program).resolve().parent
    folder = ensure_debian("postgresql")["postgresql"]  # Debian does not put the programs on PATH
    return max(folder.glob("*/bin"), key=lambda path: int(path.parent.name))
