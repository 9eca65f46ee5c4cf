"""A file system of a node whose server is gone: agents go on and start beside it, and what hangs is named."""

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
from support.paths import HUNG_FILE_SYSTEM
from support.pipeline import CLEARED_SECONDS, agents, condition, delete_agent, monitored

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@contextmanager
def dead_mount(path: Path, where: Namespaces) -> Iterator[None]:
    """A mount that hangs whoever asks it, as a file server's does that is gone."""
    command = where.enter([sys.executable, HUNG_FILE_SYSTEM, path])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as silent:
        assert silent.stdin is not None
        assert silent.stdout is not None
        try:
            assert silent.stdout.readline() == "mounted\n"
            yield
        finally:
            silent.stdin.close()
            silent.wait(10)
            subprocess.run(where.enter(["umount", "--lazy", path]), check=True)


def test_a_mount_that_hangs_keeps_no_agent_from_working_and_is_named(demo: DemoCluster, cluster: NodeCluster) -> None:
    """An agent has its list of mounts from the machine's first process, and asks its own node: so both have it."""
    until("the monitoring to work", lambda: monitored(demo), seconds=CLEARED_SECONDS)
    before = agents(demo)["n2"]["metadata"]["name"]
    node = cluster.node("n2")
    path = node.folder / "dead"
    path.mkdir(exist_ok=True)
    named = f'node_filesystem_device_error{{service="{SERVICE}",node="n2",mountpoint="{path}"}} == 1'
    with dead_mount(path, HERE), dead_mount(path, node.namespaces):
        with pytest.raises(subprocess.TimeoutExpired):
            subprocess.run(node.namespaces.enter(["stat", "--file-system", path]), timeout=2, check=False)
        until("the mount to be named", lambda: demo.prometheus.query(named), seconds=60)
        assert agents(demo)["n2"]["metadata"]["name"] == before
        assert condition(demo, "Monitored")["status"] == "True"

        delete_agent(demo, "n2")
        until("another agent on n2", lambda: "n2" in agents(demo) and demo.ready(), seconds=60)
        assert agents(demo)["n2"]["metadata"]["name"] != before
        newer = f"timestamp({named}) > {time.time()}"
        until("the new one to name it", lambda: demo.prometheus.query(newer), seconds=60)
        until("the new one to be scraped", lambda: monitored(demo), seconds=60)
        assert demo.target()["status"]["nodes"]["uncovered"] == 0
    path.rmdir()
    until("it to be gone", lambda: not demo.prometheus.query(named), seconds=CLEARED_SECONDS)
