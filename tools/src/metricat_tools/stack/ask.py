"""Prometheus' and Alertmanager's own APIs, reached through the API server: nothing has to be exposed for it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from metricat_tools.stack.kubectl import Kubectl

NAMESPACE = "monitoring"


@dataclass(frozen=True)
class Sample:
    """One element of an instant vector."""

    labels: Mapping[str, str]
    value: float

    @property
    def node(self) -> str:
        """The node that the sample is of."""
        return self.labels.get("node", "")


@dataclass(frozen=True)
class ScrapeTarget:
    """A target of Prometheus, as its targets page shows it."""

    labels: Mapping[str, str]
    health: str
    url: str
    error: str


@dataclass(frozen=True)
class Alert:
    """An alert; `state` is Prometheus' (`pending`, `firing`) or Alertmanager's (`active`, `suppressed`)."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus behind a Service (`name:port`)."""

    kubectl: Kubectl
    service: str = "prometheus-demo:9090"
    namespace: str = NAMESPACE

    def query(self, promql: str) -> list[Sample]:
        """The instant vector that this expression gives now."""
        answer = self._api("query", {"query": promql})
        return [Sample(element["metric"], float(element["value"][1])) for element in answer["result"]]

    def targets(self) -> list[ScrapeTarget]:
        """Every target that is scraped, with its labels after relabelling."""
        return [
            ScrapeTarget(target["labels"], target["health"], target["scrapeUrl"], target["lastError"])
            for target in self._api("targets", {"state": "active"})["activeTargets"]
        ]

    def alerts(self) -> list[Alert]:
        """The alerts that are pending or firing."""
        return [
            Alert(alert["labels"], alert["annotations"], alert["state"]) for alert in self._api("alerts", {})["alerts"]
        ]

    def rule_groups(self) -> list[str]:
        """The names of the rule groups that it has loaded."""
        return [group["name"] for group in self._api("rules", {})["groups"]]

    def _api(self, page: str, query: Mapping[str, str]) -> Any:
        return self.kubectl.through(self.namespace, self.service, f"/api/v1/{page}", query)["data"]


@dataclass(frozen=True)
class Alertmanager:
    """An Alertmanager behind a Service (`name:port`)."""

    kubectl: Kubectl
    service: str = "alertmanager-demo:9093"
    namespace: str = NAMESPACE

    def alerts(self, name: str = "") -> list[Alert]:
        """The alerts that it holds now, those of this name only where one is given."""
        query = {"filter": f'alertname="{name}"'} if name else {}
        answer = self.kubectl.through(self.namespace, self.service, "/api/v2/alerts", query)
        return [Alert(alert["labels"], alert["annotations"], alert["status"]["state"]) for alert in answer]
