"""`ensure` uses available programs, builds missing ones once, and its errors contain the remedy."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from metricat_tools.binaries import cache, debian, ensure, obtain, progress
from metricat_tools.binaries.table import PROGRAMS
from metricat_tools.errors import ToolError

FAKE_GO = """#!/bin/sh
echo build >>"$LOG"
{script}
for word; do case $prev in -o) out=$word ;; esac; prev=$word; done
printf '#!/bin/sh\\n' >"$out/pause"
"""


def executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, where PATH has only the test's own folder `bin`."""
    monkeypatch.setenv("METRICAT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)
    monkeypatch.setattr(debian, "SBIN", "")
    return tmp_path


def go(machine: Path, script: str = "") -> None:
    executable(machine / "bin" / "go", FAKE_GO.format(script=script))


def number_of_builds(machine: Path) -> int:
    return len((machine / "log").read_text().splitlines()) if (machine / "log").exists() else 0


def test_program_is_built_once_and_then_comes_from_the_cache(machine: Path) -> None:
    go(machine)
    first = ensure("pause")["pause"]
    assert first.is_relative_to(machine / "cache")
    assert os.access(first, os.X_OK)
    assert ensure("pause")["pause"] == first
    assert number_of_builds(machine) == 1
    assert not list((machine / "cache").glob(".new-*"))


def test_two_processes_build_the_same_program_once(machine: Path) -> None:
    go(machine, "sleep 0.5")
    program = "from metricat_tools.binaries import ensure; print(ensure('pause')['pause'])"
    command = [sys.executable, "-c", program]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as one,
        subprocess.Popen(command, stdout=subprocess.PIPE) as other,
    ):
        paths = [process.communicate()[0] for process in (one, other)]
    assert paths[0] == paths[1] != b""
    assert number_of_builds(machine) == 1


def test_failed_build_leaves_nothing_and_shows_the_end_of_its_log(machine: Path) -> None:
    go(machine, "echo the reason; exit 1")
    with pytest.raises(ToolError, match=r"building pause v0 failed; the end of .*pause.log is:\n    the reason"):
        ensure("pause")
    assert not list((machine / "cache" / "programs").glob("*"))
    go(machine)
    ensure("pause")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("write /x: no space left on device", "the disk is full. Free some space"),
        ("go: go.mod requires go >= 1.26.8 (running go 1.19)", "Go in PATH is too old. Install Go 1.26"),
        ("dial tcp: lookup proxy on 1.1.1.1:53: no such host", "Connect to the network, or set GOPROXY"),
        ("cannot find seccomp: libseccomp.pc", "apt-get install gcc libseccomp-dev"),
    ],
)
def test_known_failure_has_a_message_with_the_remedy(machine: Path, output: str, message: str) -> None:
    go(machine, f"echo '{output}'; exit 1")
    with pytest.raises(ToolError) as caught:
        ensure("pause")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_go_error_names_the_version_to_install(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(machine / "bin"))
    with pytest.raises(ToolError, match=r"`go` is not on PATH\. Install Go 1.26 or newer"):
        ensure("pause")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENOSPC])
def test_error_names_a_cache_that_cannot_be_written(machine: Path, number: int) -> None:
    with pytest.raises(ToolError, match="METRICAT_CACHE") as caught, cache.writable():
        raise OSError(number, os.strerror(number))
    assert str(machine / "cache") in str(caught.value)


def test_kubebuilder_assets_come_first_with_any_version(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = executable(machine / "assets" / "etcd", "#!/bin/sh\n")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(given.parent))
    executable(machine / "bin" / "etcd", "#!/bin/sh\necho etcd Version: 3.7.0\n")
    assert ensure("etcd") == {"etcd": given}


def test_program_on_path_is_used_if_its_version_is_suitable(machine: Path) -> None:
    obtain._version_output.cache_clear()
    fits = executable(machine / "bin" / "kubectl", "#!/bin/sh\necho Client Version: v1.36.1\n")
    assert ensure("kubectl") == {"kubectl": fits}
    obtain._version_output.cache_clear()
    executable(fits, "#!/bin/sh\necho Client Version: v1.25.0\n")
    assert obtain.find(PROGRAMS["kubectl"]) is None


def test_unknown_program_error_lists_the_known_programs() -> None:
    with pytest.raises(ToolError, match=r"unknown program kubelett\. Choose from .*kubelet"):
        ensure("kubelett")


def test_only_root_installs_a_missing_package(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(machine / "bin"))
    executable(machine / "bin" / "apt-get", "#!/bin/sh\nexit 1\n")
    with pytest.raises(ToolError, match=r"nftables missing\. Run `sudo apt-get install nftables`"):
        debian.ensure_debian("nftables")


def test_long_step_prints_the_elapsed_time(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([100.0, 100.5, 101.5, 101.5, 110.0, 117.0, 117.0, 118.0])
    ticker = progress.Ticker("building x", clock=lambda: next(clock))
    for _ in range(4):
        ticker.tick()
    ticker.done()
    assert capsys.readouterr().err == "building x ... 2 s\nbuilding x ... 17 s\nbuilding x ... 18 s done\n"


def test_interrupted_step_ends_a_command_that_ignores_sigterm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_GRACE", 0.1)
    log = tmp_path / "log"

    def interrupt(_: progress.Ticker) -> None:
        if log.read_text():
            raise KeyboardInterrupt

    monkeypatch.setattr(progress.Ticker, "tick", interrupt)
    with pytest.raises(KeyboardInterrupt):
        progress.run("stubborn", ["sh", "-c", "trap '' TERM; echo $$; while :; do sleep 0.1; done"], log=log)
    assert not Path(f"/proc/{log.read_text().strip()}").exists()


def test_short_step_prints_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    progress.run("quick", ["true"], log=tmp_path / "log")
    assert capsys.readouterr().err == ""
