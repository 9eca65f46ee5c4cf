"""Prometheus' and Alertmanager's APIs, reached through the API server's proxy, so no Service has to be exposed."""

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
        """The value of the sample's label `node`."""
        return self.labels.get("node", "")


@dataclass(frozen=True)
class ScrapeTarget:
    """A scrape target, as on Prometheus' targets page."""

    labels: Mapping[str, str]
    health: str
    url: str
    error: str


@dataclass(frozen=True)
class ActiveAlert:
    """An alert. `state` is Prometheus' (`pending`, `firing`) or Alertmanager's (`active`, `suppressed`)."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str

    @property
    def name(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


@dataclass(frozen=True)
class PrometheusApi:
    """The API of a Prometheus behind a Service (`name:port`)."""

    kubectl: Kubectl
    service: str = "prometheus-demo:9090"
    namespace: str = NAMESPACE

    def query(self, promql: str) -> list[Sample]:
        """Return the instant vector of this expression now."""
        answer = self._api("query", {"query": promql})
        return [Sample(element["metric"], float(element["value"][1])) for element in answer["result"]]

    def scraped_since(self, moment: float, selector: str) -> list[Sample]:
        """Return the selected series with a sample after `moment`, in seconds since the epoch.

        After a scrape job was removed, `query` returns its series for five more minutes, because Prometheus writes no
        staleness markers then. `selector` must be a vector selector: `timestamp` of another expression is the time of
        the query.
        """
        return self.query(f"{selector} and timestamp({selector}) > {moment}")

    def targets(self) -> list[ScrapeTarget]:
        """Return every active scrape target, with its labels after relabelling."""
        return [
            ScrapeTarget(target["labels"], target["health"], target["scrapeUrl"], target["lastError"])
            for target in self._api("targets", {"state": "active"})["activeTargets"]
        ]

    def alerts(self) -> list[ActiveAlert]:
        """Return the pending and firing alerts."""
        found = self._api("alerts", {})["alerts"]
        return [ActiveAlert(alert["labels"], alert["annotations"], alert["state"]) for alert in found]

    def rule_groups(self) -> list[str]:
        """Return the names of the loaded rule groups."""
        return [group["name"] for group in self._api("rules", {})["groups"]]

    def _api(self, page: str, query: Mapping[str, str]) -> Any:
        return self.kubectl.through(self.namespace, self.service, f"/api/v1/{page}", query)["data"]


@dataclass(frozen=True)
class AlertmanagerApi:
    """The API of an Alertmanager behind a Service (`name:port`)."""

    kubectl: Kubectl
    service: str = "alertmanager-demo:9093"
    namespace: str = NAMESPACE

    def alerts(self, name: str = "") -> list[ActiveAlert]:
        """Return Alertmanager's current alerts, all or those with this name."""
        query = {"filter": f'alertname="{name}"'} if name else {}
        answer = self.kubectl.through(self.namespace, self.service, "/api/v2/alerts", query)
        return [ActiveAlert(alert["labels"], alert["annotations"], alert["status"]["state"]) for alert in answer]
