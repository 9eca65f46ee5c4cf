"""`metricat up` as users run it: wheels in a new virtual environment, one command, every REST path, and its memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.hub_process import HubProcess, send
from support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.slow

PACKAGES = ("rules", "operator", "agent", "cli", "hub")
PATHS = (
    *(f"/api/metrics/{category}" for category in ("cpu", "memory", "disk", "network", "filesystem", "process")),
    *("/api/v1/metrics/current", "/api/v1/metrics/history?metric=cpu_usage_percent", "/query?metric=node_load1"),
    *(
        "/api/status",
        "/api/collectors",
        "/api/nodes",
        "/api/v1/query?query=up",
        "/metrics",
        "/docs",
        "/healthz",
        "/readyz",
    ),
)
MOST_MIB = 90
FIRST_SAMPLE_SECONDS = 15


def report(line: str) -> None:
    """Print a figure, for `pytest -s`."""
    sys.stdout.write(f"{line}\n")


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new virtual environment with our wheels and their dependencies only."""
    folder = tmp_path_factory.mktemp("bare")
    wheels = folder / "wheels"
    pip = (
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "--wheel-dir",
        str(wheels),
    )
    subprocess.run([*pip, *(str(ROOT / package) for package in PACKAGES)], check=True, timeout=300)
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True, timeout=300)
    install = (str(Path(sys.executable).parent / "uv"), "pip", "install", "--quiet", "--python", str(folder / "venv"))
    subprocess.run([*install, *map(str, wheels.glob("*.whl"))], check=True, timeout=600)
    return folder / "venv"


@pytest.fixture(scope="module")
def hub(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    folder = tmp_path_factory.mktemp("data")
    command = [str(environment / "bin" / "metricat"), "up", "--listen=127.0.0.1:0"]
    started = time.monotonic()
    variables = {"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(folder), "HOME": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder, env=variables) as process:
        try:
            assert process.stdout is not None
            output = "".join(process.stdout.readline() for _ in range(6))
            [url, *_], [key, *_] = (
                re.findall(r"http://\S+?:\d+", output),
                re.findall(r"metricat_\w{12}_[\w-]{43}", output),
            )
            found = HubProcess(process, url, key, output, folder / "metricat")
            while not found.get("/query", metric="node_load1").json.get("data"):
                assert time.monotonic() - started < 4 * FIRST_SAMPLE_SECONDS
                time.sleep(0.1)
            report(f"first sample after {time.monotonic() - started:.1f} s (mark: {FIRST_SAMPLE_SECONDS} s)")
            yield found
        finally:
            process.terminate()
            assert process.wait(30) == 0


def test_every_path_answers(hub: HubProcess) -> None:
    time.sleep(12)  # rates need two scrapes
    for path in PATHS:
        response = send(f"{hub.url}{path}", headers=hub.authorization)
        assert response.status == 200, (path, response.body)
        report(f"{path} {response.status} {len(response.body)} bytes")
    assert hub.get("/api/v1/metrics/current", metric="cpu_usage_percent").json["data"]


def test_agent_and_hub_fit_their_memory(hub: HubProcess) -> None:
    own = hub.process.pid
    pids = [own, *map(int, Path(f"/proc/{own}/task/{own}/children").read_text().split())]
    assert len(pids) == 2
    total = 0.0
    for name, pid in zip(("hub", "agent"), pids, strict=True):
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        pss, rss = (int(re.findall(rf"^{kind}:\s+(\d+)", text, re.MULTILINE)[0]) / 1024 for kind in ("Pss", "Rss"))
        report(f"{name}: PSS {pss:.1f} MiB, RSS {rss:.1f} MiB")
        total += pss
    report(f"together: PSS {total:.1f} MiB (mark: {MOST_MIB} MiB)")
    assert total <= MOST_MIB
