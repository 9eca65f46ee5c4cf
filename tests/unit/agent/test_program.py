"""The program starts, writes a page, and exits with the documented codes."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.request
from typing import TYPE_CHECKING

import pytest

from metricat_agent import __version__

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.agent.conftest import Scrape

AGENT = (sys.executable, "-m", "metricat_agent")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*AGENT, *arguments], check=False, capture_output=True, text=True, timeout=30)


def test_once_prints_a_scrape(scrape_of: Callable[[str], Scrape]) -> None:
    done = run("--once", "--collector.disable-defaults", "--collector.loadavg")
    assert (done.returncode, done.stderr) == (0, "")
    assert scrape_of(done.stdout).of("node_scrape_collector_success") == {("loadavg",): 1}


def test_version_and_help_are_printed() -> None:
    assert run("--version").stdout == f"metricat-agent {__version__}\n"
    page = run("--help").stdout
    for flag in ("--path.procfs", "--web.listen-address", "--no-collector.cpu", "--collector.netdev.device-exclude"):
        assert flag in page


def test_bad_setting_prints_one_line_and_exits_with_2() -> None:
    done = run("--collector.diskstats.device-exclude=*")
    assert done.returncode == 2
    assert re.fullmatch(r"metricat-agent: --collector\.diskstats\.device-exclude=\*: .*; write .*\n", done.stderr)


def test_port_in_use_prints_one_line_and_exits_with_1() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        done = run(f"--web.listen-address=127.0.0.1:{other.getsockname()[1]}")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "another process listens there; free the address or choose another with --web.listen-address" in done.stderr


@pytest.mark.parametrize(("to", "message"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")])
def test_unwritable_output_prints_one_line_and_exits_with_1(to: str, message: str) -> None:
    command = f'exec "$@" {to}'
    done = subprocess.run(
        ["sh", "-c", command, "sh", *AGENT, "--once", "--collector.disable-defaults", "--collector.loadavg"],
        check=False,
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (
        1,
        f"metricat-agent: standard output: {message}; redirect it to a writable file or pipe\n",
    )


def test_unknown_variables_are_logged_except_those_of_services() -> None:
    environment = {
        "METRICAT_COLLECTOR_CPUS": "false",
        "METRICAT_WEB_SERVICE_HOST": "10.0.0.1",
        "METRICAT_LOG_LEVEL": "warn",
    }
    done = subprocess.run(
        [*AGENT, "--once", "--collector.disable-defaults", "--collector.loadavg"],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
        env=environment,
    )
    assert re.findall(r"METRICAT_\w+", done.stderr) == ["METRICAT_COLLECTOR_CPUS", "METRICAT_COLLECTOR_CPU"]


def test_former_name_of_a_flag_is_logged_at_start() -> None:
    done = run("--once", "--collector.disable-defaults", "--collector.loadavg", "--self.cpu-budget=3")
    assert done.returncode == 0
    assert "WARNING metricat_agent: --self.cpu-budget is deprecated; use --agent.cpu-limit" in done.stderr
    assert "--self.cpu-budget" not in run("--help").stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_agent_serves_until_a_signal(number: signal.Signals) -> None:
    command = [*AGENT, "--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        try:
            assert program.stderr is not None
            found = re.search(r"listens on (127\.0\.0\.1:\d+)", program.stderr.readline())
            assert found
            with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=10) as answer:
                assert b"node_uname_info" in answer.read()
            with socket.create_connection(("127.0.0.1", int(found[1].partition(":")[2]))):
                program.send_signal(number)
                assert program.wait(60) == 0, "an open connection does not delay the end"
        finally:
            program.kill()


def test_heavy_modules_are_not_imported() -> None:
    """Imports are most of the agent's memory: 16 MiB when this test was written; node_exporter needs 22 MiB."""
    code = (
        "import sys, metricat_agent.__main__ as m;"
        "from metricat_agent.config.settings import Address; from metricat_agent.web.listener import listen;"
        "listen(Address('127.0.0.1', 0)).close();"
        "print(*sorted({'ssl', 'asyncio', 'json', 'prometheus_client', 'psutil', 'http', 'email', 'pathlib', 'urllib',"
        "'hashlib', 'inspect', 'ast', 'dis', 'unicodedata'} & set(sys.modules)),"
        "*[name for name in sys.modules if 'push' in name])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COV_", "PYTHON"))}
    # -S: a site directory may import any module; so the path is given explicitly.
    path = f"import sys; sys.path.insert(0, {os.path.dirname(os.path.dirname(_package()))!r});"  # noqa: PTH120 -- paths are strings
    done = subprocess.run(
        [sys.executable, "-S", "-c", path + code], check=True, capture_output=True, text=True, env=environment
    )
    assert done.stdout.split() == []


def test_dataclasses_import_inspect_when_they_need_it() -> None:
    code = (
        "import sys, metricat_agent.lean_imports, dataclasses;"
        "assert 'inspect' not in sys.modules;"
        "print(dataclasses.make_dataclass('Point', ['x']).__doc__);"
        "import inspect; print(inspect.isclass(inspect.Signature))"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "Point(x: 'typing.Any')\nTrue\n"


def test_importing_the_package_leaves_other_modules_alone() -> None:
    """The hub imports parts of the agent."""
    code = "import sys, metricat_agent; print('dataclasses' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], check=True, capture_output=True, text=True, env=_with_path()
    )
    assert done.stdout == "False\n"


def _with_path() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.path.dirname(os.path.dirname(_package()))}  # noqa: PTH120 -- as above


def _package() -> str:
    import metricat_agent  # noqa: PLC0415 -- only its path is needed

    return metricat_agent.__file__
