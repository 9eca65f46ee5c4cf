"""A hung mount costs only its own series: tested with a real FUSE filesystem whose server never responds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from metricat_agent.collectors.filesystem import mounts_that_may_hang
from metricat_agent.host.mount_prober import HungError, Prober
from metricat_agent.host.mountinfo import visible_mounts
from support.paths import HUNG_FILESYSTEM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unit.agent.conftest import Scrape


needs_fuse = pytest.mark.skipif(
    os.geteuid() != 0 or not os.access("/dev/fuse", os.W_OK) or not shutil.which("unshare"),
    reason="needs root, /dev/fuse and util-linux",
)


def test_mounts_that_may_hang_are_unknown_types_and_everything_below_them() -> None:
    lines = (
        "1 0 8:1 / / rw - ext4 /dev/sda1 rw",
        "2 1 0:9 / /mnt rw - nfs4 filer:/a rw",
        "3 2 8:2 / /mnt/x rw - ext4 /dev/sda2 rw",
        "4 1 0:8 / /mntx rw - tmpfs tmpfs rw",
        "5 1 0:7 / /f rw - fuse.new thing rw",
    )
    assert mounts_that_may_hang(visible_mounts("\n".join(lines))) == {2, 3, 5}


def test_probe_returns_the_numbers_of_the_kernel(tmp_path: Path) -> None:
    prober = Prober(timeout=10)
    prober.begin_round()
    for path in (str(tmp_path), "/"):
        truth = os.statvfs(path)
        answer = prober.probe(path)
        assert (answer.device, answer.blocks, answer.files) == (
            os.stat(path).st_dev,  # noqa: PTH116 -- the call that is tested
            truth.f_blocks,
            truth.f_files,
        )
    with pytest.raises(FileNotFoundError):
        prober.probe(f"{tmp_path}/nothing\nhere")
    assert prober.stuck == frozenset()


def test_killed_subprocess_is_replaced() -> None:
    prober = Prober(timeout=10)
    prober.begin_round()
    prober.probe("/")
    assert prober._process is not None
    os.kill(prober._process._pid, 9)
    with pytest.raises(OSError, match="exited"):
        prober.probe("/")
    prober.begin_round()
    assert prober.probe("/").blocks > 0


@contextmanager
def dead_mounts(tmp_path: Path, count: int) -> Iterator[int]:
    """Make hung mounts below a path, in their own mount namespace; yield the PID of a process inside it."""
    code = f"""
set -e
for n in {" ".join(map(str, range(count)))}; do
    mkdir -p {tmp_path}/dead$n
    mkfifo {tmp_path}/end$n
    {sys.executable} {HUNG_FILESYSTEM} {tmp_path}/dead$n <> {tmp_path}/end$n > {tmp_path}/out$n &
    while ! grep -q mounted {tmp_path}/out$n 2>/dev/null; do sleep 0.05; done
done
echo ready
cat > /dev/null
kill $(jobs -p)
"""
    command = ["unshare", "--mount", "--propagation", "private", "bash", "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdin is not None
        assert shell.stdout is not None
        try:
            assert shell.stdout.readline() == "ready\n"
            yield shell.pid
        finally:
            shell.stdin.close()
            shell.wait(60)


@needs_fuse
def test_hung_mounts_cost_only_their_own_series(tmp_path: Path, scrape_of: Callable[[str], Scrape]) -> None:
    with dead_mounts(tmp_path, 3) as inside:
        root = f"/proc/{inside}/root"
        (tmp_path / "proc" / "1").mkdir(parents=True)
        for name in ("stat", "loadavg"):
            (tmp_path / "proc" / name).symlink_to(f"/proc/{name}")
        (tmp_path / "proc" / "1" / "mountinfo").symlink_to(f"/proc/{inside}/mountinfo")
        command = [
            *(
                sys.executable,
                "-m",
                "metricat_agent",
                "--web.listen-address=127.0.0.1:0",
                "--collector.disable-defaults",
            ),
            *(
                "--collector.filesystem",
                "--collector.loadavg",
                f"--path.procfs={tmp_path}/proc",
                f"--path.rootfs={root}",
            ),
        ]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as agent:
            try:
                assert agent.stderr is not None
                found = re.search(r"listens on (\S+)", agent.stderr.readline())
                assert found
                took = []
                for _ in range(8):
                    started = time.monotonic()
                    with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=10) as answer:
                        scrape = scrape_of(answer.read().decode())
                    took.append(time.monotonic() - started)
                    errors = scrape.of("node_filesystem_device_error")
                    dead = {point: value for (_, _, point), value in errors.items() if "/dead" in point}
                    assert dead == {f"{tmp_path}/dead{number}": 1 for number in range(3)}
                    assert scrape.get("node_load1") is not None
                    assert scrape.of("node_filesystem_size_bytes")
                assert min(took[1:]) < 0.25, "hung mounts are not probed again: a probe of one waits 0.25 s"
                assert 3 <= len(children(agent.pid)) <= 4, "one subprocess for each hung mount, one for the others"
            finally:
                agent.terminate()
                try:
                    assert agent.wait(60) == 0, "a hung mount does not delay the end"
                finally:
                    agent.kill()


@needs_fuse
def test_mount_that_responds_again_is_no_longer_stuck(tmp_path: Path) -> None:
    with dead_mounts(tmp_path, 1) as inside:
        path = f"/proc/{inside}/root{tmp_path}/dead0"
        prober = Prober(timeout=0.2)
        prober.begin_round()
        with pytest.raises(HungError):
            prober.probe(path)
        assert prober.stuck == {path}
    deadline = time.monotonic() + 60
    while prober.stuck and time.monotonic() < deadline:
        prober.begin_round()
        time.sleep(0.02)
    assert prober.stuck == frozenset(), "the server has exited, so the kernel releases the subprocess"


def children(pid: int) -> list[str]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [child for thread in threads for child in (thread / "children").read_text().split()]
