"""A real Alertmanager on loopback, for tests that compare with it."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from metricat_tools.binaries import ensure
from metricat_tools.images.stack import ensure_stack
from support.hub_process import send

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

# Debian's build reads its templates from here; if the package is not installed, they are in the program's directory.
WITH_TEMPLATES = """
if [ ! -d /usr/share/prometheus/alertmanager ]; then
    mount -t tmpfs none /usr/share && mkdir -p /usr/share/prometheus/alertmanager || exit 1
    cp "$(dirname "$0")"/*.tmpl /usr/share/prometheus/alertmanager/ || exit 1
fi
exec "$0" "$@"
"""
_SECONDS = 60


class Alertmanager:
    """A running Alertmanager."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, alerts: Sequence[Mapping[str, str]], *, is_resolved: bool = False) -> None:
        """Send alerts, each by its labels."""
        now = datetime.now(UTC)
        ends = now if is_resolved else now + timedelta(hours=1)
        body = [
            {"labels": labels, "startsAt": (now - timedelta(seconds=1)).isoformat(), "endsAt": ends.isoformat()}
            for labels in alerts
        ]
        self._send("/api/v2/alerts", body)

    def silence(self, name: str, value: str) -> None:
        """Silence the alerts with a label, and wait until the silence is active."""
        now = datetime.now(UTC)
        matcher = {"name": name, "value": value, "isRegex": False, "isEqual": True}
        body = {"matchers": [matcher], "startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}
        self._send("/api/v2/silences", {**body, "createdBy": "ann", "comment": "a test"})
        _wait(lambda: b'"state":"active"' in send(f"{self.url}/api/v2/silences").body, lambda: "no active silence")

    def _send(self, path: str, body: object) -> None:
        response = send(f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        assert response.status == 200, response.body


@contextmanager
def running(folder: Path, configuration: str) -> Iterator[Alertmanager]:
    """Run Alertmanager with a configuration until the end of the block."""
    ensure_stack("alertmanager")  # which unpacks the templates
    (folder / "alertmanager.yml").write_text(configuration)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    program = str(ensure("prometheus-alertmanager")["prometheus-alertmanager"])
    command = [
        *("unshare", "--map-root-user", "--mount", "sh", "-c", WITH_TEMPLATES, program, "--log.level=error"),
        *("--config.file=alertmanager.yml", "--storage.path=data", "--cluster.listen-address="),
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    url, log = f"http://127.0.0.1:{port}", folder / "alertmanager.log"
    with log.open("w") as output, subprocess.Popen(command, cwd=folder, stdout=output, stderr=output) as process:
        try:
            _wait(lambda: _is_ready(url), log.read_text)
            yield Alertmanager(url)
        finally:
            process.terminate()


def _is_ready(url: str) -> bool:
    try:
        return send(f"{url}/-/ready").status == 200
    except OSError:
        return False


def _wait(condition: Callable[[], bool], shown: Callable[[], object]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < deadline, shown()
        time.sleep(0.1)
