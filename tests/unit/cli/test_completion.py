"""Completion of command lines, for shells and for kubectl."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from metricat_cli.__main__ import main
from metricat_cli.commands import available
from metricat_cli.completion import complete, kubectl

NO_CLUSTER = "--kubeconfig=/no/such/file"


def words(*given: str) -> list[str]:
    return [word for word, _ in complete(given).words]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["st"], ["status", "store"]),
        (["top", ""], ["nodes", "processes"]),
        (["top", "--sort", "m"], ["memory"]),
        (
            ["top", "--sort="],
            [f"--sort={one}" for one in ["cpu", "memory", "load", "filesystem", "disk", "network", "name", "threads"]],
        ),
        (["status", "-o", ""], ["table", "wide", "json", "yaml"]),
        (["completion", "z"], ["zsh"]),
        (["status", "--wa"], ["--watch"]),
        (["status", NO_CLUSTER, ""], []),
        (["status", NO_CLUSTER, "-n", ""], []),
        (["status", NO_CLUSTER, "--context", ""], []),
        (["no-such", ""], []),
        (["hub", "al"], ["alerts"]),
    ],
)
def test_last_word_is_completed(given: list[str], expected: list[str]) -> None:
    assert words(*given) == expected


@pytest.mark.parametrize("given", [["render", "-f", ""], ["validate", ""], ["status", "--kubeconfig", ""]])
def test_files_are_left_to_the_shell(given: list[str]) -> None:
    assert complete(given).files


def test_every_option_of_every_command_is_completed() -> None:
    for name in available():
        assert "--help" in words(name, "-"), name


def test_contexts_come_from_the_kubeconfig(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text("contexts: [{name: prod, context: {}}, {name: test, context: {}}]")
    assert words("status", "--kubeconfig", str(file), "--context", "p") == ["prod"]


def test_kubectl_gets_the_format_of_cobra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["kubectl_complete-metricat", "ver"])
    assert kubectl() == 0
    assert capsys.readouterr().out.splitlines() == [
        "version\tprint the versions of the command line, the operators and the cluster",
        ":4",
    ]


def test_script_for_bash_completes() -> None:
    """Load the script in a real bash and complete as readline does."""
    code = """
    source <(metricat completion bash)
    COMP_WORDS=(metricat status --out); COMP_CWORD=2; _metricat; echo "${COMPREPLY[@]}"
    COMP_WORDS=(metricat ba); COMP_CWORD=1; _metricat; echo "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", code], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["--output", "backtest"], done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "metricat __complete" in capsys.readouterr().out


def test_unknown_shell_names_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "ksh"]) == 2
    assert "use bash, zsh or fish" in capsys.readouterr().err
