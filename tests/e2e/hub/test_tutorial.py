"""The tutorial for one machine, word by word: each block runs in a new home, and prints what the page shows."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.built_page import ensure_page
from support.checkout import copy_checkout, environment_for_packages
from support.paths import DOCS, ROOT
from support.tutorial import Reader, Terminal

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "nsenter", "ip", "openssl", "curl"))),
        reason="needs root, util-linux, iproute2, openssl and curl",
    ),
]

NOT_RUN = {"authorization: {credentials: metricat_...}": "promtool is a program of others"}
"""The first line of each block that no test runs, with the reason."""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A new checkout, with the built page."""
    folder = copy_checkout(tmp_path / "checkout", ensure_page().rglob("*"))
    packages = ROOT / "web" / "node_modules"
    (folder / "web" / "node_modules").symlink_to(packages)
    return folder


@pytest.fixture
def network() -> Iterator[int]:
    """The process of a network namespace with loopback only: the ports of the tutorial are free there."""
    command = ["unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec sleep infinity"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process.pid
        process.kill()


def test_tutorial_for_one_machine(checkout: Path, network: int, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = {**environment_for_packages(), "PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8"}
    inside = ("nsenter", f"--net=/proc/{network}/ns/net")
    first = Terminal(checkout, environment)
    second = Terminal(checkout, environment, inside)
    first.run(f'metricat() {{ nsenter --net=/proc/{network}/ns/net metricat "$@"; }}')
    names = {"/home/ada": str(home), "ada-laptop": socket.gethostname().partition(".")[0]}
    try:
        report = Reader(first, second, names, NOT_RUN).read(DOCS / "hub" / "one-machine.md")
    finally:
        first.close()
        second.close()
    print(*report, sep="\n")  # noqa: T201 -- for `pytest -s`
    assert len(report) > 10
