"""The sampler of the processes that use most CPU or memory, and the pods of these processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metricat_agent.collectors.processes import Processes, parse, parse_totals
from metricat_agent.host.hostfs import Host
from metricat_agent.host.process_sampler import ProcessSampler, ProcessTotals, SamplerLimits, StaleError, TopProcess
from metricat_agent.host.processes import PodRef, ProcessStat, ProcSource, PsutilSource, parse_cgroup, parse_stat
from metricat_agent.scrape.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

    from unit.agent.conftest import Scrape

THREADED = """
import sys, threading, time
for _ in range(3):
    threading.Thread(target=time.sleep, args=(60,)).start()
sys.stdout.write("x")
sys.stdout.flush()
"""
UID = "0f8fad5b-d9cb-469f-a165-70867728950e"
CONTAINER = "3f" * 32


@dataclass
class Recorded:
    """Processes whose values the test changes."""

    cpu: dict[int, float] = field(default_factory=dict)
    memory: dict[int, int] = field(default_factory=dict)
    started: dict[int, float] = field(default_factory=dict)
    threads: dict[int, str] = field(default_factory=dict)
    """The thread states of processes with more than one thread or a state other than S."""
    reads: int = 0

    def pids(self) -> list[int]:
        return list(self.cpu)

    def read(self, pid: int) -> ProcessStat | None:
        self.reads += 1
        if pid not in self.cpu:
            return None
        threads = self.threads.get(pid, "S")
        return ProcessStat(
            *(pid, f"p{pid}", self.started.get(pid, 0), self.cpu[pid], self.memory.get(pid, 0)),
            len(threads),
            threads[0],
        )

    def thread_states(self, pid: int) -> list[str]:
        self.reads += len(self.threads[pid])
        return list(self.threads[pid])

    def pod(self, pid: int) -> PodRef:
        return PodRef(f"pod{pid}")

    def now(self) -> float:
        return 1000


@pytest.mark.parametrize(
    ("text", "pod"),
    [
        (
            (
                f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/"
                f"cri-containerd-{CONTAINER}.scope\n"
            ),
            PodRef(UID, CONTAINER),
        ),
        (f"12:pids:/kubepods/besteffort/pod{UID}/{CONTAINER}\n1:name=systemd:/\n", PodRef(UID, CONTAINER)),
        (f"0::/../../kubepods-pod{UID.replace('-', '_')}.slice/crio-{CONTAINER}.scope", PodRef(UID, CONTAINER)),
        (f"0::/system.slice/docker-{CONTAINER}.scope", PodRef("", CONTAINER)),
        ("0::/user.slice/user-1000.slice/session-2.scope", PodRef()),
        ("", PodRef()),
    ],
)
def test_pod_and_container_are_read_from_the_control_group(text: str, pod: PodRef) -> None:
    assert parse_cgroup(text) == pod


@given(st.text())
def test_no_control_group_text_raises(text: str) -> None:
    parse_cgroup(text)


@given(st.binary(max_size=15).filter(lambda name: b"\0" not in name))
def test_process_names_may_contain_any_bytes(name: bytes) -> None:
    numbers = b"S 1 7 7 0 -1 4194560 11 22 0 0 150 50 0 0 20 0 3 0 9000 1000000 25 184 1 1 0 0 0 0 0"
    stat = parse_stat(7, b"7 (" + name + b") " + numbers, 4096)
    assert stat == ProcessStat(7, name.decode("utf-8", "surrogateescape"), 90, 2, 25 * 4096, 3, "S")


@pytest.mark.parametrize("source", [ProcSource(Host()), PsutilSource()], ids=["proc", "psutil"])
def test_both_sources_agree_with_psutil_about_this_process(source: ProcSource | PsutilSource) -> None:
    here = psutil.Process()
    stat = source.read(os.getpid())
    assert stat is not None
    assert os.getpid() in source.pids()
    assert stat.resident == pytest.approx(here.memory_info().rss, rel=0.1)
    assert stat.cpu_seconds == pytest.approx(sum(here.cpu_times()[:2]), abs=1)
    assert stat.threads == here.num_threads()
    assert source.read(2**22 + 1) is None
    assert source.now() - stat.started == pytest.approx(time.time() - here.create_time(), abs=2)


def test_top_processes_are_the_first_by_cpu_and_by_memory() -> None:
    source, times = Recorded(dict.fromkeys(range(1, 21), 0.0)), iter([0.0, 10.0])
    source.memory = {20: 1 << 30}
    sampler = ProcessSampler(source, 2, clock=lambda: next(times))
    sampler.full_pass()
    source.cpu |= {3: 5.0, 4: 10.0, 5: 1.0}
    sampler.full_pass()
    shares = {process.stat.pid: process.cpu_ratio for process in sampler._top_processes}
    assert shares[3] == 0.5
    assert shares[4] == 1.0
    assert 20 in shares
    assert next(process.pod for process in sampler._top_processes if process.stat.pid == 4) == PodRef("pod4")


def test_top_processes_are_retained_and_bounded() -> None:
    source, clock = Recorded(dict.fromkeys(range(100), 0.0)), [0.0]
    sampler = ProcessSampler(source, 2, SamplerLimits(retention=300, max_multiple=3), clock=lambda: clock[0])
    sampler.full_pass()
    for busy in range(50):
        clock[0] += 10
        source.cpu[busy] += 5
        sampler.full_pass()
        assert len(sampler._top_processes) <= 6
        assert busy in {process.stat.pid for process in sampler._top_processes}
    clock[0] += 10
    sampler.full_pass()
    assert 49 in {process.stat.pid for process in sampler._top_processes}, "idle now, but retained"
    del source.cpu[49]
    sampler.full_pass()
    assert 49 not in {process.stat.pid for process in sampler._top_processes}, "exited"
    clock[0] += 301
    source.cpu |= {7: 1e6, 8: 1e6}
    sampler.full_pass()
    assert len(sampler._top_processes) <= 4


def test_reused_pid_is_another_process() -> None:
    source, clock = Recorded({1: 100.0}), [0.0]
    sampler = ProcessSampler(source, 1, clock=lambda: clock[0])
    sampler.full_pass()
    clock[0] = 10
    source.cpu, source.started = {1: 1.0}, {1: 990.0}
    sampler.full_pass()
    [process] = sampler._top_processes
    assert process.cpu_ratio == 0.1, "its own age counts: 1 s of CPU in 10 s"


def test_short_lived_process_is_not_a_top_user() -> None:
    source, clock = Recorded({1: 100.0}), [0.0]
    sampler = ProcessSampler(source, 2, clock=lambda: clock[0])
    sampler.full_pass()
    clock[0] = 10
    source.cpu, source.started = {1: 105.0, 2: 0.3}, {2: 999.7}
    sampler.full_pass()
    shares = {process.stat.pid: process.cpu_ratio for process in sampler._top_processes}
    assert shares == {1: 0.5, 2: pytest.approx(0.03)}, "busy for 0.3 s of the 10 s"


def test_pass_is_split_into_slices() -> None:
    source = Recorded(dict.fromkeys(range(2000), 0.0))
    sampler = ProcessSampler(source, 10)
    ends = [sampler.sample(250) for _ in range(8)]
    assert ends == [False] * 7 + [True]
    assert source.reads == 2000


def test_scrape_reads_no_process() -> None:
    collector = Processes(Host())
    collector.collect()
    source = Recorded({1: 0.0})
    collector._sampler._source = source
    for _ in range(20):
        collector.collect()
    assert source.reads <= 1


def test_processes_are_parsed_once_for_each_pass() -> None:
    collector = Processes(Host())
    first = collector.collect()
    assert collector.collect() is first
    collector._sampler.full_pass()
    assert collector.collect() is not first


def test_all_processes_are_counted_and_threads_by_state_on_request() -> None:
    source = Recorded(dict.fromkeys(range(1, 6), 0.0), threads={2: "SRR", 3: "D", 4: "Z"})
    quick, thorough = ProcessSampler(source, 1), ProcessSampler(source, 1, each_thread=True)
    quick.full_pass()
    assert source.reads == 5
    assert quick.totals == ProcessTotals(5, 7, {"S": 3, "D": 1, "Z": 1}, {})
    thorough.full_pass()
    assert source.reads == 5 + 5 + 3, "a process with one thread is known by its own state"
    assert thorough.totals == ProcessTotals(5, 7, {"S": 3, "D": 1, "Z": 1}, {"S": 3, "R": 2, "D": 1, "Z": 1})
    thorough.full_pass()
    assert thorough.totals.thread_states == {"S": 3, "R": 2, "D": 1, "Z": 1}, "each pass starts from zero"


def test_totals_match_this_host(scrape_of: Callable[[str], Scrape]) -> None:
    with subprocess.Popen([sys.executable, "-c", THREADED], stdout=subprocess.PIPE) as program:
        try:
            assert program.stdout is not None
            program.stdout.read(1)
            assert len(ProcSource(Host()).thread_states(program.pid)) == 4
            settings: dict[str, object] = {"top": 1, "mask": "none", "thread-states": True}
            scrape = scrape_of(Registry([Processes(Host(), None, settings)]).scrape())
        finally:
            program.kill()
    threads, processes = scrape.get("node_processes_threads"), scrape.get("node_processes_pids")
    assert processes is not None
    assert threads is not None
    assert processes == pytest.approx(len(psutil.pids()), abs=10)
    assert sum(scrape.of("node_processes_state").values()) == processes
    assert threads >= processes + 3
    assert sum(scrape.of("node_processes_threads_state").values()) == pytest.approx(threads, abs=10)
    assert scrape.get("node_processes_max_threads") == int(Path("/proc/sys/kernel/threads-max").read_text())
    assert scrape.get("node_processes_max_processes") == int(Path("/proc/sys/kernel/pid_max").read_text())


def test_no_totals_on_systems_without_process_states() -> None:
    assert parse_totals(ProcessTotals(3, 9, {}, {}), {}) == []


def test_names_can_be_hashed_and_command_lines_are_never_exposed() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "--password=s3cr3t"]) as program:
        try:
            stat = ProcSource(Host()).read(program.pid)
            assert stat is not None
            assert "s3cr3t" not in repr(stat)
        finally:
            program.kill()
    process = TopProcess(ProcessStat(7, "postgres", 0, 0, 4096, 2), 0.25, PodRef(UID, CONTAINER))
    [(_, [(plain, ratio)]), *_] = parse([process], "none")
    [(_, [(hashed, _)]), *_] = parse([process], "hash")
    assert (plain, ratio) == (("7", "postgres", UID, CONTAINER), 0.25)
    assert hashed[1] != "postgres"
    assert len(hashed[1]) == 12


def test_process_that_exits_during_a_read_is_skipped(tmp_path: Path) -> None:
    for pid, stat in (("1", "1 (init) S 0"), ("2", ""), ("3", "garbled")):
        (tmp_path / pid).mkdir()
        (tmp_path / pid / "stat").write_text(stat)
    (tmp_path / "4").mkdir()
    source = ProcSource(Host(procfs=str(tmp_path)))
    assert [source.read(pid) for pid in source.pids()] == [None] * 4
    ProcessSampler(source, 3).full_pass()


QUICK = SamplerLimits(period=0.02, step=0.01, idle_timeout=60, max_age=5)


def has_ended(sampler: ProcessSampler) -> bool:
    """Wait for the sampling thread; return whether it ended."""
    assert sampler._thread is not None
    sampler._thread.join(10)
    return not sampler._thread.is_alive()


def test_failed_sampling_continues_at_the_next_scrape(caplog: pytest.LogCaptureFixture) -> None:
    class Breaking(Recorded):
        broken = False

        def pids(self) -> list[int]:
            if self.broken:
                raise PermissionError("denied")
            return super().pids()

    source = Breaking({1: 0.0})
    sampler = ProcessSampler(source, 2, QUICK)
    assert len(sampler.top()) == 1
    source.broken = True
    assert has_ended(sampler)
    assert "sampling of processes failed: PermissionError: denied" in caplog.text
    with pytest.raises(PermissionError):
        sampler.top()
    source.broken, source.cpu = False, {1: 0.0, 2: 0.0}
    assert len(sampler.top()) == 2
    sampler.stop()
    assert has_ended(sampler)


def test_no_old_process_is_exposed_after_a_pause() -> None:
    source = Recorded({1: 0.0})
    sampler = ProcessSampler(source, 2, QUICK)
    sampler.top()
    sampler.stop()
    assert has_ended(sampler), "a paused sampler costs nothing"
    source.cpu = {7: 0.0}
    assert [process.stat.pid for process in sampler.top()] == [7]
    sampler.stop()


def test_hung_sampling_raises_stale_error() -> None:
    clock, released = [0.0], threading.Event()

    class Hanging(Recorded):
        def now(self) -> float:
            if threading.current_thread().name == "processes":
                released.wait(10)
            return super().now()

    sampler = ProcessSampler(Hanging({1: 0.0}), 2, QUICK, clock=lambda: clock[0])
    sampler.top()
    clock[0] = 6
    with pytest.raises(StaleError, match="ended 6 s ago"):
        sampler.top()
    sampler.stop()
    released.set()


def test_background_seconds_contain_the_sampling_thread() -> None:
    collector = Processes(Host())
    collector._sampler = ProcessSampler(ProcSource(Host()), 2, QUICK)
    collector.collect()
    deadline = time.monotonic() + 60
    while not collector.background_seconds() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert collector.background_seconds() > 0
    collector.suspend()
    assert has_ended(collector._sampler)
