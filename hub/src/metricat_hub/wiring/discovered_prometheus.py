"""Finds the Prometheus that the statuses of most MonitoringTargets name. See docs/design/0038."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

from metricat_hub.model.errors import AccessUnavailableError
from metricat_hub.model.server import checked_url
from metricat_hub.store.prometheus import PrometheusStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from metricat_hub.model.server import Server
    from metricat_hub.promql.limits import Limits

_LOG = logging.getLogger(__name__)
_REMEDY = (
    "Set hub.prometheus.url in the chart (--store.url), or see: kubectl get mtarget --all-namespaces --output=wide"
)


class Targets(Protocol):
    """The source of MonitoringTargets."""

    def monitoring_targets(self) -> Sequence[dict[str, Any]]:
        """Return all MonitoringTargets; raise `AccessUnavailableError` if the API server does not respond."""
        ...


class NoPrometheusError(Exception):
    """No MonitoringTarget has the URL of a Prometheus. The message contains the reason."""


class DiscoveredPrometheus(PrometheusStore):
    """Sets the URL of the store from the statuses of MonitoringTargets. Without a URL, requests get an error."""

    def __init__(self, server: Server, targets: Targets, limits: Limits) -> None:
        super().__init__(server, None, limits)
        self._targets = targets
        self._problem = ""
        self._url = ""
        self.maintain()

    def maintain(self) -> object:
        """Update the URL. While the API server does not respond, the last known URL stays in use."""
        try:
            url = chosen_url(self._targets.monitoring_targets())
        except AccessUnavailableError as error:
            if self._url:
                _LOG.warning(
                    "cannot read the MonitoringTargets, so the hub continues to query %s: %s", self._url, error
                )
                return None
            self._refuse(str(error))
        except NoPrometheusError as error:
            self._refuse(str(error))
        else:
            if url != self._url:
                _LOG.info("the hub now queries %s, from the status of the MonitoringTargets", url)
            self._url, self._problem = url, ""
            self.api.move(url)
        return None

    def problems(self) -> Sequence[str]:
        """Return a problem if the hub has found no Prometheus to query."""
        return (self._problem,) if self._problem else ()

    def _refuse(self, why: str) -> None:
        if why != self._problem:
            _LOG.warning("%s", why)
        self._url, self._problem = "", why
        self.api.refuse(why)


def chosen_url(targets: Sequence[dict[str, Any]]) -> str:
    """Return the most frequent URL in the statuses of the targets; raise `NoPrometheusError` if none has a URL.

    Of several equally frequent URLs, return the alphabetically first one.
    """
    named = [one for target in targets for one in (target.get("status") or {}).get("prometheuses") or []]
    urls = Counter(_valid(one.get("url", "")) for one in named)
    urls.pop("", None)
    if urls:
        return min(urls, key=lambda url: (-urls[url], url))
    if named:
        names = ", ".join(sorted({f"{one.get('namespace')}/{one.get('name')}" for one in named}))
        raise NoPrometheusError(
            f"no URL reaches all samples of Prometheus {names}: the Prometheus has shards, or its URL is not "
            f"reachable for the hub. {_REMEDY}"
        )
    if targets:
        raise NoPrometheusError(f"no Prometheus selects the ServiceMonitor of a MonitoringTarget yet. {_REMEDY}")
    raise NoPrometheusError(f"no MonitoringTarget exists yet, so the hub cannot find a Prometheus. {_REMEDY}")


def _valid(url: object) -> str:
    try:
        return checked_url(str(url)) if url else ""
    except ValueError:
        return ""
