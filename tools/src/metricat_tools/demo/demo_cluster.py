"""The demo: a cluster with the monitoring stack, Metricat, and one MonitoringTarget, and the questions to ask it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from metricat_tools.stack import AlertmanagerApi, Kubectl, PrometheusApi, install_metricat, install_stack
from metricat_tools.stack.apis import NAMESPACE, ActiveAlert, Sample, ScrapeTarget
from metricat_tools.stack.install import reload_now
from metricat_tools.stack.kubectl import Object
from metricat_tools.stack.wait import pods_in_trouble, until

TARGET = "nodes"
SERVICE = f"metricat-{TARGET}"
ALERT = "NodeCPUUsageHigh"
CALM_PERCENT = 70
"""Setting the demo is work too: above this, it would be a coincidence which of the two fires the alert."""
RECORDED = (
    "metricat:node_cpu_usage:percent",
    "metricat:node_memory_usage:percent",
    "topk by (node) (1, metricat:node_filesystem_usage:percent)",
)
"""CPU, memory and the fullest file system of each node, by the rules that Metricat ships."""


@dataclass(frozen=True)
class DemoCluster:
    """A cluster, by its kubeconfig, and the names of Metricat's images on it (`operator`, `agent`)."""

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
        """Apply the MonitoringTarget and wait until it says Ready."""
        self.kubectl.apply(target())
        until("waiting for the agents", self.ready, why=self._why)

    def wait_scraped(self) -> list[ScrapeTarget]:
        """The agents' scrape targets, once Prometheus scrapes one on every node that should have one."""
        return until("waiting for the first samples", self._all_up, why=self._scrape_errors)

    def wait_monitored(self) -> None:
        """Return when the target itself says that the monitoring works: rules loaded, every node scraped."""
        reload_now(self.kubectl)
        until("waiting for the target to say so", self.monitored, why=self._why)

    def wait_answers(self) -> dict[str, dict[str, Sample]]:
        """The recorded measures by query and node, once every node has them all (a rate needs two scrapes)."""
        return until("waiting for the recording rules", self._answers)

    def target(self) -> Object:
        """The MonitoringTarget as it is now."""
        return self.kubectl.get("monitoringtarget", TARGET, "--namespace", NAMESPACE)

    def ready(self) -> bool:
        """Whether the target's status is about its newest spec, and says Ready."""
        found = self.target()
        seen: int = found.get("status", {}).get("observedGeneration", -1)
        return seen == found["metadata"]["generation"] and self._holds("Ready")

    def monitored(self) -> bool:
        """Whether the target's status says Monitored."""
        return self._holds("Monitored")

    def nodes(self) -> list[str]:
        """The names of the nodes, in order."""
        return sorted(node["metadata"]["name"] for node in self.kubectl.items("nodes"))

    def scrape_targets(self) -> list[ScrapeTarget]:
        """What Prometheus knows of the agents."""
        return [found for found in self.prometheus.targets() if found.labels.get("service") == SERVICE]

    def warned(self, node: str, *states: str) -> list[ActiveAlert]:
        """The CPU warnings of all nodes, once Prometheus has this node's in one of these states."""
        found = [
            alert
            for alert in self.prometheus.alerts()
            if alert.name == ALERT and alert.state in states and alert.labels["severity"] == "warning"
        ]
        return found if node in {alert.labels["node"] for alert in found} else []

    def wait_calm(self) -> None:
        """Return when no CPU alert is about and the CPUs have room for a load that is seen."""
        until(
            "waiting for the CPUs to calm down",
            self._calm,
            seconds=300.0,
            why=lambda: "something else keeps them busy: end it and try again",
        )

    def notified(self, node: str = "") -> list[ActiveAlert]:
        """The CPU alerts that Alertmanager holds as active, once this node's is among them."""
        found = [alert for alert in self.alertmanager.alerts(ALERT) if alert.state == "active"]
        return found if not node or node in {alert.labels["node"] for alert in found} else []

    def _holds(self, kind: str) -> bool:
        conditions = self.target().get("status", {}).get("conditions", [])
        return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)

    def _calm(self) -> bool:
        busy = self.prometheus.query(f"{RECORDED[0]} > {CALM_PERCENT}")
        return not busy and not any(alert.name == ALERT for alert in self.prometheus.alerts()) and not self.notified()

    def _all_up(self) -> list[ScrapeTarget] | None:
        found = self.scrape_targets()
        if not found:
            reload_now(self.kubectl)
        desired = self.target()["status"]["nodes"]["desired"]
        return found if len(found) == desired and all(one.health == "up" for one in found) else None

    def _answers(self) -> dict[str, dict[str, Sample]] | None:
        nodes = {one.labels["node"] for one in self.scrape_targets()}
        found = {query: {sample.node: sample for sample in self.prometheus.query(query)} for query in RECORDED}
        return found if nodes and all(set(by_node) >= nodes for by_node in found.values()) else None

    def _why(self) -> str:
        conditions = self.target().get("status", {}).get("conditions", [])
        told = [f"{one['type']}={one['status']}: {one['message']}" for one in conditions if one["status"] != "True"]
        return "; ".join([*told, pods_in_trouble(self.kubectl, NAMESPACE)])

    def _scrape_errors(self) -> str:
        return "; ".join(f"{one.url}: {one.error or one.health}" for one in self.scrape_targets() if one.health != "up")


def target() -> str:
    """The MonitoringTarget that the demo applies, as YAML."""
    return files(__package__).joinpath("target.yaml").read_text()
