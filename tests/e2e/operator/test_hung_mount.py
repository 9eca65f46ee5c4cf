"""A network filesystem whose server is gone: agents keep working and start, and report the mount."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from metricat_tools.cluster import NodeCluster
from metricat_tools.cluster.processes import HERE, Namespaces
from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster
from metricat_tools.stack.wait import until
from support.paths import HUNG_FILESYSTEM
from support.pipeline import CLEARED_SECONDS, agents, condition, delete_agent, monitored

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@contextmanager
def dead_mount(path: Path, where: Namespaces) -> Iterator[None]:
    """Mount a filesystem that hangs every access, like one whose server is gone."""
    command = where.enter([sys.executable, HUNG_FILESYSTEM, path])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            assert server.stdout.readline() == "mounted\n"
            yield
        finally:
            server.stdin.close()
            server.wait(60)
            subprocess.run(where.enter(["umount", "--lazy", path]), check=True)


def test_agents_work_despite_a_hung_mount_and_report_it(demo: DemoCluster, cluster: NodeCluster) -> None:
    """An agent lists the mounts of the machine's first process and accesses those of its node: mount in both."""
    until("the monitoring to work", lambda: monitored(demo), seconds=CLEARED_SECONDS)
    before = agents(demo)["n2"]["metadata"]["name"]
    node = cluster.node("n2")
    path = node.folder / "dead"
    path.mkdir(exist_ok=True)
    series = f'node_filesystem_device_error{{service="{SERVICE}",node="n2",mountpoint="{path}"}}'
    error = f"{series} == 1"
    with dead_mount(path, HERE), dead_mount(path, node.namespaces):
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(node.namespaces.enter(["stat", "--file-system", path]), timeout=2, check=False)
        until("the mount to be reported", lambda: demo.prometheus.query(error), seconds=60)
        assert agents(demo)["n2"]["metadata"]["name"] == before
        assert condition(demo, "Monitored")["status"] == "True"

        delete_agent(demo, "n2")
        until("another agent on n2", lambda: "n2" in agents(demo) and demo.ready(), seconds=60)
        assert agents(demo)["n2"]["metadata"]["name"] != before
        since = time.time()

        def reports() -> bool:
            return any(one.value == 1 for one in demo.prometheus.scraped_since(since, series))

        until("the new agent to report it", reports, seconds=60)
        until("the new agent to be scraped", lambda: monitored(demo), seconds=60)
        assert demo.target()["status"]["nodes"]["uncovered"] == 0
    path.rmdir()
    until("the series to end", lambda: not demo.prometheus.query(error), seconds=CLEARED_SECONDS)
