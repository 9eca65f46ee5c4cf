"""Alerts fire and resolve in Alertmanager because of real faults, which are then repaired. They name the cause.

All faults begin at the same time and end at the same time. The target has low thresholds, so that small faults are
enough and the machine stays usable. The thresholds depend on values measured before the faults, so other programs that
keep the machine busy can make the test fail.
"""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml

from metricat_tools.cluster import NodeCluster
from metricat_tools.demo.demo_cluster import SERVICE, DemoCluster, target
from metricat_tools.stack.apis import NAMESPACE, ActiveAlert
from metricat_tools.stack.wait import until
from support import faults

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ALERTS = (
    "NodeCPUUsageHigh",
    "NodePressureCPU",
    "NodeMemoryUsageHigh",
    "NodeOOMKill",
    "NodeFilesystemUsageHigh",
    "NodeInodeUsageHigh",
    "NodeFilesystemReadOnly",
    "NodeFileDescriptorsHigh",
    "NodeAgentDown",
)
FIRING, RESOLVING = 240, 480
"""Seconds to wait for all alerts. An OOM kill counts for five minutes."""
AT_ONCE = {"for": "0s"}
SOON = {"for": "20s"}
"""For alerts that name processes: the agents sample processes for 10 s before they name any."""
OFF = {"enabled": False}


@dataclass
class History:
    """The alerts of Alertmanager as last seen, and the seconds from the end of the faults until each was resolved."""

    fired: dict[str, ActiveAlert] = field(default_factory=dict)
    resolved: dict[str, float] = field(default_factory=dict)

    def text(self) -> str:
        """The text that the test prints."""
        lines = []
        for name in ALERTS:
            if alert := self.fired.get(name):
                about = f"{alert.labels['severity']}, {alert.labels.get('node', '')}, {alert.labels['resource']}"
                lines += [f"{name} ({about}), resolved after {self.resolved.get(name, -1):.0f} s"]
                lines += [f"  {key}: {value}" for key, value in sorted(alert.annotations.items())]
        return "\n".join(lines)


def value(demo: DemoCluster, measure: str) -> float:
    """The measure's highest value on any node."""
    return max(sample.value for sample in demo.prometheus.query(f'{measure}{{service="{SERVICE}"}}'))


def thresholds(demo: DemoCluster) -> dict[str, Any]:
    """Return alert settings with thresholds between the current values and the values during the faults."""
    cpu = value(demo, "metricat:node_cpu_usage:percent")
    pressure = value(demo, "metricat:node_pressure_cpu_waiting:percent")
    memory, total = value(demo, "metricat:node_memory_usage:percent"), value(demo, "node_memory_MemTotal_bytes")
    files, most = value(demo, "metricat:node_filefd_usage:percent"), value(demo, "node_filefd_maximum")

    def over(threshold: float) -> dict[str, Any]:
        return {"warning": {**SOON, "threshold": round(threshold, 3)}}

    return {
        "NodeCPUUsageHigh": {**over((cpu + 100) / 2), "critical": OFF},
        "NodePressureCPU": over((pressure + 40) / 2),
        "NodeMemoryUsageHigh": {**over(memory + 50 * (faults.MEBIBYTES << 20) / total), "critical": OFF},
        "NodeFileDescriptorsHigh": {**over(files + 50 * faults.FILES / most), "critical": OFF},
        "NodeFilesystemUsageHigh": {"critical": AT_ONCE},
        "NodeInodeUsageHigh": {"critical": AT_ONCE},
        "NodeFilesystemReadOnly": {"warning": AT_ONCE},
        "NodeAgentDown": {"warning": AT_ONCE, "critical": OFF},
        "NodeNew": {"info": OFF},  # the cluster's nodes may all be new
    }


def firing(demo: DemoCluster) -> dict[str, ActiveAlert]:
    """Return the alerts about the faults in Alertmanager, those of the first node before the second node's."""
    found = sorted(demo.alertmanager.alerts(), key=lambda alert: alert.labels.get("node", ""), reverse=True)
    return {alert.name: alert for alert in found if alert.name in ALERTS and culpable(alert)}


