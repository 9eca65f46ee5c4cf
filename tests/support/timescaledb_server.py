"""PostgreSQL with TimescaleDB, compiled to WebAssembly, because Debian has no package of it.

It has one session, which all connections share one after another, and no background workers: policies do not run.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path
from typing import IO, cast

import psycopg

from metricat_tools.binaries import cache

_SOURCE = Path(__file__).parent / "timescaledb"


class TimescaleServer:
    """A server with one database."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self._process = subprocess.Popen(
            ["node", "serve.js", str(self._port)], cwd=_installed(), stdout=subprocess.PIPE, text=True
        )
        self._output = cast("IO[str]", self._process.stdout)
        assert self._output.readline() == "ready\n", "the server did not start"

    @property
    def url(self) -> str:
        parameters = "sslmode=disable&gssencmode=disable&connect_timeout=60"
        return f"postgresql://postgres:any@127.0.0.1:{self._port}/postgres?{parameters}"

    def reset(self) -> None:
        """Remove the tables of the hub, and what sessions before have set."""
        self.run("DROP SCHEMA IF EXISTS metricat CASCADE", "SELECT pg_advisory_unlock_all()", "RESET ALL")

    def run(self, *statements: str) -> list[tuple[object, ...]]:
        """Run statements, and return the rows of the last one. No other connection may be open."""
        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.url, autocommit=True, prepare_threshold=None) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        self._output.close()


def _installed() -> Path:
    """Return a folder with the server and its packages. npm installs them once for each version of the files."""
    files = [_SOURCE / name for name in ("package.json", "package-lock.json", "serve.js")]
    name = f"timescaledb-{cache.key(*(file.read_bytes() for file in files))}"
    folder = cache.root() / name
    with cache.locked(name):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for file in files:
                shutil.copy(file, folder)
            command = ["npm", "ci", "--no-audit", "--no-fund", "--legacy-peer-deps"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True)
            (folder / "installed").touch()
    return folder
