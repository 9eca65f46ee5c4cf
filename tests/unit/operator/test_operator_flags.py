"""The flags of `metricat-operator run`."""

import os
import subprocess
import sys

import pytest


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "metricat_operator", *arguments]
    variables = {**os.environ, "METRICAT_AGENT_IMAGE": "metricat/agent:1", **environment}
    return subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("flag", ["--workers=0", "--log-level=loud", "--log-format=yaml"])
def test_flag_takes_precedence_over_its_variable(flag: str) -> None:
    name, _, value = flag.partition("=")
    variable = f"METRICAT_{name.removeprefix('--').upper().replace('-', '_')}"
    done = run("run", flag, METRICAT_WORKERS="4", METRICAT_LOG_LEVEL="INFO", METRICAT_LOG_FORMAT="json")
    assert done.returncode == 2
    assert f"error: {variable}='{value}' is invalid; use " in done.stderr


def test_unknown_flag_is_rejected() -> None:
    done = run("run", "--health-port=81")
    assert done.returncode == 2
    assert "unrecognized arguments: --health-port=81" in done.stderr
