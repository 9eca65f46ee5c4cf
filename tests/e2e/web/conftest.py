"""A hub with two real agents, and a browser."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from support.browser import Errors, new_context, running_browser
from support.built_page import ensure_page
from support.hub_process import HubProcess, eventually, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

NODES = ("web-1", "web-2")
SECONDS = 60


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def agents() -> Iterator[dict[str, tuple[subprocess.Popen[bytes], int]]]:
    """Run one agent for each node; they measure the same machine."""
    with ExitStack() as running_agents:
        found = {}
        for name in NODES:
            port = _free_port()
            process = subprocess.Popen(
                [sys.executable, "-m", "metricat_agent", f"--web.listen-address=127.0.0.1:{port}"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            running_agents.callback(process.wait)
            running_agents.callback(process.kill)
            found[name] = (process, port)
        yield found


@pytest.fixture(scope="session")
def hub(
    tmp_path_factory: pytest.TempPathFactory, agents: dict[str, tuple[subprocess.Popen[bytes], int]]
) -> Iterator[HubProcess]:
    """Run a hub that scrapes the agents each second."""
    ensure_page()
    folder = tmp_path_factory.mktemp("hub")
    jobs = "\n".join(
        f'      - targets: ["127.0.0.1:{port}"]\n'
        f"        labels: {{node: {name}, instance: {name}, pool: {'blue' if name == NODES[0] else 'green'}, "
        f"namespace: local, service: metricat, site: berlin}}"
        for name, (_, port) in agents.items()
    )
    config = folder / "hub.yaml"
    config.write_text(f"scrape_configs:\n  - job_name: nodes\n    static_configs:\n{jobs}\n")
    with running(folder / "data", f"--config.file={config}", "--collect.interval=1s") as process:
        names = {f'"{name}"' for name in NODES}
        assert eventually(lambda: all(name in process.get("/api/nodes").body.decode() for name in names), SECONDS)
        # Rates need two samples.
        assert eventually(
            lambda: len(process.get("/api/v1/metrics/current", metric="cpu_usage_percent").json["data"]) == len(NODES),
            SECONDS,
        )
        yield process


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with running_browser() as found:
        yield found


@pytest.fixture
def page(browser: Browser, hub: HubProcess) -> Iterator[Page]:
    """Return a page that must not report an error."""
    context = new_context(browser, hub.url)
    found = context.new_page()
    errors = Errors(found)
    yield found
    context.close()
    assert errors.found == []
