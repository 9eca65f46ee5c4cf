"""The agents of the DaemonSet expose the host's values, and run without privileges."""

import os
import time
from pathlib import Path

import pytest

from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster
from metricat_tools.stack.apis import NAMESPACE, Sample
from metricat_tools.stack.wait import until

pytestmark = pytest.mark.e2e
SERIES = f'{{service="{SERVICE}"}}'


def agents(demo: DemoCluster) -> list[str]:
    pods = demo.kubectl.items("pods", "--namespace", NAMESPACE, "--selector=metricat.dev/target=nodes")
    return [pod["metadata"]["name"] for pod in pods]


def test_prometheus_scrapes_the_agent_of_every_node(demo: DemoCluster) -> None:
    samples = demo.prometheus.query(f"up{SERIES} == 1")
    assert {sample.labels["node"] for sample in samples} == {"n1", "n2"}
    for sample in samples:
        assert sample.labels["instance"] == sample.node
        assert sample.labels["pool"] == "default"
        assert sample.labels["namespace"] == NAMESPACE


def test_every_collector_succeeds(demo: DemoCluster) -> None:
    """The pod's security context applies: user 65534, the default seccomp profile."""
    succeeded = demo.prometheus.query(f"node_scrape_collector_success{SERIES}")
    assert {sample.labels["collector"] for sample in succeeded if sample.value == 0} == set()
    assert {sample.labels["collector"] for sample in succeeded} >= {"cpu", "meminfo", "netdev", "filesystem"}


def test_memory_is_the_hosts(demo: DemoCluster) -> None:
    line = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal:"))
    samples = demo.prometheus.query(f"node_memory_MemTotal_bytes{SERIES}")
    assert [sample.value for sample in samples] == [int(line.split()[1]) * 1024] * 2


def test_root_filesystem_is_the_hosts(demo: DemoCluster) -> None:
    samples = demo.prometheus.query(f'node_filesystem_size_bytes{{service="{SERVICE}",mountpoint="/"}}')
    host = os.statvfs("/")
    assert [sample.value for sample in samples] == [host.f_blocks * host.f_frsize] * 2


def test_network_is_that_of_the_hosts_init(demo: DemoCluster) -> None:
    """Init and kubelet share a network on a real node; in this cluster, only init has the machine's network."""
    query = f'node_network_receive_bytes_total{{service="{SERVICE}",device="lo"}}'
    before, started = received("lo"), time.time()

    def newer_samples() -> list[Sample]:
        fresh = demo.prometheus.scraped_since(started, query)
        return fresh if len(fresh) == 2 else []

    samples = until("waiting for a newer scrape", newer_samples)
    assert all(before <= sample.value <= received("lo") for sample in samples)


def received(device: str) -> int:
    line = next(
        line for line in Path("/proc/1/net/dev").read_text().splitlines() if line.strip().startswith(f"{device}:")
    )
    return int(line.partition(":")[2].split()[0])


def test_every_node_reaches_the_api_server(demo: DemoCluster) -> None:
    query = f'probe_success{{service="{SERVICE}",probe="kubernetes-api"}} == 1'
    samples = until("waiting for a successful probe on every node", lambda: _two(demo.prometheus.query(query)))
    assert {sample.labels["node"] for sample in samples} == {"n1", "n2"}
    assert {sample.labels["target"] for sample in samples} == {"tcp://kubernetes.default.svc:443"}
    assert demo.prometheus.query('ALERTS{alertname="EndpointDown"}') == []


def _two(samples: list[Sample]) -> list[Sample]:
    return samples if len(samples) == 2 else []


def test_agent_runs_as_nobody_without_capabilities(demo: DemoCluster) -> None:
    for pod in agents(demo):
        text = demo.kubectl.run("exec", "--namespace", NAMESPACE, pod, "--", "cat", "/proc/1/status")
        status = {name: value.split() for name, _, value in (line.partition(":") for line in text.splitlines())}
        assert status["Uid"] == ["65534"] * 4
        assert status["Gid"] == ["65534"] * 4
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[kind][0], 16) == 0, kind
        assert status["NoNewPrivs"] == ["1"]
        assert status["Seccomp"] == ["2"], "seccomp filters system calls"


def test_agent_cannot_write_anywhere(demo: DemoCluster) -> None:
    attempt = "import os, sys; sys.exit(any(os.access(path, os.W_OK) for path in sys.argv[1:]))"
    root = "/host/root"
    paths = ("/", "/opt/metricat", root, f"{root}/tmp", "/host/sys", "/host/proc/sys/kernel/hostname")
    demo.kubectl.run(
        *("exec", "--namespace", NAMESPACE, agents(demo)[0], "--", "python3", "-c", attempt, *paths)
    )  # fails if a path is writable


def test_image_holds_unchecked_bytecode(demo: DemoCluster) -> None:
    """The image keeps no file times, so bytecode that is checked by time would be compiled at every start."""
    script = (
        "import pathlib, sys; files = list(pathlib.Path('/opt/metricat/lib').rglob('*.pyc'));"
        "sys.exit(not files or any(file.read_bytes()[4] != 1 for file in files))"  # PEP 552: hash-based, unchecked
    )
    demo.kubectl.run("exec", "--namespace", NAMESPACE, agents(demo)[0], "--", "python3", "-c", script)
