"""A hub as a process of its own, with its first API key, and requests to it."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

START_SECONDS = 60
UNLIMITED = {"METRICAT_HUB_RATE_LIMIT_KEYS": "0", "METRICAT_HUB_RATE_LIMIT_USERS": "0"}
"""Tests send more requests than the default limits allow. Flags take precedence."""


@dataclass
class Response:
    """A response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def send(
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    method: str | None = None,
    context: ssl.SSLContext | None = None,
) -> Response:
    """Send a request; return the response, whatever its status is."""
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as response:
            return Response(response.status, {k.lower(): v for k, v in response.headers.items()}, response.read())
    except urllib.error.HTTPError as error:
        return Response(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


@dataclass
class HubProcess:
    """A running hub."""

    process: subprocess.Popen[str]
    url: str
    key: str
    output: str
    data: Path

    @property
    def authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def get(self, path: str, headers: Mapping[str, str] | None = None, /, **parameters: Any) -> Response:
        query = f"?{urllib.parse.urlencode(parameters, doseq=True)}" if parameters else ""
        return send(f"{self.url}{path}{query}", headers={**self.authorization, **(headers or {})})

    def post(self, path: str, body: bytes, headers: Mapping[str, str] | None = None) -> Response:
        return send(f"{self.url}{path}", body, {**self.authorization, **(headers or {})})


def command(*arguments: str, launcher: Sequence[str] = ("-m",)) -> list[str]:
    return [sys.executable, *launcher, "metricat_cli", *arguments]


def finished(*arguments: str, environment: Mapping[str, str] | None = None) -> tuple[int, str, str]:
    """Run a command to its end; return its status, its output and its errors."""
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **(environment or {})},
    )
    return done.returncode, done.stdout, done.stderr


@contextmanager
def running(
    folder: Path,
    *arguments: str,
    subcommand: Sequence[str] = ("hub",),
    environment: Mapping[str, str] | None = None,
    listen: str = "127.0.0.1:0",
    launcher: Sequence[str] = ("-m",),
    prefix: Sequence[str] = (),
) -> Iterator[HubProcess]:
    """Run the hub on a free port with its data in the folder; its log is `hub.log` there.

    The interpreter gets the arguments `launcher` before the name of the module. `prefix` is a command that runs it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "hub.log").open("a") as log:
        process = subprocess.Popen(
            [
                *prefix,
                *command(*subcommand, f"--data={folder}", f"--listen={listen}", *arguments, launcher=launcher),
            ],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env={**os.environ, **UNLIMITED, **(environment or {})},
        )
        try:
            output = _started(process, folder)
            url = re.search(r"https?://\S+", output)
            key = re.search(r"metricat_[0-9a-f]{12}_\S+", output)
            assert url is not None
            yield HubProcess(process, url[0], key[0] if key else "", output, folder)
        finally:
            process.terminate()
            try:
                process.wait(30)
            finally:
                process.kill()
                process.wait()
                if process.stdout:
                    process.stdout.close()


def _started(process: subprocess.Popen[str], folder: Path) -> str:
    """Return the lines that the hub prints at its start."""
    assert process.stdout is not None
    output = ""
    deadline = time.monotonic() + START_SECONDS
    os.set_blocking(process.stdout.fileno(), False)
    while "API:" not in output or not output.endswith("\n"):
        readable, _, _ = select.select([process.stdout], [], [], 0.2)
        if readable:
            output += process.stdout.read() or ""
        log = (folder / "hub.log").read_text()
        assert process.poll() is None, f"the hub ended with {process.returncode}: {output}{log}"
        assert time.monotonic() < deadline, f"the hub does not start: {output}{log}"
    return output


def create_key(hub: HubProcess, scope: str) -> str:
    """Create a key with the command line; return it."""
    found = subprocess.run(
        command("hub", "keys", "create", f"--data={hub.data}", f"--scope={scope}"),
        check=True,
        capture_output=True,
        text=True,
    )
    return found.stdout.strip()


def revoke_key(hub: HubProcess, key: str) -> None:
    """Revoke a key with the command line."""
    identifier = key.split("_")[1]
    subprocess.run(command("hub", "keys", "revoke", f"--data={hub.data}", identifier), check=True, capture_output=True)


def eventually(condition: Callable[[], bool], seconds: float = 60) -> bool:
    """Return whether a condition becomes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def failed(folder: Path, *arguments: str) -> tuple[int, str]:
    """Run a hub that cannot start; return its status and its errors."""
    done = subprocess.run(
        command("hub", f"--data={folder}", "--listen=127.0.0.1:0", *arguments),
        check=False,
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
    )
    return done.returncode, done.stderr
