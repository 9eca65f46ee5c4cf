"""A cluster with the monitoring stack, Metricat and one MonitoringTarget, and queries about its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from metricat_tools.stack import AlertmanagerApi, Kubectl, PrometheusApi, install_metricat, install_stack
from metricat_tools.stack.apis import NAMESPACE, ActiveAlert, Sample, ScrapeTarget
from metricat_tools.stack.install import reload_now
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.wait import pod_problems, until

TARGET = "nodes"
SERVICE = f"metricat-{TARGET}"
ALERT = "NodeCPUUsageHigh"
IDLE_PERCENT = 70
"""CPU usage in percent below which the load is started. The setup uses CPU time too and could fire the alert."""
RECORDED = (
    "metricat:node_cpu_usage:percent",
    "metricat:node_memory_usage:percent",
    "topk by (node) (1, metricat:node_filesystem_usage:percent)",
)
"""CPU, memory and the fullest filesystem of each node, from Metricat's recording rules."""


@dataclass(frozen=True)
class DemoCluster:
    """A cluster with its kubeconfig, and the names of Metricat's images (`operator`, `agent`)."""

    kubectl: Kubectl
    images: Mapping[str, str]

    @property
    def prometheus(self) -> PrometheusApi:
        """The stack's Prometheus."""
        return PrometheusApi(self.kubectl)

    @property
    def alertmanager(self) -> AlertmanagerApi:
        """The stack's Alertmanager."""
        return AlertmanagerApi(self.kubectl)

    def install_stack(self) -> None:
        """Install Prometheus Operator, Prometheus and Alertmanager, and wait until they work."""
        install_stack(self.kubectl)

    def install_metricat(self) -> None:
        """Install Metricat's chart with our images, and wait until the operator is ready."""
        install_metricat(self.kubectl, self.images)

    def apply_target(self) -> None:
        """Apply the MonitoringTarget and wait until its condition Ready is true."""
        self.kubectl.apply(target())
        until("waiting for the agents", self.ready, why=self._why)

    def wait_scraped(self) -> list[ScrapeTarget]:
        """Wait until Prometheus scrapes an agent on every desired node, and return the agents' scrape targets."""
        return until("waiting for the first samples", self._all_up, why=self._scrape_errors)

    def wait_monitored(self) -> None:
        """Wait until the target's condition Monitored is true: rules loaded, every node scraped."""
        reload_now(self.kubectl)
        until("waiting for the condition Monitored", self.monitored, why=self._why)

    def wait_recorded(self) -> dict[str, dict[str, Sample]]:
        """Wait until every node has all recorded series (a rate needs two scrapes). Return them by query and node."""
        return until("waiting for the recording rules", self._recorded)

    def target(self) -> Object:
        """Return the MonitoringTarget's current object."""
        return self.kubectl.get("monitoringtarget", TARGET, "--namespace", NAMESPACE)

    def ready(self) -> bool:
        """Return whether the condition Ready is true for the target's newest spec."""
        found = self.target()
        seen: int = found.get("status", {}).get("observedGeneration", -1)
        return seen == found["metadata"]["generation"] and self._holds("Ready")

    def monitored(self) -> bool:
        """Return whether the target's condition Monitored is true."""
        return self._holds("Monitored")

    def nodes(self) -> list[str]:
        """Return the names of the nodes, in order."""
        return sorted(node["metadata"]["name"] for node in self.kubectl.items("nodes"))

    def scrape_targets(self) -> list[ScrapeTarget]:
        """Return Prometheus' scrape targets for the agents."""
        return [found for found in self.prometheus.targets() if found.labels.get("service") == SERVICE]

    def warned(self, node: str, *states: str) -> list[ActiveAlert]:
        """Return the CPU warnings of all nodes if the warning of `node` is in one of these states; otherwise none."""
        found = [
            alert
            for alert in self.prometheus.alerts()
            if alert.name == ALERT and alert.state in states and alert.labels["severity"] == "warning"
        ]
        return found if node in {alert.labels["node"] for alert in found} else []

    def wait_for_idle_cpus(self) -> None:
        """Wait until no CPU alert is active and the CPUs are idle enough to show the load."""
        until(
            "waiting for idle CPUs",
            self._cpus_are_idle,
            seconds=300.0,
            why=lambda: "another program keeps them busy. End it and try again",
        )

    def notified(self, node: str = "") -> list[ActiveAlert]:
        """Return Alertmanager's active CPU alerts. If a node is given and has none, return an empty list."""
        found = [alert for alert in self.alertmanager.alerts(ALERT) if alert.state == "active"]
        return found if not node or node in {alert.labels["node"] for alert in found} else []

    def _holds(self, kind: str) -> bool:
        conditions = self.target().get("status", {}).get("conditions", [])
        return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)

    def _cpus_are_idle(self) -> bool:
        busy = self.prometheus.query(f"{RECORDED[0]} > {IDLE_PERCENT}")
        return not busy and not any(alert.name == ALERT for alert in self.prometheus.alerts()) and not self.notified()

    def _all_up(self) -> list[ScrapeTarget] | None:
        found = self.scrape_targets()
        if not found:
            reload_now(self.kubectl)
        desired = self.target()["status"]["nodes"]["desired"]
        return found if len(found) == desired and all(one.health == "up" for one in found) else None

    def _recorded(self) -> dict[str, dict[str, Sample]] | None:
        nodes = {one.labels["node"] for one in self.scrape_targets()}
        found = {query: {sample.node: sample for sample in self.prometheus.query(query)} for query in RECORDED}
        return found if nodes and all(set(by_node) >= nodes for by_node in found.values()) else None

    def _why(self) -> str:
        conditions = self.target().get("status", {}).get("conditions", [])
        false = [f"{one['type']}={one['status']}: {one['message']}" for one in conditions if one["status"] != "True"]
        return "; ".join([*false, pod_problems(self.kubectl, NAMESPACE)])

    def _scrape_errors(self) -> str:
        return "; ".join(f"{one.url}: {one.error or one.health}" for one in self.scrape_targets() if one.health != "up")


def target() -> str:
    """Return the demo's MonitoringTarget as YAML."""
    return files(__package__).joinpath("target.yaml").read_text()
