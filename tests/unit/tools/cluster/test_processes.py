"""Processes are identified by their environment: ours are found and killed, others never."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from metricat_tools.cluster import thread_pool
from metricat_tools.cluster.processes import HERE, ClusterProcesses, Namespaces
from metricat_tools.errors import ToolError

SLEEP = ["sleep", "1000"]
UNMARKED = ["env", "--ignore-environment", *SLEEP]
"""No search by environment finds this command."""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[ClusterProcesses]:
    (tmp_path / "log").mkdir()
    made = ClusterProcesses(tmp_path)
    yield made
    made.kill_all()


def test_process_is_found_by_a_process_that_did_not_start_it(processes: ClusterProcesses) -> None:
    pid = processes.start("sleeper", SLEEP)
    other = ClusterProcesses(processes.folder)
    assert other.find("sleeper") == pid
    other.kill("sleeper")
    assert other.running() == {}


def test_kill_all_kills_only_the_clusters_processes_and_their_children(
    processes: ClusterProcesses, tmp_path: Path
) -> None:
    (tmp_path / "other" / "log").mkdir(parents=True)
    other = ClusterProcesses(tmp_path / "other")
    survivor = other.start("sleeper", SLEEP)
    processes.start("parent", ["sh", "-c", "sleep 1000 & sleep 1000"])
    deadline = time.monotonic() + 60
    while len(processes.running()) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(processes.running()) == 3
    processes.kill_all()
    assert processes.running() == {}
    assert other.find("sleeper") == survivor
    other.kill_all()


def test_killed_process_leaves_its_children(processes: ClusterProcesses) -> None:
    processes.start("parent", ["sh", "-c", "sleep 1000 & wait"])
    while len(processes.running()) < 2:
        time.sleep(0.01)
    processes.kill("parent")
    assert list(processes.running().values()) == ["parent"]
    assert processes.find("parent") is None
    processes.start("parent", SLEEP)


def test_early_end_error_has_the_end_of_the_log(processes: ClusterProcesses) -> None:
    processes.start("failing", ["sh", "-c", "echo first; echo last words >&2; exit 3"])
    with pytest.raises(ToolError, match=r"failing ended with status 3; .*:\n    first\n    last words$"):
        processes.wait("failing", lambda: False)


def test_wait_has_a_time_limit(processes: ClusterProcesses) -> None:
    processes.start("slow", SLEEP)
    with pytest.raises(ToolError, match="slow was not ready after 0 s"):
        processes.wait("slow", lambda: False, 0.1)


def test_full_disk_is_reported_with_a_remedy(processes: ClusterProcesses) -> None:
    processes.start("etcd", ["sh", "-c", "echo write: no space left on device; exit 1"])
    with pytest.raises(ToolError, match=r"etcd ended with status 1\. The disk is full; free some space"):
        processes.wait("etcd", lambda: False)


def test_closed_cluster_starts_no_process(processes: ClusterProcesses) -> None:
    processes.close()
    with pytest.raises(ToolError, match="is being removed"):
        processes.start("late", SLEEP)


@pytest.mark.parametrize("command", [SLEEP, UNMARKED, ["sh", "-c", "sleep 1000 & sleep 1000"]])
@pytest.mark.parametrize("stop", [ClusterProcesses.close, ClusterProcesses.stop_commands])
def test_close_and_stop_end_a_command_that_another_thread_waits_for(
    processes: ClusterProcesses, command: list[str], stop: Callable[[ClusterProcesses], None]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(processes.run, command)
        while not processes._commands:
            time.sleep(0.01)
        [started] = processes._commands
        stop(processes)
        try:
            with pytest.raises(ToolError, match=r"is being removed|killed a command|ended by SIGKILL"):
                running.result(30)
        finally:
            started.kill()
    assert processes._commands == set()


def test_command_of_a_crashed_process_is_found(processes: ClusterProcesses) -> None:
    program = f"""
import pathlib
from metricat_tools.cluster.processes import ClusterProcesses
ClusterProcesses(pathlib.Path({str(processes.folder)!r})).run(["sleep", "1000"])
"""
    with subprocess.Popen([sys.executable, "-c", program]) as owner:
        while not processes.running():
            time.sleep(0.01)
        owner.kill()
    assert list(processes.running().values()) == ["command"]
    processes.kill_all()
    assert processes.running() == {}


def test_failed_command_error_has_its_output(processes: ClusterProcesses) -> None:
    assert processes.run(["echo", "well"]) == "well\n"
    with pytest.raises(ToolError, match=r"`sh -c .*` failed: broken$"):
        processes.run(["sh", "-c", "echo broken >&2; exit 4"])


def test_interrupted_pool_cancels_waiting_tasks_and_stops_running_ones(processes: ClusterProcesses) -> None:
    ran: list[int] = []

    def task(number: int) -> None:
        processes.run(SLEEP)
        ran.append(number)

    def interrupted() -> None:
        with thread_pool.stoppable(1, stop=processes.close) as pool:
            for number in range(3):
                pool.submit(task, number)
            while not processes._commands:
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ran == []
    assert processes.running() == {}


def test_role_is_unique(processes: ClusterProcesses) -> None:
    processes.start("one", SLEEP)
    with pytest.raises(ToolError, match=r"one of .* is already running"):
        processes.start("one", SLEEP)


def test_tied_process_ends_with_its_killed_owner(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    program = f"""
import os, pathlib, signal
from metricat_tools.cluster.processes import ClusterProcesses
tied = ClusterProcesses(pathlib.Path({str(tmp_path)!r}), die_with_us=True)
pid = tied.start("tied", ["sleep", "1000"])
tied.wait("tied", lambda: pathlib.Path(f"/proc/{{pid}}/comm").read_text() == "sleep\\n")
os.kill(os.getpid(), signal.SIGKILL)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -signal.SIGKILL
    deadline = time.monotonic() + 60
    while ClusterProcesses(tmp_path).running():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_environment_has_no_proxies(processes: ClusterProcesses, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://203.0.113.1")
    monkeypatch.setenv("no_proxy", "x")
    processes.start("shows", ["env"])
    processes.wait("shows", lambda: "METRICAT" in processes.log("shows").read_text())
    assert "_proxy" not in processes.log("shows").read_text().lower()


def test_namespaces_are_entered_through_their_holder() -> None:
    assert HERE.enter(["ip", "link"]) == ["ip", "link"]
    assert Namespaces(7).enter(["ip"]) == ["nsenter", "--net=/proc/7/ns/net", "--", "ip"]
    assert "--mount=/proc/7/ns/mnt" in Namespaces(7, mounts=True).enter([Path("mount")])