def culpable(alert: ActiveAlert) -> bool:
    """Return whether the alert is about our faults. On a busy machine, other programs may cause alerts too."""
    where = alert.labels.get("mountpoint")
    return where is None or "/metricat-faults-" in where


def follow(seconds: float, done: Callable[[], bool], look: Callable[[], None]) -> None:
    """Call the function repeatedly until it returns True or the time is over."""
    deadline = time.monotonic() + seconds
    while not done() and time.monotonic() < deadline:
        look()
        time.sleep(2)


@pytest.fixture(scope="module")
def history(demo_and_nodes: tuple[NodeCluster, DemoCluster]) -> Iterator[History]:
    """Start the faults, end them, and wait until the last alert is resolved."""
    cluster, demo = demo_and_nodes
    found = History()
    demo.wait_recorded()
    with faults.volumes(cluster.node("n1"), "full", "inodes", "readonly") as (full, inodes_full, read_only):
        changed = yaml.safe_load(target())
        # The agents must still be scraped while all CPUs are busy.
        changed["spec"]["agent"] = {"resources": {"requests": {"cpu": "200m"}}}
        changed["spec"]["monitor"] |= {"interval": "10s", "scrapeTimeout": "9s"}
        demo.kubectl.apply(yaml.safe_dump(changed))
        until("agents with more CPU", demo.ready, seconds=300)
        query = 'node_filesystem_readonly{mountpoint=~".*/metricat-faults-.*",node="n1"}'
        until("the filesystems to be seen", lambda: len(demo.prometheus.query(query)) == 3)
        demo.wait_for_idle_cpus()
        changed["spec"]["alerts"]["rules"] = thresholds(demo)
        demo.kubectl.apply(yaml.safe_dump(changed))
        try:
            demo.kubectl.apply(yaml.safe_dump(faults.pod(demo.images["agent"], "n1", NAMESPACE)))
            full.fill()
            inodes_full.exhaust_inodes()
            read_only.remount_read_only()

            def kill_and_look() -> None:
                if "NodeAgentDown" not in found.fired:
                    faults.kill_agent(demo.kubectl, cluster.node("n2"), NAMESPACE)
                found.fired |= firing(demo)

            follow(FIRING, lambda: found.fired.keys() == set(ALERTS), kill_and_look)
        finally:
            demo.kubectl.run("delete", "pod", "faults", "--namespace", NAMESPACE, "--ignore-not-found")
            for volume in (full, inodes_full, read_only):
                volume.repair()
        try:
            ended = time.monotonic()

            def look() -> None:
                there = firing(demo)
                for name in found.fired.keys() - there.keys():
                    found.resolved.setdefault(name, time.monotonic() - ended)
                for name in there:
                    found.resolved.pop(name, None)

            follow(RESOLVING, lambda: found.resolved.keys() == found.fired.keys(), look)
        finally:
            demo.kubectl.apply(target())
    yield found
    until("the target as it was", demo.ready)
    demo.wait_scraped()


def test_faults_fire_alerts(history: History, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{history.text()}\n")
    assert len(history.fired) >= 8


@pytest.mark.parametrize("alert", ALERTS)
def test_alert_fires_and_resolves(history: History, alert: str) -> None:
    assert alert in history.fired
    assert history.fired[alert].annotations["summary"]
    assert alert in history.resolved


@pytest.mark.parametrize(
    ("alert", "culprit"), [("NodeCPUUsageHigh", "cpu-burner"), ("NodeMemoryUsageHigh", "memory-consumer")]
)
def test_alert_names_the_process_and_its_pod(history: History, alert: str, culprit: str) -> None:
    description = history.fired[alert].annotations["description"]
    assert "Top processes:" in description
    named = [one for one in description.partition("Top processes:")[2].split(";") if culprit in one]
    assert named, description
    assert ", pod " in named[0]


def test_alert_has_filesystem_and_usage(history: History) -> None:
    full = history.fired["NodeFilesystemUsageHigh"]
    assert full.labels["severity"] == "critical"
    assert full.labels["resource"] == f"filesystem {full.labels['mountpoint']}"
    assert "/full (/dev/loop" in full.annotations["description"]
    assert "% full (threshold 90 %)" in full.annotations["description"]
